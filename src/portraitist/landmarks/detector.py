"""The face detector: MediaPipe's Face Landmarker on one view of a picture."""

from __future__ import annotations

import numpy as np

from portraitist.landmarks.faces import Face
from portraitist.landmarks.mediapipe_tasks import open_task
from portraitist.landmarks.views import View
from portraitist.types import EXPRESSION_NAMES

MAX_FACES = 5  # in one view; crowds are looked for in tiles


class LandmarkDetector:
    """MediaPipe's Face Landmarker. Make one per thread or process, and never fork after making one."""

    def __init__(self) -> None:
        self._landmarker = open_task(
            self,
            "FaceLandmarker",
            "face_landmarker.task",
            num_faces=MAX_FACES,
            output_face_blendshapes=True,
        )

    def detect(self, view: View) -> list[Face]:
        """All faces in one view, in picture coordinates."""
        import mediapipe

        picture = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(view.pixels))
        found = self._landmarker.detect(picture)
        height, width = view.pixels.shape[:2]
        faces = []
        for points, actions in zip(found.face_landmarks, found.face_blendshapes, strict=True):
            in_view = np.array([(point.x * width, point.y * height) for point in points])
            scores = {action.category_name: action.score for action in actions}
            # MediaPipe has every ARKit action but tongueOut.
            in_order = np.array([scores.get(name, 0.0) for name in EXPRESSION_NAMES])
            faces.append(Face(view.to_picture(in_view), in_order))
        return faces
