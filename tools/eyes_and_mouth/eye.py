"""Iris and sclera, painted in polar coordinates around the pupil: rows are angles from it, columns go around it."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from portraitist.rendering.shader_math import mix, smoothstep

COLUMNS = 512
IRIS_ROWS = 128  # from the pupil's middle to the limbus
SCLERA_ROWS = 128  # from the pupil's middle to FARTHEST
FARTHEST = 4.0  # iris radii
SHADE_ROWS = 64  # elevations from the axis, -60 to 60 degrees
SHADE_DEG = 60.0
PUPIL = 0.36
WHITE = np.array([0.93, 0.91, 0.89])
VEIN = np.array([0.78, 0.38, 0.34])
BACK = np.array([0.86, 0.70, 0.67])


def paint_iris() -> np.ndarray:
    """[2, rows, columns]: half the brightness against the iris' own color, and the pupil's share."""
    radius = ((np.arange(IRIS_ROWS) + 0.5) / IRIS_ROWS)[:, None]
    random = np.random.default_rng(5)
    fibers = np.zeros((IRIS_ROWS, COLUMNS))
    for along, across, strength in ((24, 1.0, 1.0), (40, 2.5, 0.8), (14, 0.6, 0.5)):
        grain = random.standard_normal((IRIS_ROWS, COLUMNS))
        grain = gaussian_filter(grain, (along, across), mode=("nearest", "wrap"))
        fibers += strength * grain / grain.std()
    fibers /= fibers.std()
    wave = gaussian_filter1d(random.standard_normal(COLUMNS), 9, mode="wrap")
    wave /= wave.std()
    collarette = PUPIL + 0.20 + 0.02 * wave[None]
    relief = 1 + 0.16 * fibers * smoothstep(radius, PUPIL, PUPIL + 0.15)
    relief += 0.22 * np.exp(-(((radius - collarette) / 0.07) ** 2))
    relief *= mix(0.72, 1.0, smoothstep(radius, PUPIL - 0.02, PUPIL + 0.10))
    relief *= mix(1.0, 0.42, smoothstep(radius, 0.80, 1.0))
    # Light falls in from above and comes out below, opposite: the iris is brighter there.
    turn = 2 * np.pi * (np.arange(COLUMNS) + 0.5) / COLUMNS
    relief *= 1 - 0.16 * np.sin(turn)[None]
    pupil = np.broadcast_to(smoothstep(radius, PUPIL + 0.025, PUPIL - 0.025), relief.shape)
    return np.stack([relief / 2, pupil])


def paint_sclera() -> np.ndarray:
    """[3, rows, columns], from the pupil's middle to FARTHEST iris radii: white, veins, redder towards the corners."""
    radius = (FARTHEST * (np.arange(SCLERA_ROWS) + 0.5) / SCLERA_ROWS)[:, None]
    random = np.random.default_rng(11)
    veins = np.zeros((SCLERA_ROWS, COLUMNS))
    for _ in range(46):
        column = random.uniform(0, COLUMNS)
        end = random.uniform(1.35, 2.4)  # iris radii: how near it comes
        width = random.uniform(0.8, 1.8)
        drift = 0.0
        for row in range(SCLERA_ROWS - 1, -1, -1):
            r = np.float64(FARTHEST * (row + 0.5) / SCLERA_ROWS)
            if r < end:
                break
            drift = 0.85 * drift + random.normal(0, 1.1)
            column += drift * 0.6
            offset = (np.arange(COLUMNS) - column + COLUMNS / 2) % COLUMNS - COLUMNS / 2
            strength = 0.6 * smoothstep(r, end, end + 0.8)
            veins[row] = np.maximum(veins[row], strength * np.exp(-((offset / width) ** 2)))
    veins = gaussian_filter(veins, (0.7, 0.7), mode=("nearest", "wrap"))
    color = mix(WHITE, BACK, (0.85 * smoothstep(radius, 1.6, 3.2))[..., None])
    color = np.broadcast_to(color, (SCLERA_ROWS, COLUMNS, 3))
    color = mix(color, VEIN, (0.42 * veins)[..., None])
    # The limbus is a soft ring, grayish before it becomes white.
    color = color * mix(0.80, 1.0, smoothstep(radius, 0.98, 1.22))[..., None]
    return color.transpose(2, 0, 1)


def paint_lid_shade() -> np.ndarray:
    """[rows]: what the lids leave of the light, by elevation of the ball's texel over its axis, from below upwards."""
    lift = SHADE_DEG * (2 * (np.arange(SHADE_ROWS) + 0.5) / SHADE_ROWS - 1)
    return 1 - 0.27 * smoothstep(lift, 4.0, 28.0) - 0.12 * smoothstep(-lift, 10.0, 40.0)
