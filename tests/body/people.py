"""Heads on bodies, for tests of what can be done with them: marked heads, flat colors."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from conftest import make_marked_head
from portraitist.body.attachment import attach_body, measure_size
from portraitist.body.body_model import load_body_model
from portraitist.body.border import refine_border
from portraitist.body.clothes import dress_body
from portraitist.body.neck import fit_neck
from portraitist.body.shape import BodyShape, build_figure
from portraitist.body.standing import BODY_LAYERS
from portraitist.devices import to_numpy
from portraitist.mesh.subdivision import coarsen_head
from portraitist.types import REGIONS, Head, Layer, Mesh


def make_person(shape: BodyShape | None = None, head: Head | None = None) -> Head:
    """`make_marked_head`, or another one, on a dressed body."""
    shape, model = shape or BodyShape(), load_body_model()
    figure = build_figure(shape, model)
    whole = fit_neck(head or make_marked_head(32), figure, float(shape.head_scale), model)
    head = coarsen_head(whole)
    neutral = to_numpy(head.neutral, np.float64)
    scale = measure_size(neutral, head.mesh) / figure.head_size / shape.head_scale
    body = attach_body(figure.vertices, neutral, scale, model)
    skin = (model.skin_faces, model.skin_uvs, model.skin_uv_faces)
    cloth = (model.clothes_faces, model.clothes_uvs, model.clothes_uv_faces)
    layers = (
        refine_border(_make_layer("body", body, *skin), whole, model),
        _make_layer("clothes", dress_body(body, scale, model), *cloth),
    )
    covers = tuple(layer for layer in head.layers if layer.name not in ("bust", *BODY_LAYERS))
    return dataclasses.replace(whole, layers=(*covers, *layers), height=figure.height)


def _make_layer(name: str, places: np.ndarray, faces: np.ndarray, uvs: np.ndarray, uv_faces: np.ndarray) -> Layer:
    vertices = torch.from_numpy(places.astype(np.float32))
    regions = torch.full((len(faces),), REGIONS.index(name))
    mesh = Mesh(
        vertices, torch.from_numpy(faces), torch.from_numpy(uvs.astype(np.float32)), torch.from_numpy(uv_faces), regions
    )
    return Layer(name, mesh, torch.full((3, 16, 16), 0.2 + 0.4 * (name == "body")), vertices)
