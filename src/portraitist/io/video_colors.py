"""HDR video as ordinary pictures: 16-bit BT.2020 values in PQ or HLG to 8-bit sRGB."""

from __future__ import annotations

import functools

import numpy as np

PQ, HLG = 16, 18
"""Codes of the HDR transfer functions (ITU-T H.273): SMPTE ST 2084 and ARIB STD-B67."""

DIFFUSE_WHITE_NITS = 203.0  # ITU-R BT.2408: white paper in HDR, which is 1 in sRGB
PEAK_NITS = 1000.0  # ITU-R BT.2408: of the reference display for HLG
KNEE = 0.5  # of diffuse white, in light: skin in the shade is below
BT2020_TO_SRGB = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)  # linear light, ITU-R BT.2087
LEVELS = 4096  # of the table from linear light to sRGB


def hdr_to_srgb(values: np.ndarray, transfer: int) -> np.ndarray:
    """``values [h, w, 3]`` uint16, BT.2020 colors in the transfer function ``transfer`` (`PQ` or `HLG`), as uint8 sRGB.

    What is darker than half of diffuse white stays as it is; from there on a curve that never reaches white leaves
    highlights their shades. It is that of the brightest channel, so that hues stay.
    """
    light = (_linear_table(transfer)[values] @ BT2020_TO_SRGB.T).clip(min=0)  # below 0 are colors that sRGB has not
    brightest = light.max(2, keepdims=True)
    over = np.maximum(brightest - KNEE, 0) / (1 - KNEE)
    light *= np.where(over > 0, (KNEE + (1 - KNEE) * (1 - np.exp(-over))) / np.maximum(brightest, KNEE), 1)
    return _srgb_table()[(light * (LEVELS - 1)).astype(np.int32)]


@functools.cache
def _linear_table(transfer: int) -> np.ndarray:
    """Light of each 16-bit value, 1 at diffuse white."""
    signal = np.arange(65536) / 65535
    nits = _pq_to_nits(signal) if transfer == PQ else _hlg_to_nits(signal)
    return (nits / DIFFUSE_WHITE_NITS).astype(np.float32)


def _pq_to_nits(signal: np.ndarray) -> np.ndarray:
    """SMPTE ST 2084."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    root = signal ** (1 / m2)
    return 10_000 * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)


def _hlg_to_nits(signal: np.ndarray) -> np.ndarray:
    """ARIB STD-B67 on a display of `PEAK_NITS`, whose gamma is applied channel by channel."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    return PEAK_NITS * scene**1.2


@functools.cache
def _srgb_table() -> np.ndarray:
    """sRGB bytes of `LEVELS` steps of light."""
    light = np.arange(LEVELS) / (LEVELS - 1)
    encoded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return (255 * encoded).round().astype(np.uint8)
