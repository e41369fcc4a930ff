"""Which body: age, sex, height, weight and proportions, as people say them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
from jaxtyping import Float

from portraitist.body.body_model import ANCHORS, BodyModel
from portraitist.body.stoutness import find_fat
from portraitist.errors import InputError

YOUNGEST, OLDEST = 2.0, 90.0
AGES = (1.0, 10.0, 25.0, 90.0)  # years of the bodies at the anchors of age, as MakeHuman has them
# Median heights in meters by age in years (WHO growth reference, 2007): between girls and boys.
GROWTH_YEARS = (2.0, 5.0, 8.0, 11.0, 14.0, 19.0)
GROWTH_MALE = (0.871, 1.1, 1.273, 1.431, 1.632, 1.765)
GROWTH_FEMALE = (0.857, 1.094, 1.266, 1.45, 1.598, 1.632)
DENSITY = 980.0  # kg/m^3 of a body, as Anny has it
TALLNESS = (0.0, 1.0)  # along the anchors of height
STOUTNESS = (-0.25, 4.0)  # along those of weight, beyond the last ones, too: up to a body mass index of about 33
SEARCH_STEPS = 14  # halvings of an interval
ROUNDS = 4  # in which height and weight, each of which changes the other a little, are both met
TOLERANCE = 0.005  # meters or shares of kilograms by which a wish may be missed


@dataclass(frozen=True)
class BodyShape:
    """``age``: years, 2 to 90. ``sex``: 0 male, 1 female, or between. ``height``: meters, without shoes; None: the
    median of that age and sex. ``weight``: kilograms, or None: neither thin nor stout. ``proportions``: 0 as most
    people have them, 1 ideal ones. ``head_scale``: how many times as large as a person's the head is, 1 to 1.5."""

    age: float | int = 30.0
    sex: float | int = 0.5
    height: float | int | None = None
    weight: float | int | None = None
    proportions: float | int = 0.5
    head_scale: float | int = 1.0


@dataclass(frozen=True)
class Figure:
    """A body. ``vertices``: as those of ``BodyModel.mean``, meters. ``head_size``: of the head that belongs to it, as
    ``measure_size`` has it. ``height``: meters. ``weight``: kilograms."""

    vertices: Float[np.ndarray, "v 3"]
    head_size: float
    height: float
    weight: float


def build_figure(shape: BodyShape, model: BodyModel) -> Figure:
    """The body that is asked for. Raises InputError for a value that no body of the model has."""
    for name, low, high in (("age", YOUNGEST, OLDEST), ("sex", 0, 1), ("proportions", 0, 1), ("head_scale", 1, 1.5)):
        value = getattr(shape, name)
        if not low <= value <= high:
            raise InputError(f"The {name.replace('_', ' ')} of a body is {low:g} to {high:g}, got {value:g}.")
    median = _find_median_height(float(shape.age), float(shape.sex))
    wanted = median if shape.height is None else float(shape.height)
    share_of_height = share_of_weight = 0.5

    def make(height: float, weight: float) -> Figure:
        age = np.interp(shape.age, AGES, ANCHORS[1])
        return _mix(np.array([shape.sex, float(age), weight, height, shape.proportions], float), model)

    for _ in range(ROUNDS):
        weight = share_of_weight
        share_of_height = _search(lambda share, weight=weight: make(share, weight).height, wanted, *TALLNESS)
        if shape.weight is not None:
            height = share_of_height
            share_of_weight = _search(
                lambda share, height=height: make(height, share).weight, float(shape.weight), *STOUTNESS
            )
    figure = make(share_of_height, share_of_weight)
    _check(shape, figure, make)
    return figure


def _find_median_height(age: float, sex: float) -> float:
    male, female = (float(np.interp(age, GROWTH_YEARS, table)) for table in (GROWTH_MALE, GROWTH_FEMALE))
    return (1 - sex) * male + sex * female


def _search(measure: Callable[[float], float], wanted: float, low: float, high: float) -> float:
    """Where between two ends a growing measure is as wanted, or the end that is nearest to that."""
    for _ in range(SEARCH_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if measure(middle) < wanted else (low, middle)
    return (low + high) / 2


def _check(shape: BodyShape, figure: Figure, make: Callable[[float, float], Figure]) -> None:
    # Not "more than": nothing is less or more than what is no number.
    if shape.height is not None and not abs(figure.height - shape.height) <= TOLERANCE:
        low, high = (make(share, 0.5).height for share in TALLNESS)
        raise InputError(
            f"At {shape.age:g} years a body is {low:.2f} to {high:.2f} m tall, got {shape.height:g} m. Give another "
            "height or age."
        )
    if shape.weight is not None and not abs(figure.weight - shape.weight) <= TOLERANCE * shape.weight:
        tall = figure.height
        share = _search(lambda share: make(share, 0.5).height, tall, *TALLNESS)
        low, high = (make(share, weight).weight for weight in STOUTNESS)
        raise InputError(
            f"A body of {shape.age:g} years and {tall:.2f} m weighs {low:.0f} to {high:.0f} kg, got {shape.weight:g} "
            "kg. Give another weight or height."
        )


def _mix(values: Float[np.ndarray, "5"], model: BodyModel) -> Figure:
    """The body between those at the anchors, linear along each value; stouter than the last ones with more fat."""
    sex, age, weight, height, proportions = values.tolist()
    leaner, stoutest = (float(anchor) for anchor in ANCHORS[2][-2:])
    weights = _weigh((sex, age, min(weight, stoutest), height, proportions))
    vertices = model.mean + np.tensordot(weights @ model.coefficients, model.basis, 1)
    if weight > stoutest:
        more = (weights - _weigh((sex, age, leaner, height, proportions))) / (stoutest - leaner) * (weight - stoutest)
        vertices[: model.count] += np.tensordot(more @ model.coefficients, find_fat(), 1)
    volume = measure_volume(vertices, model) + float(weights @ model.head_volumes)
    tall = float(vertices[-1, 1] - vertices[: model.count, 1].min())
    return Figure(vertices, float(weights @ model.head_sizes), tall, DENSITY * volume)


def _weigh(values: tuple[float, ...]) -> Float[np.ndarray, "s"]:
    """How much of the body at each of all anchors there is."""
    axes = [_share(value, np.array(at, float)) for value, at in zip(values, ANCHORS, strict=True)]
    return np.array([np.prod(each) for each in product(*axes)])


def _share(value: float, anchors: Float[np.ndarray, "a"]) -> Float[np.ndarray, "a"]:
    """How much of each anchor there is in a value between two of them, or below the first two."""
    first = int(np.clip(np.searchsorted(anchors, value) - 1, 0, len(anchors) - 2))
    share = (value - anchors[first]) / (anchors[first + 1] - anchors[first])
    shares = np.zeros(len(anchors))
    shares[first : first + 2] = 1 - share, share
    return shares


def measure_volume(vertices: Float[np.ndarray, "v 3"], model: BodyModel) -> float:
    """Of the body below the ring, m^3."""
    corners = (vertices - vertices[model.ring].mean(0))[model.faces]
    return float((corners[:, 0] * np.cross(corners[:, 1], corners[:, 2])).sum() / 6)
