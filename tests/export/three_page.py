"""Opens a GLB in three.js in headless Chromium: what a page shows, and what its parts do."""

from __future__ import annotations

import base64
import http.server
import json
import queue
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from export.npm import find_package

PAGE = Path(__file__).with_name("three_page.html")
CHROMIUM = shutil.which("chromium")
OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--use-angle=swiftshader",  # WebGL without a graphics card
    "--enable-unsafe-swiftshader",
)


needs_three = pytest.mark.skipif(
    CHROMIUM is None or find_package("three") is None,
    reason="Chromium or npm's global three is not installed: GLBs are NOT tested in three.js",
)


def show_in_three(
    glb: Path,
    moments: list[dict[str, Any]],
    scratch: Path,
    *,
    size: int = 256,
    target: tuple[float, float, float] | None = None,
    radius: float | None = None,
    lamps: bool = False,
    boxes: bool = False,
) -> list[dict[str, Any]]:
    """For each of ``moments`` (see the page) the parts' ``keys`` and ``place``, and the ``picture`` [h, w, 3] uint8.

    ``target``, ``radius``: what the camera looks at, meters; all of the scene without them. ``lamps``: there are
    some. ``boxes``: also each part's ``low`` and ``high`` corner in the scene. ``scratch``: an empty folder for the
    browser's profile.
    """
    job = {"moments": moments, "size": size, "target": target, "radius": radius, "lamps": lamps, "boxes": boxes}
    return open_page(PAGE, glb, job, scratch)["moments"]


def open_page(page: Path, glb: Path, job: dict[str, Any], scratch: Path) -> dict[str, Any]:
    """What ``page`` sends back of ``glb`` and ``job``, its pictures [h, w, 3] uint8. Fails where the page did."""
    reports: queue.Queue[dict[str, Any]] = queue.Queue()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _make_handler(page, glb, job, reports))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    command = [str(CHROMIUM), *OPTIONS, f"--user-data-dir={scratch}", f"http://127.0.0.1:{server.server_port}/"]
    browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        report = reports.get(timeout=300)
    finally:
        browser.terminate()
        browser.wait(30)
        server.shutdown()
    assert "error" not in report, report["error"]
    for moment in report["moments"]:
        bytes_ = np.frombuffer(base64.b64decode(moment["picture"].split(",")[1]), np.uint8)
        moment["picture"] = cv2.cvtColor(cv2.imdecode(bytes_, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    return report


def _make_handler(
    page: Path, glb: Path, job: dict[str, Any], reports: queue.Queue
) -> type[http.server.BaseHTTPRequestHandler]:
    three = find_package("three")

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = {"/": page.read_bytes, "/job.json": json.dumps(job).encode, "/scene.glb": glb.read_bytes}
            if self.path in content:
                self._answer(content[self.path]())
            elif self.path.startswith(("/three/", "/@pixiv/")) and (three.parent / self.path[1:]).is_file():
                self._answer((three.parent / self.path[1:]).read_bytes())
            else:
                self.send_error(404)

        def do_POST(self) -> None:
            reports.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self._answer(b"")

        def _answer(self, content: bytes) -> None:
            kinds = {".js": "text/javascript", ".json": "application/json", ".glb": "model/gltf-binary"}
            self.send_response(200)
            self.send_header("Content-Type", kinds.get(Path(self.path).suffix, "text/html"))
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
