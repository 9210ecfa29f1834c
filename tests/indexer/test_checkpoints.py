"""Strict loading, metadata, versions."""

import dataclasses
import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from indexer import checkpoints
from indexer.errors import CheckpointError, UnknownModel
from indexer.model_names import BUNDLED
from indexer.modeling.bert import BertConfig
from indexer.modeling.ram import RamConfig
from indexer.modeling.swin import SwinConfig


def small_linear() -> torch.nn.Module:
    return torch.nn.Linear(3, 2)


def test_every_tensor_is_copied() -> None:
    """A full set of tensors fills the module, float16 included."""
    module = small_linear()
    checkpoints.load_strictly(module, {"weight": torch.ones(2, 3).half(), "bias": torch.zeros(2)})
    assert torch.equal(module.state_dict()["weight"], torch.ones(2, 3))


@pytest.mark.parametrize(
    ("tensors", "complaint"),
    [
        ({"weight": torch.ones(2, 3)}, "missing bias"),
        ({"weight": torch.ones(2, 3), "bias": torch.ones(2), "more": torch.ones(1)}, "unexpected more"),
        ({"weight": torch.ones(3, 2), "bias": torch.ones(2)}, r"weight is \(3, 2\), not \(2, 3\)"),
    ],
)
def test_differences_are_listed_and_nothing_is_loaded(
    tensors: dict[str, torch.Tensor], complaint: str
) -> None:
    """Missing, unexpected and misshapen tensors are named."""
    module = small_linear()
    before = module.state_dict()["bias"].clone()
    with pytest.raises(CheckpointError, match=complaint):
        checkpoints.load_strictly(module, tensors)
    assert torch.equal(module.state_dict()["bias"], before)


def test_many_differences_are_counted() -> None:
    """A wholly different file gives a message that can still be read."""
    with pytest.raises(CheckpointError, match="and 14 more"):
        checkpoints.load_strictly(small_linear(), {f"k{n}": torch.ones(1) for n in range(20)})


def test_damaged_file_is_named(tmp_path: Path) -> None:
    """Half a file raises an error with its name."""
    file = tmp_path / "half.safetensors"
    save_file({"a": torch.ones(1000)}, file)
    file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(CheckpointError, match=r"half\.safetensors"):
        checkpoints.read_weights((file,))


def test_repeated_key_in_two_files(tmp_path: Path) -> None:
    """Two files may not both hold a tensor."""
    files = (tmp_path / "a.safetensors", tmp_path / "b.safetensors")
    for file in files:
        save_file({"a": torch.ones(1)}, file)
    with pytest.raises(CheckpointError, match="repeats 'a'"):
        checkpoints.read_weights(files)


def test_version_is_the_weights_digest(tmp_path: Path) -> None:
    """First 12 hex digits of SHA-256; another weight, another version."""
    file, other = tmp_path / "a", tmp_path / "b"
    file.write_bytes(b"weights")
    other.write_bytes(b"more")
    assert checkpoints.weights_version((file,)) == hashlib.sha256(b"weights").hexdigest()[:12]
    assert checkpoints.weights_version((file, other)) != checkpoints.weights_version((other, file))


def test_configuration_survives_json() -> None:
    """Nested dataclasses and tuples come back equal from what JSON keeps."""
    swin = SwinConfig(192, 16, 32, (1, 2), (1, 2), 6, stem=((8, 2), (16, 2), (32, 4)))
    config = RamConfig(swin, BertConfig(32, 4, 64, 2, context=16, self_attention=False), tags=5)
    import json

    plain = json.loads(json.dumps(dataclasses.asdict(config)))
    assert checkpoints.from_plain(RamConfig, plain) == config


@pytest.mark.parametrize("change", [{"colour": 1}, {"tags": None}])
def test_metadata_of_another_version(change: dict[str, int | None]) -> None:
    """Unknown and missing keys are errors that name the class."""
    swin = SwinConfig(192, 16, 32, (1,), (1,), 6)
    plain = dataclasses.asdict(RamConfig(swin, BertConfig(32, 4, 64, 2), tags=5)) | change
    plain = {key: value for key, value in plain.items() if value is not None}
    with pytest.raises(CheckpointError, match="RamConfig"):
        checkpoints.from_plain(RamConfig, plain)


def test_unknown_model_lists_known_ones() -> None:
    """A wrong name is answered with the right ones."""
    with pytest.raises(UnknownModel, match=r"'smal'.*Known: small"):
        checkpoints.read_spec("tagger", "smal")


def test_unknown_architecture(tmp_path: Path) -> None:
    """Metadata for a network this version lacks is refused before any weight is read."""
    spec, _ = checkpoints.read_spec("tagger", "small")
    with pytest.raises(CheckpointError, match="No architecture is called 'vit'"):
        checkpoints.build(dataclasses.replace(spec, architecture="vit"), tmp_path)


def test_bundled_weights_are_small() -> None:
    """All bundled weights together stay under 30 MB."""
    assert sum(file.stat().st_size for file in BUNDLED.rglob("*.safetensors")) < 30e6


def test_loading_does_not_import_the_compiler() -> None:
    """Which takes seconds that every search from the command line would wait for."""
    code = (
        "import sys; from indexer import predictors\n"
        "how = predictors.options('cpu', None, 'exact')\n"
        "predictors.load_tagger('small', **how, own_tags=()); predictors.load_captioner('small', **how)\n"
        "predictors.load_embedder('small', **how).embed_texts(['a dog'])\n"
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
