"""The constants of ``geometry/whole_head.py`` and ``depth.py``: python training/whole_head_priors.py

Maximum likelihood of the frontal deviations of the annotated paintings, under a Gaussian whose parts are the head
model's heads enlarged, an elongation, smooth local movement and noise of single points. Elongation is fitted without
the head model, too: see there. Symmetric and asymmetric movement are told apart on paintings seen from the front. A
minute once the fits are cached.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from frontal_shapes import read_art_shapes
from portraitist.geometry.shape_space import measure_deviation
from portraitist.geometry.translation import mean_face
from portraitist.landmarks.ibug68 import MIRROR_IDS, outer_eye_distance
from portraitist.landmarks.refinement import load_annotated_deviation
from portraitist.reconstruction.head_model import HeadModel, load_head_model

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
POINTS = slice(0, 60)  # the inner lips go with the outer ones
START = {
    "enlargement": 1.0, "elongation": 0.1, "symmetric (m)": 0.005, "asymmetric (m)": 0.005, "reach (m)": 0.025,
    "point (m)": 0.002,
}  # fmt: skip
ABSENT = 1e-9
FRONTAL_DEG = 10.0  # of yaw


def read_paintings(model: HeadModel, most_yaw_deg: float = 90.0) -> Float[Tensor, "n 60 2"]:
    """Frontal deviations from a normal face in the annotators' manner, meters."""
    shapes = read_art_shapes(DATA)
    chosen = shapes.fitted & (shapes.source == "artistic_faces") & (np.abs(shapes.angles_deg[:, 0]) < most_yaw_deg)
    mean = mean_face(model).double() + torch.from_numpy(load_annotated_deviation())
    seen = measure_deviation(torch.from_numpy(shapes.points[chosen]).double(), mean)
    return seen[:, POINTS] * outer_eye_distance(model.landmarks68.positions(model.mean, model.faces)[:, :2]).double()


def find_parts(model: HeadModel) -> tuple[Float[Tensor, "60 2"], Float[Tensor, "k 60 2"]]:
    """Landmarks of the mean head about their middle, and what they move per coefficient (meters)."""
    points = model.landmarks68.positions(model.mean, model.faces).double()
    corners = model.faces[model.landmarks68.face_ids]
    moves = (model.identity_basis[:, corners] * model.landmarks68.barycentrics[None, :, :, None]).sum(2).double()
    return (points - points.mean(0))[POINTS, :2], moves[:, POINTS, :2]


def maximize_likelihood(
    seen: Float[Tensor, "n 60 2"], points: Float[Tensor, "60 2"], moves: Float[Tensor, "k 60 2"],
    absent: str | None = None, *, symmetric: bool = False,
) -> dict[str, float]:  # fmt: skip
    """The constants, but for one that is left out; similarities of the plane are projected out of everything.

    ``symmetric``: heads are as probable mirrored, and local movement may be more or less alike on both sides.
    """
    x, y = points.T
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    placed = torch.stack([torch.stack(pair, 1).flatten() for pair in ((one, zero), (zero, one), (x, y), (-y, x))])
    rest = torch.linalg.svd(placed, full_matrices=True)[2][4:]
    scatter = rest @ seen.flatten(1).T @ seen.flatten(1) @ rest.T / len(seen)
    elongated = torch.stack([x, -y], 1).flatten()
    apart, plane = torch.cdist(points, points).square(), torch.eye(2, dtype=torch.float64)
    other_side = torch.eye(60, dtype=torch.float64)[list(MIRROR_IDS[POINTS])]
    mirror = torch.kron(other_side, torch.diag(points.new_tensor([-1, 1])))
    heads = moves.flatten(1).T @ moves.flatten(1)
    if symmetric:
        heads = (heads + mirror @ heads @ mirror.T) / 2
    alike, unlike = (torch.eye(120) + mirror) / 2, (torch.eye(120) - mirror) / 2
    parameters = torch.tensor([ABSENT if name == absent else START[name] for name in START]).double().log()
    parameters.requires_grad_()

    def find_loss() -> Tensor:
        enlargement, elongation, both, one_side, reach, point = parameters.exp()
        one_side = one_side if symmetric else both
        smooth = torch.kron(torch.exp(-apart / (2 * reach**2)), plane)
        whole = enlargement**2 * heads + both**2 * alike @ smooth @ alike.T + one_side**2 * unlike @ smooth @ unlike.T
        whole = whole + elongation**2 * torch.outer(elongated, elongated) + point**2 * torch.eye(len(elongated))
        factor = torch.linalg.cholesky(rest @ whole @ rest.T)
        return (torch.cholesky_inverse(factor) * scatter).sum() + 2 * factor.diagonal().log().sum()

    optimizer = torch.optim.LBFGS([parameters], max_iter=200, line_search_fn="strong_wolfe")

    def step() -> Tensor:
        optimizer.zero_grad()
        loss = find_loss()
        loss.backward()
        if absent and parameters.grad is not None:
            parameters.grad[list(START).index(absent)] = 0
        return loss

    optimizer.step(step)
    found = dict(zip(START, parameters.exp().tolist(), strict=True))
    return found if symmetric else found | {"asymmetric (m)": found["symmetric (m)"]}


def main() -> None:
    model = load_head_model()
    seen, (points, moves) = read_paintings(model), find_parts(model)
    rows = {
        "all": maximize_likelihood(seen, points, moves),
        "without enlargement": maximize_likelihood(seen, points, moves, "enlargement"),
        "from the front": maximize_likelihood(read_paintings(model, FRONTAL_DEG), points, moves, symmetric=True),
    }
    for name, found in rows.items():
        print(f"{name}:", {key: float(np.round(value, 4)) for key, value in found.items()})


if __name__ == "__main__":
    main()
