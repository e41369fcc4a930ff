"""Color transfer between two sets of colors: the tone curve of one, and its hues at each tone."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

# Luminance and two opponent colors (orthonormal): moving along one axis leaves the others alone, so that an error in
# hue cannot hide behind a matching brightness.
_DECORRELATE = ((0.57735, 0.57735, 0.57735), (0.70711, -0.70711, 0.0), (0.40825, 0.40825, -0.81650))
QUANTILES = 65  # of luminance, that are matched
STEEPEST = 2.5  # slope of the tone curve
LARGEST_HUE_GAIN = 1.5  # of a hue's own deviation
HUE_WINDOW = 1 / 12  # of the range of luminance, over which hues are averaged
CHROMA_SPREADS = 1.5  # standard deviations of the artwork's hues that stay as they are


def decorrelate(rgb: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 3"]:
    """sRGB to luminance and two opponent colors. A rotation: lengths stay as they are."""
    return rgb @ rgb.new_tensor(_DECORRELATE).T


def recorrelate(colors: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 3"]:
    """Inverse of `decorrelate`."""
    return colors @ colors.new_tensor(_DECORRELATE)


def transfer_colors(
    colors: Float[Tensor, "n 3"], source: Float[Tensor, "k 3"], target: Float[Tensor, "m 3"]
) -> Float[Tensor, "n 3"]:
    """Recolor so that the ``source`` colors (a face) get the distribution of ``target`` (the face in the artwork).

    Luminance is mapped quantile to quantile. A tone takes the mean hue that the artwork has at that luminance, plus its
    own deviation from the mean hue that the source has there, scaled to the artwork's spread. So shadows become the
    artwork's shadows; matching means and covariances instead would carry dark hair to colors found nowhere in it.
    """
    ranks = torch.linspace(0, 1, QUANTILES, device=colors.device, dtype=colors.dtype)
    source, target = decorrelate(source), decorrelate(target)
    tones_in, tones_out = (torch.quantile(x[:, 0].contiguous(), ranks) for x in (source, target))
    tones_out = _limit_slope(tones_in, tones_out)
    hues_in, hues_out = _mean_hues(source, tones_in), _mean_hues(target, tones_out)
    spread_in, spread_out = (
        (x[:, 1:] - _interpolate(x[:, 0], tones, hues)).std(0)
        for x, tones, hues in ((source, tones_in, hues_in), (target, tones_out, hues_out))
    )
    gain = (spread_out / spread_in.clamp(min=1e-3)).clamp(max=LARGEST_HUE_GAIN)
    given = decorrelate(colors)
    tone = _interpolate(given[:, 0], tones_in, tones_out[:, None])
    hue = _interpolate(tone[:, 0], tones_out, hues_out)
    own = (given[:, 1:] - _interpolate(given[:, 0], tones_in, hues_in)) * gain
    return recorrelate(torch.cat([tone, hue + own], dim=1)).clamp(0, 1)


def limit_chroma(colors: Float[Tensor, "n 3"], target: Float[Tensor, "m 3"]) -> Float[Tensor, "n 3"]:
    """Hues moved no farther from the mean hue that ``target`` has at their luminance than most of ``target`` is.

    A black drawing has no colored specks.
    """
    target = decorrelate(target)
    tones = torch.quantile(target[:, 0].contiguous(), torch.linspace(0, 1, QUANTILES, device=colors.device))
    hues = _mean_hues(target, tones)
    apart = (target[:, 1:] - _interpolate(target[:, 0], tones, hues)).square().sum(1, keepdim=True)
    widths = _mean_hues(torch.cat([target[:, :1], apart], 1), tones).sqrt() * CHROMA_SPREADS
    given = decorrelate(colors)
    middle, width = (_interpolate(given[:, 0], tones, values) for values in (hues, widths))
    away = given[:, 1:] - middle
    reached = away.norm(dim=1, keepdim=True).clamp(min=1e-6)
    # Bent rather than cut: up to the spread unchanged, then ever less.
    kept = torch.where(reached < width, reached, width * (1 + (reached / width.clamp(min=1e-4)).clamp(min=1).log()))
    return recorrelate(torch.cat([given[:, :1], middle + away * (kept.minimum(reached) / reached)], 1)).clamp(0, 1)


def _limit_slope(tones_in: Float[Tensor, "q"], tones_out: Float[Tensor, "q"]) -> Float[Tensor, "q"]:
    """Going out from the median, contrast grows no more than so far: uniform dark hair must not be torn into the black
    and white of a drawn head of hair."""
    rises = torch.minimum(tones_out.diff(), STEEPEST * tones_in.diff())
    climbed = torch.cat([rises.new_zeros(1), rises.cumsum(0)])
    middle = len(climbed) // 2
    return tones_out[middle] + climbed - climbed[middle]


def _mean_hues(colors: Float[Tensor, "n c"], tones: Float[Tensor, "q"]) -> Float[Tensor, "q c-1"]:
    """Mean of all but the luminance near each tone: a Gaussian window of a twelfth of the range, and a pinch of all."""
    width = ((tones[-1] - tones[0]) * HUE_WINDOW).clamp(min=1e-3)
    weights = torch.exp(-0.5 * ((tones[:, None] - colors[None, :, 0]) / width).square()) + 1e-6
    return weights @ colors[:, 1:] / weights.sum(1, keepdim=True)


def _interpolate(
    x: Float[Tensor, "n"], knots: Float[Tensor, "q"], values: Float[Tensor, "q c"]
) -> Float[Tensor, "n c"]:
    """Piecewise linear through (knots, values), constant outside."""
    upper = torch.searchsorted(knots, x.contiguous()).clamp(1, len(knots) - 1)
    low, high = knots[upper - 1], knots[upper]
    share = ((x - low) / (high - low).clamp(min=1e-6)).clamp(0, 1)[:, None]
    return torch.lerp(values[upper - 1], values[upper], share)
