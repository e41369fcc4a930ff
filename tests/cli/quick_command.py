"""``portraitist`` without its computation: the real command around a result that takes no time (a script).

The environment says what happens to it: ``STOP_AT`` names a moment, or counts the lines of the command's own code,
at which the process gets signal ``STOP_WITH``; ``HOST`` says which streams a host without a terminal gives to Python.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from portraitist.errors import InputError
from portraitist.io import output_folder
from portraitist.io.output_file import new_file
from portraitist.io.output_folder import new_folder

OWN_NAMES = ("main.py", "commands.py", "running.py", "stopping.py", "streams.py", "stylize.py")
OWN_FILES = [("cli", name) for name in OWN_NAMES]
STOP_AT = os.environ.get("STOP_AT", "")


def reach(moment: str) -> None:
    if moment == STOP_AT:
        signal.raise_signal(int(os.environ["STOP_WITH"]))


def reach_in_destructor() -> None:
    """Python lets nothing out of a destructor; the next step has to stop."""

    class Dying:
        def __del__(self) -> None:
            reach("swallowed")

    del_me = Dying()
    del del_me


def load_image(path: Path) -> Path:
    reach("loading")
    if path.read_bytes() == b"damaged":
        raise InputError(f"{path} is damaged.")
    if path.read_bytes() == b"bug":
        raise RuntimeError(f"nobody thought of {path}")
    return path


def load_head(path: Path) -> types.SimpleNamespace:
    load_image(path)
    return types.SimpleNamespace(layers=())


@dataclass(frozen=True)
class Settings:
    """Of a stage, and of a run."""

    regions: Settings | None = None
    unwrap: Settings | None = None
    geometry: Settings | None = None
    texture: Settings | None = None
    random_style: bool = False
    preserve_color: bool = False
    subdivide: bool = False
    head: Settings | None = None
    body: object = None
    seed: int = 0


@dataclass(frozen=True)
class Result:
    warnings: tuple[str, ...] = ()


class Config:
    @staticmethod
    def standard() -> Settings:
        stage = Settings(regions=Settings())
        return Settings(unwrap=Settings(), geometry=stage, texture=stage)


class BustConfig:
    @staticmethod
    def standard() -> Settings:
        return Settings(head=Config.standard())


class CharacterConfig:
    @staticmethod
    def standard() -> Settings:
        return Settings()


class Models:
    device = "cpu"
    vgg = types.SimpleNamespace(dtype="torch.float32")

    @staticmethod
    def load(*_: Any) -> Models:
        return Models()


def stylize(photo: Path, art: Path, *_: Any, progress: Any, **__: Any) -> Result:
    for step in range(3):
        progress(types.SimpleNamespace(stage="texture", step=step, steps=3))
        reach("computing")
        reach_in_destructor()
    return Result()


def write_result(result: Any, out: Path, *, inputs: dict[str, Path], overwrite: bool, **_: Any) -> dict[str, Any]:
    with new_folder(out, overwrite) as folder:
        (folder / "run.json").write_text('{"files": ["run.json"]}')
        reach("writing")
    reach("written")
    return {"files": ["run.json"], "warnings": ["A word."], "photo": os.fsdecode(inputs["photo"].name)}


def write_turntable(path: Path, *_: Any) -> None:
    with new_file(path) as temporary:
        temporary.write_bytes(b"turntable")
        reach("writing")
    reach("written")


def write_expression_sheet(out: Path, *_: Any, overwrite: bool, **__: Any) -> None:
    with new_folder(out, overwrite) as folder:
        (folder / "run.json").write_text('{"files": ["run.json"]}')
        reach("writing")
    reach("written")


def write_glb(path: Path, *_: Any, **__: Any) -> None:
    with new_file(path) as temporary:
        temporary.write_bytes(b"head")
        reach("writing")
    reach("written")


class ImageConfig:
    @staticmethod
    def standard() -> Settings:
        return Settings(head=Config.standard())


def stylize_image(photo: Path, art: Path, *_: Any, progress: Any, **__: Any) -> types.SimpleNamespace:
    progress(types.SimpleNamespace(stage="picture", step=0, steps=1))
    reach("computing")
    return types.SimpleNamespace(image=None, alpha=None, warnings=())


def save_image(path: Path, *_: Any) -> None:
    with new_file(path) as temporary:
        temporary.write_bytes(b"painting")
        reach("writing")
    reach("written")


def reenact_video(
    head: Path, video: Path, out: Path, *_: Any, progress: Any, overwrite: bool, **__: Any
) -> types.SimpleNamespace:
    progress(types.SimpleNamespace(stage="tracking", step=0, steps=1))
    reach("computing")
    with new_folder(out, overwrite) as folder:
        (folder / "run.json").write_text('{"files": ["run.json"]}')
        reach("writing")
    reach("written")
    return types.SimpleNamespace(files=("run.json",), warnings=())


def stylize_character(head: Any, *_: Any, progress: Any, **__: Any) -> Any:
    progress(types.SimpleNamespace(stage="painting", step=0, steps=1))
    reach("computing")
    return head


def write_character(_: Any, out: Path, *, inputs: dict[str, Path], overwrite: bool, **__: Any) -> dict[str, Any]:
    return write_result(None, out, inputs={"photo": inputs["head"]}, overwrite=overwrite)


@dataclass(frozen=True)
class Replaced:
    result: Result


def replace_face(photo: Path, *_: Any, progress: Any, **__: Any) -> Replaced:
    return Replaced(stylize(photo, photo, progress=progress))


def replace_modules() -> None:
    replaced = {
        "apps.bust": {"BustConfig": BustConfig, "stylize_bust": stylize},
        "apps.character": {"describe_losses": lambda _: ()},
        "apps.character_manner": {"read_manner": lambda *_: None},
        "apps.character_style": {"CharacterConfig": CharacterConfig, "stylize_character": stylize_character},
        "apps.image_style": {"ImageConfig": ImageConfig, "stylize_image": stylize_image},
        "apps.reenactment": {
            "ReenactmentConfig": types.SimpleNamespace,
            "check_target": lambda *_: None,
            "reenact_sitter": reenact_video,
            "reenact_video": reenact_video,
        },
        "apps.replace_face": {"ReplaceConfig": lambda *_, **__: None, "replace_face": replace_face},
        "apps.replaced_folder": {"write_replaced": write_result},
        "characters.figure": {"read_figure": load_image},
        "config": {"Config": Config},
        "apps.expression_sheet": {"write_expression_sheet": write_expression_sheet},
        "pipeline": {"Config": Config, "Models": Models, "stylize": stylize},
        "apps.edited_head": {"import_glb": lambda path, head: head},
        "body.shape": {"BodyShape": types.SimpleNamespace},
        "export.character_folder": {"write_character": write_character},
        "export.glb": {"GlbForm": types.SimpleNamespace, "write_glb": write_glb},
        "export.result_folder": {"write_result": write_result},
        "export.turntable": {"check_suffix": lambda _: None, "write_turntable": write_turntable},
        "io.head_file": {"load_head": load_head, "save_head": write_glb},
        "io.images": {"check_png_suffix": lambda _: None, "load_image": load_image, "save_image": save_image},
        "io.landmark_files": {"read_landmarks": load_image},
        "io.video": {"Video": load_image},
        "models": {"Models": Models},
    }
    for name, values in replaced.items():
        module = types.ModuleType(f"portraitist.{name}")
        vars(module).update(values)
        sys.modules[module.__name__] = module


def watch_swap() -> None:
    """Moments between and after the renames of a result that is replaced."""
    rename, remove = Path.rename, output_folder.shutil.rmtree

    def rename_and_reach(self: Path, target: Path) -> Path:
        try:
            return rename(self, target)
        finally:
            reach("put aside" if target.name == output_folder.FORMER else "put into place")

    def reach_and_remove(*arguments: Any, **values: Any) -> None:
        reach("tidying up")
        remove(*arguments, **values)

    Path.rename, output_folder.shutil.rmtree = rename_and_reach, reach_and_remove


def stop_at_line(number: int) -> None:
    """Signal when the ``number``-th line of the command's own code runs since it listens to signals."""
    from portraitist.cli.stopping import STOP

    lines, listen = 0, STOP.listen

    def listen_and_count() -> None:
        listen()
        sys.settrace(trace)
        sys._getframe(1).f_trace = trace

    def trace(frame: types.FrameType, event: str, _: Any) -> Any:
        nonlocal lines
        if Path(frame.f_code.co_filename).parts[-2:] not in OWN_FILES:
            return None
        if event == "line":
            lines += 1
            if lines == number:
                signal.raise_signal(int(os.environ["STOP_WITH"]))
        return trace

    STOP.listen = listen_and_count


def enter(host: str) -> None:
    if host == "no streams":
        sys.stdin = sys.stdout = sys.stderr = None
    elif host == "closed streams":
        for stream in (sys.stdin, sys.stdout, sys.stderr):
            stream.close()
    elif host == "streams of its own":
        sys.stdout, sys.stderr = io.StringIO(), io.StringIO()
    elif host:
        raise ValueError(host)


if __name__ == "__main__":
    replace_modules()
    watch_swap()
    enter(os.environ.get("HOST", ""))
    from portraitist.cli.main import run_process

    if STOP_AT.isdigit():
        stop_at_line(int(STOP_AT))
    run_process()
