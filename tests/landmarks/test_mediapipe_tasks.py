"""MediaPipe's tasks: what their import costs."""

import subprocess
import sys

PROGRAM = """
import sys
from portraitist.landmarks.detector import LandmarkDetector
LandmarkDetector()
print("matplotlib.pyplot" in sys.modules)
from mediapipe.tasks.python.vision import drawing_utils
print(drawing_utils.plt.figure.__name__, "matplotlib.pyplot" in sys.modules)
"""


def test_drawings_are_imported_when_somebody_draws():
    done = subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "figure", "True"]
