"""A saved head comes back bit for bit; whatever else is in a file gives one clear error."""

from __future__ import annotations

import dataclasses
import functools
import json
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import add_layers, make_head
from portraitist import InputError, OutputError, load_head, save_head
from portraitist.io import head_file
from portraitist.io.head_file import FORMAT_VERSION, METADATA_KEY, VERSION_WITHOUT_LAYERS
from portraitist.io.head_tensors import HEAD, HEAD_REGIONS, head_to_tensors, list_entries
from portraitist.reconstruction.head_model import load_head_model
from portraitist.types import COVER_NAMES, EXPRESSION_NAMES, LAYER_NAMES, REGIONS, Head, LandmarkEmbedding, Mesh


def list_tensors(value: object, name: str = "head") -> dict[str, torch.Tensor]:
    """All tensors in a head, and names as those of layers, by where they are."""
    if isinstance(value, torch.Tensor):
        return {name: value}
    if isinstance(value, str | float | None):
        return {f"{name}: {value}": torch.zeros(0)}
    parts = dict(enumerate(value)) if isinstance(value, tuple) else vars(value)
    return {
        place: tensor
        for part, inner in parts.items()
        for place, tensor in list_tensors(inner, f"{name}.{part}").items()
    }


def assert_same_bits(got: Head, expected: Head) -> None:
    assert list_tensors(got).keys() == list_tensors(expected).keys()
    for (name, tensor), other in zip(list_tensors(got).items(), list_tensors(expected).values(), strict=True):
        assert tensor.dtype == other.dtype, name
        assert tensor.contiguous().numpy().tobytes() == other.contiguous().numpy().tobytes(), name


def make_whole_head(texture: torch.Tensor) -> Head:
    """The real topology, smiling; ``original`` shares memory with the vertices, as on a content head."""
    model = load_head_model()
    expression = torch.zeros(52)
    expression[EXPRESSION_NAMES.index("mouthSmileLeft")] = 0.7
    vertices = model.mean + torch.einsum("e,env->nv", expression, model.expression_deltas)
    mesh = model.template.with_vertices(vertices)
    return Head(mesh, texture, model.mean, expression, model.expression_deltas, model.landmarks68, vertices)


@functools.cache
def valid_bytes() -> bytes:
    return encode(head_to_tensors(add_layers(make_head(texture_size=4))))


def encode(tensors: dict[str, torch.Tensor], **changes: object) -> bytes:
    about = {"version": FORMAT_VERSION, "portraitist": "0", "regions": HEAD_REGIONS, "expressions": EXPRESSION_NAMES}
    if layers := [name for name in LAYER_NAMES if any(key.startswith(f"{name}.") for key in tensors)]:
        about["layers"] = layers
    return safetensors.torch.save(tensors, {METADATA_KEY: json.dumps(about | changes)})


def test_every_bit_comes_back(tmp_path: Path):
    for name, texture in {"float": torch.rand(3, 64, 64), "8bit": torch.randint(0, 256, (3, 64, 64)) / 255}.items():
        head = make_whole_head(texture)
        save_head(tmp_path / name, head)
        assert_same_bits(load_head(tmp_path / name), head)
    stored = [safetensors.torch.load_file(tmp_path / name)["texture"].dtype for name in ("float", "8bit")]
    assert stored == [torch.float32, torch.uint8]
    assert {path.name for path in tmp_path.iterdir()} == {"float", "8bit"}


def test_layers_come_back_in_their_order(head: Head, tmp_path: Path):
    layered = add_layers(head)
    for name, layers in {"both": layered.layers, "swapped": layered.layers[::-1], "one": layered.layers[1:]}.items():
        expected = dataclasses.replace(head, layers=layers)
        save_head(tmp_path / name, expected)
        assert_same_bits(load_head(tmp_path / name), expected)


def test_a_height_comes_back(head: Head, tmp_path: Path):
    save_head(tmp_path / "head", dataclasses.replace(head, height=1.75))
    assert load_head(tmp_path / "head").height == 1.75
    with pytest.raises(InputError, match="height is -1"):
        save_head(tmp_path / "other", dataclasses.replace(head, height=-1.0))
    for wrong in ("tall", -1.0, [], 1e9):
        (tmp_path / "wrong").write_bytes(encode(head_to_tensors(head), height=wrong))
        with pytest.raises(InputError, match="height"):
            load_head(tmp_path / "wrong")


def test_a_texture_of_a_layer_is_stored_in_8_bits_where_nothing_is_lost(head: Head, tmp_path: Path):
    hair, headwear = add_layers(head).layers
    hair = dataclasses.replace(hair, texture=(hair.texture * 255).round() / 255)
    save_head(tmp_path / "head", dataclasses.replace(head, layers=(hair, headwear)))
    stored = safetensors.torch.load_file(tmp_path / "head")
    assert [stored[f"{name}.texture"].dtype for name in COVER_NAMES] == [torch.uint8, torch.float32]
    assert torch.equal(load_head(tmp_path / "head").layers[0].texture, hair.texture)


def read_about(path: Path) -> dict:
    with safetensors.safe_open(path, "pt") as file:
        return json.loads(file.metadata()[METADATA_KEY])


def test_only_a_head_with_layers_needs_a_new_reader(head: Head, tmp_path: Path):
    """The first version of the format had no layers, and none of their regions."""
    save_head(tmp_path / "bare", head)
    save_head(tmp_path / "layered", add_layers(head))
    bare, layered = read_about(tmp_path / "bare"), read_about(tmp_path / "layered")
    assert (bare["version"], layered["version"]) == (VERSION_WITHOUT_LAYERS, FORMAT_VERSION) == (1, 2)
    assert bare.keys() == {"version", "portraitist", "regions", "expressions"}
    assert bare["regions"] == layered["regions"] == list(HEAD_REGIONS) == list(REGIONS[:12])
    assert layered["layers"] == ["hair", "headwear"]


def test_a_file_of_the_first_version_opens(head: Head, tmp_path: Path):
    (tmp_path / "head").write_bytes(encode(head_to_tensors(head), version=1))
    assert_same_bits(load_head(tmp_path / "head"), head)


def test_signs_of_zero_and_views_of_larger_tensors_come_back(head: Head, tmp_path: Path):
    texture = torch.zeros(3, 4, 8).transpose(1, 2)[:, :4]
    head = dataclasses.replace(head, texture=-texture)
    save_head(tmp_path / "head", head)
    assert load_head(tmp_path / "head").texture.signbit().all()


def test_gradients_are_left_out(head: Head, tmp_path: Path):
    save_head(tmp_path / "head", dataclasses.replace(head, texture=head.texture.clone().requires_grad_()))
    assert not load_head(tmp_path / "head").texture.requires_grad


def test_same_head_gives_the_same_bytes_in_every_process(head: Head, tmp_path: Path):
    save_head(tmp_path / "a", head)
    program = "import sys; from portraitist import *; save_head(sys.argv[2], load_head(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", program, tmp_path / "a", tmp_path / "b"], check=True)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_names_count_not_numbers(tmp_path: Path, head: Head):
    """A file whose regions and expressions stand in another order means the same head."""
    head = dataclasses.replace(
        head, mesh=dataclasses.replace(head.mesh, regions=torch.arange(len(head.mesh.faces)) % len(HEAD_REGIONS))
    )
    tensors = head_to_tensors(head)
    for name in ("expression", "expression_deltas"):
        tensors[name] = tensors[name].flip(0)
    tensors["regions"] = len(HEAD_REGIONS) - 1 - tensors["regions"]
    (tmp_path / "head").write_bytes(encode(tensors, regions=HEAD_REGIONS[::-1], expressions=EXPRESSION_NAMES[::-1]))
    assert_same_bits(load_head(tmp_path / "head"), head)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"version": FORMAT_VERSION + 1, "portraitist": "9.1"}, r"version 3 .*9\.1.*[Ii]nstall a newer"),
        ({"version": "1"}, "version '1'"),
        ({"version": True}, "version True"),
        ({"regions": ["hair"]}, "region 'hair'"),
        ({"regions": []}, "regions"),
        ({"regions": 7}, "usable"),
        ({"expressions": EXPRESSION_NAMES[1:]}, "52"),
        ({"expressions": [1, "x"]}, "usable"),
        ({"layers": ["wig"]}, "layer 'wig' is not known"),
        ({"layers": ["skin"]}, "layer 'skin' is not known"),
        ({"layers": ["hair", "hair"]}, "two layers of one name"),
        ({"layers": ["hair"]}, r"'hair\..*' is missing"),
        ({"layers": "hair"}, "layer 'h'"),
        ({"layers": [["hair"]]}, "not known"),
        ({"layers": 7}, "usable"),
        ({"layers": None}, "usable"),
    ],
)
def test_foreign_versions_and_names_are_refused(changes: dict, words: str, tmp_path: Path):
    (tmp_path / "head").write_bytes(encode(head_to_tensors(make_head(4)), **changes))
    with pytest.raises(InputError, match=words):
        load_head(tmp_path / "head")


DAMAGE = {
    "faces": (lambda ids: ids + 10_000, "faces holds ids .* 0 to 143"),
    "uv_faces": (lambda ids: ids - 1, "uv_faces holds ids from -1"),
    "regions": (lambda ids: ids + len(HEAD_REGIONS), "regions holds ids"),
    "landmark_face_ids": (lambda ids: ids + 1000, "landmark_face_ids holds ids"),
    "vertices": (lambda values: values[1:], "n|143 x 3"),
    "neutral": (lambda values: values * torch.nan, "neutral holds numbers that are not finite"),
    "uvs": (lambda values: values * 1e9, "uvs reaches"),
    "texture": (lambda values: values + 1, "texture holds values outside"),
    "original": (lambda values: values.double(), "original holds torch.float64, needed is torch.float32"),
    "expression": (lambda values: values[:51], "expression has shape 51, needed is 52"),
    "expression_deltas": (lambda values: values + 0.1, "away from vertices"),
    "landmark_barycentrics": (lambda values: values[:, :2], "68 x 2, needed is 68 x 3"),
    "hair.vertices": (lambda values: values[1:], r"hair\.faces holds ids|hair\.original has shape"),
    "hair.faces": (lambda ids: ids - 1, r"hair\.faces holds ids from -1"),
    "hair.uvs": (lambda values: values * torch.inf, r"hair\.uvs holds numbers that are not finite"),
    "hair.uv_faces": (lambda ids: ids[1:], r"hair\.uv_faces has shape"),
    "hair.texture": (lambda values: values[:, 1:], r"hair\.texture has shape 3 x 15 x 16"),
    "hair.original": (lambda values: values + 2000, r"hair\.original reaches"),
    "headwear.faces": (lambda ids: ids.int(), r"headwear\.faces holds torch\.int32"),
    "headwear.texture": (lambda values: values - 1, r"headwear\.texture holds values outside"),
    "headwear.uvs": (lambda values: values[:0], r"headwear\.uvs has shape 0 x 2"),
    "headwear.original": (lambda values: values[:, :2], r"headwear\.original has shape"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_every_tensor_is_checked_when_read_and_when_written(name: str, tmp_path: Path):
    change, words = DAMAGE[name]
    tensors = head_to_tensors(add_layers(make_head(4)))
    tensors[name] = change(tensors[name]).contiguous()
    (tmp_path / "head").write_bytes(encode(tensors))
    with pytest.raises(InputError, match=words):
        load_head(tmp_path / "head")
    del tensors[name]
    (tmp_path / "head").write_bytes(encode(tensors))
    with pytest.raises(InputError, match=f"'{name}' is missing"):
        load_head(tmp_path / "head")


def test_a_head_that_could_not_be_loaded_is_not_saved(head: Head, tmp_path: Path):
    (hair, _) = add_layers(head).layers
    for broken in (
        dataclasses.replace(head, texture=head.texture * 2),
        dataclasses.replace(head, neutral=head.neutral + 1),
        dataclasses.replace(head, landmarks68=LandmarkEmbedding(torch.full((68,), 999), torch.ones(68, 3))),
        dataclasses.replace(head, mesh=Mesh(head.neutral, *[*vars(head.mesh).values()][1:])),
        dataclasses.replace(head, mesh=dataclasses.replace(head.mesh, regions=head.mesh.regions + len(HEAD_REGIONS))),
        dataclasses.replace(head, layers=(hair, hair)),
        dataclasses.replace(head, layers=(dataclasses.replace(hair, name="skin"),)),
        dataclasses.replace(head, layers=(dataclasses.replace(hair, name="headwear"),)),  # with faces that are hair
        dataclasses.replace(head, layers=(dataclasses.replace(hair, texture=hair.texture + 1),)),
        dataclasses.replace(head, layers=(dataclasses.replace(hair, original=hair.original[1:]),)),
    ):
        with pytest.raises(InputError, match="cannot be saved"):
            save_head(tmp_path / "head", broken)
    assert not list(tmp_path.iterdir())


def test_other_files_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    safetensors.torch.save_file({"weight": torch.ones(3)}, tmp_path / "weights")
    bomb = b'{"__metadata__":' + b"[" * 50_000
    (tmp_path / "nested").write_bytes(len(bomb).to_bytes(8, "little") + bomb)
    (tmp_path / "long").write_bytes((1 << 40).to_bytes(8, "little") + b"{}")
    (tmp_path / "empty").write_bytes(b"")
    for name in ("weights", "nested", "long", "empty"):
        with pytest.raises(InputError, match="not a head saved by Portraitist"):
            load_head(tmp_path / name)
    (tmp_path / "cut").write_bytes(valid_bytes()[:-1])
    with pytest.raises(InputError, match="damaged or cut short"):
        load_head(tmp_path / "cut")
    with pytest.raises(InputError, match="does not exist"):
        load_head(tmp_path / "absent")
    with pytest.raises(InputError, match="not a file"):
        load_head(tmp_path)
    monkeypatch.setattr(head_file, "MAX_FILE_BYTES", 100)
    with pytest.raises(InputError, match="larger"):
        load_head(tmp_path / "cut")


@pytest.mark.parametrize("dtype", ["F8_E8M0", "F4", "C64", "BF16"])
def test_number_formats_that_torch_or_heads_lack(dtype: str, tmp_path: Path):
    bits = {"F8_E8M0": 8, "F4": 4, "C64": 64, "BF16": 16}[dtype]
    length = 52 * bits // 8
    tensors = {name: tensor for name, tensor in head_to_tensors(make_head(4)).items() if name != "expression"}
    whole = encode(tensors)
    end = 8 + int.from_bytes(whole[:8], "little")
    offsets = [len(whole) - end, len(whole) - end + length]
    header = json.loads(whole[8:end]) | {"expression": {"dtype": dtype, "shape": [52], "data_offsets": offsets}}
    text = json.dumps(header).encode()
    (tmp_path / "head").write_bytes(len(text).to_bytes(8, "little") + text + whole[end:] + bytes(length))
    with pytest.raises(InputError, match=r"damaged|expression holds"):
        load_head(tmp_path / "head")


def test_failed_writing_keeps_the_former_file(head: Head, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "head").write_text("former")
    with pytest.raises(OutputError, match="cannot be written"):
        save_head(tmp_path / "absent" / "head", head)
    with pytest.raises(OutputError, match="cannot be written"):
        save_head(tmp_path / "head" / "below a file", head)
    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OutputError, match="No space left"):
        save_head(tmp_path / "head", head)
    assert [path.name for path in tmp_path.iterdir()] == ["head"]
    assert (tmp_path / "head").read_text() == "former"


def assert_head_or_input_error(data: bytes, path: Path) -> None:
    path.write_bytes(data)
    try:
        head = load_head(path)
    except InputError:
        return
    save_head(path, head)  # checks everything a head must be


FUZZ = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.fuzz
@FUZZ
@given(st.binary(max_size=300), st.integers(0, 400))
def test_any_bytes_give_an_input_error(tmp_path: Path, data: bytes, length: int):
    assert_head_or_input_error(data, tmp_path / "head")
    assert_head_or_input_error(length.to_bytes(8, "little") + data, tmp_path / "head")


@pytest.mark.fuzz
@FUZZ
@given(st.data())
def test_a_changed_file_gives_a_head_or_an_input_error(tmp_path: Path, data: st.DataObject):
    """Changed bytes, mostly in the header, where they hurt, and pieces cut out."""
    changed = bytearray(valid_bytes())
    header = 8 + int.from_bytes(changed[:8], "little")
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, header - 1) | st.integers(0, len(changed) - 1))
        changed[position : position + data.draw(st.integers(0, 6))] = data.draw(st.binary(max_size=6))
    assert_head_or_input_error(bytes(changed), tmp_path / "head")


SHAPES = st.lists(st.integers(-1, 200) | st.just(1 << 62), max_size=4)
TENSOR = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "I64", "U8", "BF16", "F8_E8M0", "F4", "BOOL", "nonsense"]),
        "shape": SHAPES,
        "data_offsets": st.lists(st.integers(-1, 4000), min_size=1, max_size=3),
    }
)


@pytest.mark.fuzz
@FUZZ
@given(
    st.dictionaries(st.sampled_from([*HEAD, *list_entries(LAYER_NAMES)["hair"], "other"]), TENSOR | st.none()),
    st.binary(max_size=64),
)
def test_a_changed_header_gives_an_input_error(tmp_path: Path, changes: dict, tail: bytes):
    whole = valid_bytes()
    end = 8 + int.from_bytes(whole[:8], "little")
    header = json.dumps(json.loads(whole[8:end]) | changes).encode()
    data = len(header).to_bytes(8, "little") + header + whole[end:] + tail
    assert_head_or_input_error(data, tmp_path / "head")
