"""Of a garment, its own color is found, and no mixture; the light on it, and its weave."""

from __future__ import annotations

import numpy as np
import pytest

from portraitist.bust.material import find_light, find_main_color, lay_out_weave

BLUE, WHITE, SKIN = (np.log(np.array(x) + 0.03) for x in ([0.1, 0.15, 0.5], [0.95, 0.95, 0.95], [0.8, 0.6, 0.5]))
NOTHING = np.zeros((0, 3))


def mix_of(rng, **counts):
    colors = {"blue": BLUE, "white": WHITE, "skin": SKIN}
    return np.concatenate([colors[name] + 0.05 * rng.normal(size=(n, 3)) for name, n in counts.items()])


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_the_most_frequent_color_wins_and_weights_count(rng):
    colors = mix_of(rng, blue=600, white=400)
    assert np.abs(find_main_color(colors, np.ones(1000), NOTHING, SKIN) - BLUE).max() < 0.05
    weights = np.where(np.arange(1000) < 600, 0.1, 1.0)
    assert np.abs(find_main_color(colors, weights, NOTHING, SKIN) - WHITE).max() < 0.05


def test_background_and_skin_taken_for_cloth_are_no_garment(rng):
    behind = mix_of(rng, white=1000)
    assert np.abs(find_main_color(mix_of(rng, white=550, blue=450), np.ones(1000), behind, SKIN) - BLUE).max() < 0.05
    assert np.abs(find_main_color(mix_of(rng, skin=700, blue=300), np.ones(1000), NOTHING, SKIN) - BLUE).max() < 0.05
    # Who wears white before white, or the color of skin, wears it nevertheless.
    assert np.abs(find_main_color(mix_of(rng, white=900, blue=100), np.ones(1000), behind, SKIN) - WHITE).max() < 0.05
    assert np.abs(find_main_color(mix_of(rng, skin=1000), np.ones(1000), NOTHING, SKIN) - SKIN).max() < 0.05


def test_light_from_above_is_found_and_the_same_behind(rng):
    normals = rng.normal(size=(2000, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    light = 0.4 * normals[:, 1]
    seen = (normals[:, 2] > 0).astype(float)
    found = find_light(BLUE + light[:, None], normals, seen, BLUE)
    front, back = normals[:, 2] > 0.2, normals[:, 2] < -0.2
    for side in (front, back):
        assert np.corrcoef(found[side], light[side])[0, 1] > 0.99
    assert 0.4 < np.polyfit(light[front], found[front], 1)[0] <= 1
    assert not find_light(BLUE + light[:, None], normals, 0 * seen, BLUE).any()


def test_a_weave_has_the_photos_contrast_and_no_color_of_its_own(rng):
    photo = np.clip(np.exp(BLUE) * (1 + 0.3 * rng.normal(size=(200, 200, 1))), 0, 1)
    places = np.stack([*np.meshgrid(np.linspace(-0.1, 0.1, 60), np.linspace(-0.1, 0.1, 60)), np.zeros((60, 60))], -1)
    ahead = np.broadcast_to([0.0, 0.0, 1.0], (3600, 3))
    own = np.ones((200, 200), bool)
    woven = lay_out_weave(photo, own, np.log(photo + 0.03).mean((0, 1)), 600.0, places.reshape(-1, 3), ahead)
    assert 0.1 < woven.std() < 0.5
    assert abs(woven.mean()) < 0.05
    assert not lay_out_weave(photo, own, WHITE, 600.0, places.reshape(-1, 3), ahead).any()
