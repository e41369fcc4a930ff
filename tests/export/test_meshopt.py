"""Compressed vertices are the same bit for bit once they are decoded, as the format's specification says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pygltflib as gl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import add_layers, make_head
from export.gltf_validator import assert_valid, needs_validator
from portraitist import GlbForm, InputError, write_glb
from portraitist.export.meshopt import MESHOPT, encode_attributes
from portraitist.io.glb_file import read_glb


def decode(data: bytes, count: int, stride: int) -> np.ndarray:
    """Slow, after EXT_meshopt_compression, appendix A, mode 0."""
    assert data[0] == 0xA0
    place, last = 1, list(data[len(data) - stride :])
    elements = np.zeros((count, stride), np.uint8)
    block = min((8192 // stride) & ~15, 256)
    for start in range(0, count, block):
        rows = min(block, count - start)
        groups = -(-rows // 16)
        for byte in range(stride):
            header = data[place : place + -(-groups // 4)]
            place += len(header)
            deltas: list[int] = []
            for group in range(groups):
                mode = header[group // 4] >> 2 * (group % 4) & 3
                if mode == 0:
                    deltas += [0] * 16
                elif mode == 3:
                    deltas += data[place : place + 16]
                    place += 16
                else:
                    bits = 2 * mode
                    packed = data[place : place + 2 * bits]
                    place += 2 * bits
                    for number in range(16):
                        code = packed[number * bits // 8] >> (8 - bits - number * bits % 8) & (1 << bits) - 1
                        if code == (1 << bits) - 1:
                            code = data[place]
                            place += 1
                        deltas.append(code)
            for row in range(rows):
                delta = deltas[row]
                last[byte] = (last[byte] + (-(delta >> 1) - 1 if delta & 1 else delta >> 1)) % 256
                elements[start + row, byte] = last[byte]
    assert place == len(data) - max(stride, 32), "bytes are left over"
    return elements


@settings(deadline=None)  # the decoder is slow
@given(
    count=st.integers(1, 600),
    stride=st.sampled_from([4, 8, 12, 16, 64, 256]),
    spread=st.sampled_from([0, 1, 2, 9, 255]),
    seed=st.integers(0, 1000),
)
def test_decoded_it_is_what_went_in(count: int, stride: int, spread: int, seed: int):
    """From what never changes to what is nothing but noise."""
    random = np.random.default_rng(seed)
    steps = random.integers(-spread, spread + 1, (count, stride)) * (random.random((count, stride)) < 0.6)
    elements = (np.cumsum(steps, axis=0) % 256).astype(np.uint8)
    np.testing.assert_array_equal(decode(encode_attributes(elements), count, stride), elements)


def test_what_does_not_change_takes_next_to_nothing():
    assert len(encode_attributes(np.full((4096, 8), 7, np.uint8))) < 4096 * 8 // 40


@pytest.mark.parametrize("quantized", [True, False])
def test_every_view_of_the_file_is_that_of_the_plain_one(quantized: bool, tmp_path: Path):
    head = add_layers(make_head())
    write_glb(tmp_path / "plain.glb", head, GlbForm(quantized=quantized, dense=True))
    write_glb(tmp_path / "packed.glb", head, GlbForm(quantized=quantized, compressed=True))
    plain, packed = (gl.GLTF2().load(str(tmp_path / name)) for name in ("plain.glb", "packed.glb"))
    assert MESHOPT in packed.extensionsRequired
    assert packed.buffers[1].extensions == {MESHOPT: {"fallback": True}}
    before, after = plain.binary_blob(), packed.binary_blob()
    decoded = 0
    for view, other in zip(plain.bufferViews, packed.bufferViews, strict=True):
        data = before[view.byteOffset : view.byteOffset + view.byteLength]
        if other.buffer == 0:
            assert after[other.byteOffset : other.byteOffset + other.byteLength] == data
            continue
        place = other.extensions[MESHOPT]
        part = after[place["byteOffset"] : place["byteOffset"] + place["byteLength"]]
        assert decode(part, place["count"], place["byteStride"]).tobytes() == data
        assert other.byteOffset + other.byteLength <= packed.buffers[1].byteLength
        decoded += 1
    assert decoded > 150
    assert (tmp_path / "packed.glb").stat().st_size < 0.6 * (tmp_path / "plain.glb").stat().st_size


@needs_validator
def test_khronos_finds_nothing(tmp_path: Path):
    form = GlbForm(quantized=True, compressed=True, visemes=True, looks=("toon", "lit"))
    write_glb(tmp_path / "head.glb", add_layers(make_head()), form)
    assert_valid(tmp_path / "head.glb")


def test_it_is_refused_where_it_cannot_be_read(tmp_path: Path):
    write_glb(tmp_path / "head.glb", make_head(), GlbForm(compressed=True))
    with pytest.raises(InputError, match=f"needs {MESHOPT}.*without compression"):
        read_glb(tmp_path / "head.glb")
