"""The shipped network is the real VGG16: its statistics, its input convention, and bilinear hypercolumns."""

import pytest
import torch
import torch.nn.functional as F

from portraitist.vgg import HYPERCOLUMN_CHANNELS, load_vgg, sample_hypercolumns


@pytest.fixture(scope="module")
def vgg():
    return load_vgg(dtype=torch.float32)


@pytest.fixture(scope="module")
def portrait():
    image = pytest.importorskip("matplotlib.cbook").get_sample_data("grace_hopper.jpg", asfileobj=False)
    pillow = pytest.importorskip("PIL.Image")
    pixels = torch.frombuffer(
        bytearray(pillow.open(image).convert("RGB").resize((160, 192)).tobytes()), dtype=torch.uint8
    )
    return pixels.reshape(192, 160, 3).permute(2, 0, 1).float() / 255


def test_it_is_frozen_and_knows_its_first_filter(vgg):
    assert not list(vgg.parameters())
    # First row of the first filter of the published weights, blue input channel.
    torch.testing.assert_close(vgg.conv1_1_weight[0, 0, 0], torch.tensor([0.4295, 0.3735, -0.0614]), atol=2e-3, rtol=0)


def test_maps_have_the_published_layout(vgg, portrait):
    maps = vgg(portrait)
    assert sum(m.shape[1] for m in maps) == HYPERCOLUMN_CHANNELS == 2179
    assert [m.shape[-2:] for m in maps[1::2]] == [(192, 160), (96, 80), (48, 40), (48, 40), (12, 10)]
    assert torch.equal(maps[0][0], portrait)


def test_the_mean_color_is_black_to_the_network(vgg):
    mean_rgb = torch.tensor([123.68, 116.779, 103.939]) / 255
    first = vgg(mean_rgb[:, None, None].expand(3, 32, 32))[1]
    bias = vgg.conv1_1_bias.clamp(min=0)
    torch.testing.assert_close(first[0], bias[:, None, None].expand_as(first[0]), atol=1e-3, rtol=0)


def test_activations_on_a_photo_have_the_sizes_they_are_divided_by(vgg, portrait):
    points = torch.rand(500, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor([160.0, 192.0])
    columns = sample_hypercolumns(vgg(portrait), points)
    for layer in columns.split([3, 64, 64, 128, 128, 256, 256, 256, 512, 512], dim=1):
        assert 0.3 < layer.square().mean().sqrt() < 2.0


def test_bfloat16_moves_hypercolumns_by_less_than_two_percent(vgg, portrait):
    points = torch.rand(200, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor([160.0, 192.0])
    exact = sample_hypercolumns(vgg(portrait), points)
    rounded = sample_hypercolumns(load_vgg(dtype=torch.bfloat16)(portrait), points)
    assert ((exact - rounded).norm(dim=1) / exact.norm(dim=1)).max() < 0.02


def test_sampling_is_bilinear_in_every_map(vgg, portrait):
    maps = vgg(portrait)
    generator = torch.Generator().manual_seed(1)
    points = torch.rand(64, 2, generator=generator) * torch.tensor([160.0, 192.0])
    columns = sample_hypercolumns(maps, points)
    grid = points / torch.tensor([160.0, 192.0]) * 2 - 1
    start = 0
    for features in maps:
        channels = features.shape[1]
        expected = F.grid_sample(features, grid[None, None], padding_mode="border", align_corners=False)[0, :, 0].T
        ratio = columns[:, start : start + channels].norm() / expected.norm()
        torch.testing.assert_close(columns[:, start : start + channels], expected * ratio, rtol=1e-3, atol=1e-4)
        start += channels


def test_gradient_reaches_the_picture(vgg, portrait):
    image = portrait[:, :64, :64].clone().requires_grad_()
    sample_hypercolumns(vgg(image), torch.tensor([[20.0, 30.0]])).sum().backward()
    assert image.grad.abs().sum() > 0
    assert image.grad.isfinite().all()


@pytest.mark.parametrize(
    ("capabilities", "limit", "expected"),
    [
        ([], None, torch.float32),
        (["_is_amx_tile_supported"], None, torch.bfloat16),
        (["_is_avx512_bf16_supported"], None, torch.bfloat16),
        (["_is_avx512_bf16_supported"], "ALL", torch.bfloat16),
        (["_is_amx_tile_supported", "_is_avx512_bf16_supported"], "AVX512_CORE_BF16", torch.bfloat16),
        (["_is_amx_tile_supported", "_is_avx512_bf16_supported"], "AVX512_CORE", torch.float32),
        (["_is_avx512_bf16_supported"], "avx2", torch.float32),
    ],
)
def test_the_processor_chooses_the_precision(monkeypatch, capabilities, limit, expected):
    for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda name=name: name in capabilities, raising=False)
    monkeypatch.delenv("DNNL_MAX_CPU_ISA", raising=False)
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    if limit:
        monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
    assert load_vgg().dtype == expected


def test_bfloat16_moves_hypercolumns_little(vgg, portrait):
    points = torch.rand(200, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor([160.0, 192.0])
    exact, rough = (sample_hypercolumns(network(portrait), points) for network in (vgg, load_vgg(dtype=torch.bfloat16)))
    assert ((rough - exact).norm(dim=1) / exact.norm(dim=1)).median() < 0.01
