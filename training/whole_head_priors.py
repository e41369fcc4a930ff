"""The constants of ``geometry/whole_head.py``: python training/whole_head_priors.py

Maximum likelihood of the frontal deviations of the annotated paintings, under a Gaussian whose parts are the head
model's heads enlarged, an elongation, smooth local movement and noise of single points. Elongation is fitted without
the head model, too: see there. A minute once the fits are cached.
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
from portraitist.landmarks.ibug68 import outer_eye_distance
from portraitist.landmarks.refinement import load_annotated_deviation
from portraitist.reconstruction.head_model import HeadModel, load_head_model

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
POINTS = slice(0, 60)  # the inner lips go with the outer ones
START = {"enlargement": 1.0, "elongation": 0.1, "local (m)": 0.005, "reach (m)": 0.025, "point (m)": 0.002}
ABSENT = 1e-9


def read_paintings(model: HeadModel) -> Float[Tensor, "n 60 2"]:
    """Frontal deviations from a normal face in the annotators' manner, meters."""
    shapes = read_art_shapes(DATA)
    chosen = shapes.fitted & (shapes.source == "artistic_faces")
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
    seen: Float[Tensor, "n 60 2"], points: Float[Tensor, "60 2"], moves: Float[Tensor, "k 60 2"], absent: str | None
) -> dict[str, float]:
    """The constants, but for one that is left out; similarities of the plane are projected out of everything."""
    x, y = points.T
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    placed = torch.stack([torch.stack(pair, 1).flatten() for pair in ((one, zero), (zero, one), (x, y), (-y, x))])
    rest = torch.linalg.svd(placed, full_matrices=True)[2][4:]
    scatter = rest @ seen.flatten(1).T @ seen.flatten(1) @ rest.T / len(seen)
    elongated = torch.stack([x, -y], 1).flatten()
    apart, plane = torch.cdist(points, points).square(), torch.eye(2, dtype=torch.float64)
    parameters = torch.tensor([ABSENT if name == absent else START[name] for name in START]).double().log()
    parameters.requires_grad_()

    def find_loss() -> Tensor:
        enlargement, elongation, local, reach, point = parameters.exp()
        smooth = torch.kron(local**2 * torch.exp(-apart / (2 * reach**2)), plane)
        whole = enlargement**2 * moves.flatten(1).T @ moves.flatten(1) + smooth
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
    return dict(zip(START, parameters.exp().tolist(), strict=True))


def main() -> None:
    model = load_head_model()
    seen, (points, moves) = read_paintings(model), find_parts(model)
    for absent in (None, "enlargement"):
        found = maximize_likelihood(seen, points, moves, absent)
        print(f"without {absent}:" if absent else "all:", {name: float(np.round(x, 4)) for name, x in found.items()})


if __name__ == "__main__":
    main()
