"""Smoothing takes jitter away and nothing else: no lag, no cut-off blinks, nothing carried over a cut."""

from __future__ import annotations

import numpy as np
import pytest

from portraitist.apps.smoothing import smooth

FRAMES = 300
TIMES = np.arange(FRAMES) / 25
NOISE = 0.01
STILL = slice(220, None)


def act() -> np.ndarray:
    """A blink of five frames every two seconds beside a slow movement, then nothing at all: [t, 2]."""
    blink = np.zeros(FRAMES)
    for start in range(20, 200, 50):
        blink[start : start + 5] = [0.4, 0.9, 1.0, 0.8, 0.3]
    turn = 0.5 * np.sin(2 * np.pi * TIMES / 2.2)
    turn[STILL] = turn[219]
    return np.stack([blink, turn], axis=1)


def film(seed: int = 0) -> np.ndarray:
    return act() + NOISE * np.random.default_rng(seed).normal(size=(FRAMES, 2))


def jitter(values: np.ndarray) -> float:
    return float(np.sqrt((np.diff(values, axis=0) ** 2).mean()))


def test_jitter_goes_and_motion_stays():
    truth, seen = act(), film()
    smoothed = smooth(seen, TIMES, np.ones_like(seen))
    assert jitter(smoothed[STILL]) < 0.3 * jitter(seen[STILL])
    assert np.abs(smoothed - truth).mean() < 0.7 * np.abs(seen - truth).mean()
    assert smoothed[22:200:50, 0].min() > 0.95  # a blink reaches its end
    shifts = [np.abs(smoothed[10:190, 1] - truth[10 + shift : 190 + shift, 1]).mean() for shift in range(-3, 4)]
    assert np.argmin(shifts) == 3  # no lag


def test_what_is_without_noise_stays_as_it_is():
    truth = act()
    still = np.zeros((FRAMES, 1))
    np.testing.assert_array_equal(smooth(still, TIMES, np.ones_like(still)), still)
    smoothed = smooth(truth, TIMES, np.ones_like(truth))
    np.testing.assert_allclose(smoothed[:, 1], truth[:, 1], atol=0.03)
    np.testing.assert_allclose(smoothed[:, 0], truth[:, 0], atol=0.1)  # with nothing else to go by, a blink is rounded


def test_lost_frames_are_bridged():
    seen, trust = film(), np.ones((FRAMES, 2))
    trust[100:108] = 0
    seen[100:108] = np.nan
    smoothed = smooth(seen, TIMES, trust)
    np.testing.assert_allclose(smoothed[100:108, 1], act()[100:108, 1], atol=0.1)


def test_before_the_first_and_after_the_last_sample_all_stands_still():
    seen, trust = film(), np.ones((FRAMES, 2))
    trust[:30] = trust[-30:] = 0
    smoothed = smooth(seen, TIMES, trust)
    assert np.ptp(smoothed[:31], axis=0).max() == 0
    assert np.ptp(smoothed[-31:], axis=0).max() == 0
    np.testing.assert_array_equal(smooth(seen, TIMES, np.zeros_like(trust)), 0)  # nobody there at all


def test_nothing_is_carried_over_a_cut():
    seen = film()
    seen[150:] += 5
    smoothed = smooth(seen, TIMES, np.ones_like(seen), cuts=(150,))
    assert np.abs(smoothed - seen)[145:155].max() < 5 * NOISE
    trust = np.ones_like(seen)
    trust[150:200] = 0  # a shot without the face keeps what was last
    held = smooth(seen, TIMES, trust, cuts=(150, 200))
    assert np.ptp(held[149:200], axis=0).max() == 0


def test_a_gap_in_time_is_no_jump():
    """The same motion with every second frame of a part missing: variable rates."""
    keep = np.r_[0:100, 100:200:2, 200:FRAMES]
    truth, seen = act()[keep, 1:], film()[keep, 1:]
    smoothed = smooth(seen, TIMES[keep], np.ones_like(seen))
    assert np.abs(smoothed - truth).max() < 4 * NOISE


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_short_clips(count: int):
    seen = film()[:count]
    assert np.isfinite(smooth(seen, TIMES[:count], np.ones_like(seen))).all()
