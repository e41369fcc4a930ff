"""Bodies are as tall, as heavy and as old as they are asked to be, or it is said why not."""

from __future__ import annotations

import math

import numpy as np
import pytest

from portraitist.body.body_model import load_body_model
from portraitist.body.shape import BodyShape, build_figure
from portraitist.body.skeleton import JOINTS
from portraitist.errors import InputError

MODEL = load_body_model()


def test_the_average_body_is_of_average_height_and_weight():
    for sex, height in ((0.0, 1.765), (0.5, 1.6985), (1.0, 1.632)):
        figure = build_figure(BodyShape(sex=sex), MODEL)
        assert figure.height == pytest.approx(height, abs=2e-3)
        assert 18.5 < figure.weight / figure.height**2 < 25


@pytest.mark.parametrize(("height", "weight"), [(1.55, 46.0), (1.7, 62.0), (1.95, 95.0)])
def test_height_and_weight_are_met(height, weight):
    figure = build_figure(BodyShape(height=height, weight=weight), MODEL)
    own = figure.vertices[: MODEL.count]
    assert figure.vertices[-1, 1] - own[:, 1].min() == pytest.approx(height, abs=2e-3)
    assert figure.weight == pytest.approx(weight, rel=2e-3)


def test_children_are_small_with_large_heads_and_women_narrow_shoulders():
    child, man, woman = (build_figure(BodyShape(age, sex), MODEL) for age, sex in ((6, 0.5), (30, 0.0), (30, 1.0)))
    assert child.height < 1.3
    assert child.head_size / child.height > 1.15 * man.head_size / man.height
    shoulders = [
        np.ptp(MODEL.find_joints(figure.vertices[: MODEL.count])[:, 0][[7, 30]]) / figure.height
        for figure in (man, woman)
    ]
    assert shoulders[1] < shoulders[0]


def find_shoulder(vertices: np.ndarray) -> float:
    """How high its left shoulder is over the joint, meters."""
    x, y, _ = MODEL.find_joints(vertices)[JOINTS["leftUpperArm"]]
    return float(vertices[np.abs(vertices[:, 0] - x) < 0.02, 1].max() - y)


@pytest.mark.parametrize(("age", "weights"), [(30.0, (94.0, 110.0)), (75.0, (88.0, 102.0))])
def test_fat_lies_on_the_trunk_and_is_round(age, weights):
    """Of two stout men the stouter one has no higher shoulders, no thicker wrists, and no deeper folds."""
    stout, stouter = (
        build_figure(BodyShape(age, sex=0.0, height=1.85, weight=weight), MODEL).vertices[: MODEL.count]
        for weight in weights
    )
    assert find_shoulder(stouter) - find_shoulder(stout) < 0.004
    joints = MODEL.spread_weights()
    moved = np.linalg.norm(stouter - stout, axis=1)
    assert moved[joints[:, [JOINTS["leftHand"], JOINTS["rightFoot"]]].sum(1) > 0.99].max() < 0.004
    middle = joints[:, [JOINTS["hips"], JOINTS["spine"], JOINTS["chest"]]].sum(1) > 0.9
    belly = middle & (stout[:, 2] > stout[middle, 2].mean())
    assert moved[belly].mean() > 0.015
    first, second = np.concatenate([MODEL.faces[:, [i, (i + 1) % 3]] for i in range(3)]).T
    apart = np.linalg.norm((stouter - stout)[first] - (stouter - stout)[second], axis=1)
    strain = apart / np.linalg.norm(stout[first] - stout[second], axis=1)
    assert np.quantile(strain[middle[first]], 0.99) < 0.3


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        (BodyShape(age=1), "age of a body is 2 to 90"),
        (BodyShape(sex=1.5), "sex of a body is 0 to 1"),
        (BodyShape(head_scale=2), "head scale of a body is 1 to 1.5"),
        (BodyShape(proportions=-1), "proportions of a body is 0 to 1"),
        (BodyShape(height=3), "m tall, got 3 m"),
        (BodyShape(age=8, height=1.9), "At 8 years"),
        (BodyShape(weight=300), "got 300 kg"),
        (BodyShape(weight=20), "got 20 kg"),
        (BodyShape(age=math.nan), "got nan"),
        (BodyShape(height=math.nan), "got nan m"),
        (BodyShape(weight=math.nan), "got nan kg"),
        (BodyShape(height=0), "got 0 m"),
        (BodyShape(weight=0), "got 0 kg"),
    ],
)
def test_bodies_that_there_are_not_are_told(shape, words):
    with pytest.raises(InputError, match=words) as error:
        build_figure(shape, MODEL)
    assert len(str(error.value)) < 160
