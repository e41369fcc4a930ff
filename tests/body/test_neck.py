"""A head that is too large for its body has a neck that fits both."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from body.people import make_person
from conftest import make_marked_head
from portraitist.body.attachment import measure_size
from portraitist.body.body_model import load_body_model
from portraitist.body.neck import fit_neck
from portraitist.body.shape import BodyShape, build_figure
from portraitist.body.skeleton import JOINTS
from portraitist.body.skin import find_joints
from portraitist.devices import to_numpy
from portraitist.mesh.laplacian import vertex_normals
from portraitist.types import REGIONS, Head

MODEL = load_body_model()


def measure_ring(head: Head) -> float:
    """Its length, meters."""
    ring = to_numpy(head.neutral, np.float64)[MODEL.ring_head]
    return float(np.linalg.norm(ring - np.roll(ring, 1, 0), axis=1).sum())


@pytest.mark.parametrize("age", [7.0, 30.0])
def test_the_neck_is_as_wide_for_the_shoulders_as_that_of_anybody(age: float):
    shares = []
    for head_scale in (1.0, 1.25, 1.5):
        person = make_person(BodyShape(age=age, head_scale=head_scale))
        joints = to_numpy(find_joints(person), np.float64)
        shoulders = np.linalg.norm(joints[JOINTS["leftUpperArm"]] - joints[JOINTS["rightUpperArm"]])
        shares.append(measure_ring(person) / shoulders)
    assert shares[1:] == pytest.approx([shares[0]] * 2, rel=0.02)


def test_all_but_the_neck_stays_and_expressions_add_up():
    head = make_marked_head(32)
    fitted = fit_neck(head, build_figure(BodyShape(), MODEL), 1.5, MODEL)
    faces = head.mesh.faces
    others = torch.unique(faces[head.mesh.regions != REGIONS.index("neck")])
    assert torch.equal(fitted.neutral[others], head.neutral[others])
    assert torch.equal(fitted.expression_deltas[:, others], head.expression_deltas[:, others])
    assert torch.equal(fitted.original[others], head.original[others])
    assert measure_ring(fitted) == pytest.approx(measure_ring(head) / 1.5, rel=1e-4)
    added = fitted.neutral + torch.einsum("e,end->nd", fitted.expression, fitted.expression_deltas)
    torch.testing.assert_close(added, fitted.mesh.vertices, atol=2e-6, rtol=0)


def test_a_head_as_large_as_its_body_asks_for_keeps_its_neck():
    head = make_marked_head(32)
    assert fit_neck(head, build_figure(BodyShape(), MODEL), 1.0, MODEL) is head


def test_there_is_no_crease_where_the_neck_begins():
    """Normals turn evenly: at its upper end no more than in its middle."""
    head = make_marked_head(32)
    fitted = fit_neck(head, build_figure(BodyShape(), MODEL), 1.5, MODEL)
    faces = to_numpy(head.mesh.faces)
    before, after = (vertex_normals(to_numpy(each.neutral, np.float64), faces) for each in (head, fitted))
    turned = np.degrees(np.arccos((before * after).sum(1).clip(-1, 1)))
    is_neck = to_numpy(head.mesh.regions) == REGIONS.index("neck")
    border = np.intersect1d(faces[is_neck], faces[~is_neck])
    inside = np.setdiff1d(faces[is_neck], border)
    assert turned[border].mean() < 0.5 * turned[inside].mean()
    assert turned[inside].max() < 45


def test_the_head_turns_on_the_same_point_of_it():
    places = []
    for head_scale in (1.0, 1.5):
        person = make_person(BodyShape(head_scale=head_scale))
        size = measure_size(to_numpy(person.neutral, np.float64), person.mesh)
        places.append(to_numpy(find_joints(person), np.float64)[JOINTS["head"]] / size)
    assert np.linalg.norm(places[1] - places[0]) < 0.03
