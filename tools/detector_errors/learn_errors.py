"""Write src/portraitist/assets/detector_errors.safetensors: mean and covariance of the landmark detector's errors.

    python tools/detector_errors/learn_errors.py FOLDER      # of render_training_faces.py; a minute
    python tools/record_assets.py

An error is the difference between a dense point as detected and as the head model, at its best coefficients for the
true head, puts it into the best scaled orthographic view from the true direction. So what the basis cannot say and what
perspective does count as errors, too: the fit must not explain them either. Every face counts once more mirrored.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from jaxtyping import Float
from safetensors.numpy import save_file
from scipy.spatial.transform import Rotation

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from metrics.head_shape import find_face_vertices, read_angles_deg  # pyright: ignore[reportMissingImports]
from portraitist.reconstruction.fitting import SKIN_POINTS
from portraitist.reconstruction.head_model import HeadModel, load_head_model
from portraitist.reconstruction.landmark_noise import view_terms

ASSET = Path(__file__).resolve().parents[2] / "src" / "portraitist" / "assets" / "detector_errors.safetensors"
RANK = 128
RIDGE = 1e-3  # per face, against bias terms that few faces speak for
INDEPENDENT_SHARE = 0.1  # of the learnt variance: covariances from a sample are overrated
FLOOR = 0.0003  # meters: rounding of points, what no face of the set showed
MISFIT = 0.008  # meters: the basis' misfit per coordinate, counted as if every vertex were off by itself
BESIDE_FACE = 0.3  # weight of ears, scalp and neck


class HeadProjector:
    """Best identity coefficients of heads in the model's topology, by least squares under the model's prior."""

    def __init__(self, model: HeadModel) -> None:
        self.mean, self.basis = model.mean.double().numpy(), model.identity_basis.double().numpy()
        self.face = find_face_vertices(model.faces.numpy(), model.template.regions.numpy())
        weights = np.zeros(len(self.mean))
        weights[model.vertex_ids("outer_skin").numpy()] = BESIDE_FACE
        weights[self.face] = 1
        self.weighted = (self.basis * weights[:, None]).reshape(len(self.basis), -1) / MISFIT**2
        self.normal = self.weighted @ self.basis.reshape(len(self.basis), -1).T + np.eye(len(self.basis))

    def project(self, neutral: Float[np.ndarray, "n 3"], rounds: int = 4) -> Float[np.ndarray, "i"]:
        """Size and place are the model's, not the head's: found in turn with the coefficients."""
        coefficients = np.zeros(len(self.basis))
        for _ in range(rounds):
            model_head = self.mean + np.einsum("k,knd->nd", coefficients, self.basis)
            middle, middle_of_model = neutral[self.face].mean(0), model_head[self.face].mean(0)
            arms, arms_of_model = neutral[self.face] - middle, model_head[self.face] - middle_of_model
            moved = (neutral - middle) * (arms * arms_of_model).sum() / (arms**2).sum() + middle_of_model
            coefficients = np.linalg.solve(self.normal, self.weighted @ (moved - self.mean).ravel())
        return coefficients


def read_errors(folder: Path, model: HeadModel) -> tuple[Float[np.ndarray, "m d"], Float[np.ndarray, "m 5"]]:
    """Errors of all faces and their mirror images, meters, and the terms of their views."""
    projector, errors, terms = HeadProjector(model), [], []
    corners = model.faces[model.landmarks478.face_ids[:SKIN_POINTS]].numpy()
    weights = model.landmarks478.barycentrics[:SKIN_POINTS].double().numpy()[..., None]
    places = (projector.mean[corners] * weights).sum(1)
    mirror = np.linalg.norm((places * [-1, 1, 1])[:, None] - places, axis=2).argmin(1)
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as face:
            head = projector.mean + np.einsum("k,knd->nd", projector.project(face["neutral"]), projector.basis)
            head += np.einsum("e,end->nd", face["expression"], model.expression_deltas.double().numpy())
            rotation, detected = face["rotation_seen"], face["dense"][:SKIN_POINTS].astype(float) * [1, -1]
        yaw, pitch, roll = np.radians(read_angles_deg(rotation))
        upright = Rotation.from_euler("z", -roll).as_matrix()
        expected = (head[corners] * weights).sum(1) @ (upright @ rotation)[:2].T
        detected = detected @ upright[:2, :2].T
        expected, detected = expected - expected.mean(0), detected - detected.mean(0)
        error = detected * (expected * expected).sum() / (expected * detected).sum() - expected
        errors += [error.ravel(), (error[mirror] * [-1, 1]).ravel()]
        terms += [view_terms(yaw, pitch), view_terms(-yaw, pitch)]
    return np.array(errors), np.array(terms)


def learn_errors(errors: np.ndarray, terms: np.ndarray) -> dict[str, np.ndarray]:
    """Bias by ridge regression on the view; covariance as principal components and a rest without correlation.

    What is the same in all views is taken out, but not kept: it belongs to the few skins of the set, and where the
    landmarks lie on the model was read off with the detector already.
    """
    with_constant = np.column_stack([np.ones(len(terms)), terms])
    penalty = RIDGE * len(terms) * np.diag([0.0, 1, 1, 1, 1, 1])
    bias_terms = np.linalg.solve(with_constant.T @ with_constant + penalty, with_constant.T @ errors)
    rest = (errors - with_constant @ bias_terms) / np.sqrt(len(errors))
    _, values, directions = np.linalg.svd(rest, full_matrices=False)
    loadings = directions[:RANK].T * values[:RANK] * np.sqrt(1 - INDEPENDENT_SHARE)
    variance = (rest**2).sum(0) - (loadings**2).sum(1) + FLOOR**2
    return {
        "bias_terms": bias_terms[1:].astype(np.float32),
        "variance": variance.astype(np.float32),
        "loadings": np.ascontiguousarray(loadings, np.float16),  # safetensors ignores strides
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Learn the errors of the landmark detector.")
    parser.add_argument("folder", type=Path, help="of render_training_faces.py")
    options = parser.parse_args()
    errors, terms = read_errors(options.folder, load_head_model())
    learnt = learn_errors(errors, terms)
    save_file(learnt, ASSET)
    print(f"{len(errors) // 2} faces, errors {1e3 * np.sqrt((errors**2).mean()):.2f} mm per coordinate")


if __name__ == "__main__":
    main()
