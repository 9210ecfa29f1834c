"""Files somebody else has written: read without running them, refused with the next step."""

import argparse
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from indexer.errors import CheckpointError
from indexer.model_hub.official import read_official
from tests.released import released_state, write_released

TENSORS = {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2)}


class Program:
    """Makes a folder when unpickled the careless way."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


def test_the_weights_are_found_and_the_rest_is_named(tmp_path: Path) -> None:
    """Optimizer state and settings beside them are not read."""
    file = write_released("ram", tmp_path / "ram.pth")
    official = read_official(file)
    assert official.others == ("optimizer", "epoch", "config")
    expected = released_state("ram")
    assert official.tensors.keys() == expected.keys()
    assert all(torch.equal(official.tensors[key], value) for key, value in expected.items())


@pytest.mark.parametrize("wrapped", [TENSORS, {"model": TENSORS}, {"state_dict": TENSORS, "epoch": 3}])
def test_bare_and_wrapped_state_dicts(tmp_path: Path, wrapped: dict[str, Any]) -> None:
    """As the authors save them, as others do, and alone."""
    torch.save(wrapped, tmp_path / "file.pth")
    assert read_official(tmp_path / "file.pth").tensors.keys() == TENSORS.keys()


def test_other_formats_of_the_same(tmp_path: Path) -> None:
    """Before torch 1.6, safetensors, and with the prefix of training on several GPUs."""
    torch.save(TENSORS, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    save_file(TENSORS, tmp_path / "file.safetensors")
    torch.save({f"module.{key}": value for key, value in TENSORS.items()}, tmp_path / "parallel.pth")
    for name in ("old.pth", "file.safetensors", "parallel.pth"):
        tensors = read_official(tmp_path / name).tensors
        assert all(torch.equal(tensors[key], value) for key, value in TENSORS.items())


def test_settings_kept_as_a_command_line_are_harmless(tmp_path: Path) -> None:
    """argparse.Namespace is the one class let in beside tensors."""
    torch.save({"model": TENSORS, "config": argparse.Namespace(size=384)}, tmp_path / "file.pth")
    assert read_official(tmp_path / "file.pth").tensors.keys() == TENSORS.keys()


@pytest.mark.parametrize("new_format", [True, False])
def test_code_in_a_pickle_is_refused_and_does_not_run(tmp_path: Path, new_format: bool) -> None:
    """The message names it and says what can be done."""
    made = tmp_path / "made by the pickle"
    file = tmp_path / "file.pth"
    torch.save({"model": TENSORS, "config": Program(made)}, file, _use_new_zipfile_serialization=new_format)
    with pytest.raises(CheckpointError, match="refused") as refusal:
        read_official(file)
    assert not made.exists()
    assert "Nothing of it was run" in str(refusal.value)
    assert "posix.mkdir" in str(refusal.value)
    assert "delete it" in str(refusal.value)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "is empty.*Download it again"),
        (b"These are only words.\n" * 9, "is text, not a checkpoint.*Give the .pth file"),
        (b"<!DOCTYPE html><html>", r"a web page.*/resolve/"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a Git LFS pointer.*git lfs pull"),
        (bytes(range(200)), "something else, not a checkpoint"),
        (b"\x80\x02 and then nonsense", "download it again"),
    ],
)
def test_what_is_no_checkpoint_is_called_what_it_is(tmp_path: Path, content: bytes, complaint: str) -> None:
    """With what to do instead."""
    file = tmp_path / "ram_swin_large_14m.pth"
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match=complaint) as error:
        read_official(file)
    assert str(file) in str(error.value)


def test_an_image_is_called_an_image(tmp_path: Path) -> None:
    """A JPEG of the same name."""
    Image.new("RGB", (8, 8)).save(tmp_path / "file.pth", "JPEG")
    with pytest.raises(CheckpointError, match="an image, not a checkpoint"):
        read_official(tmp_path / "file.pth")


@pytest.mark.parametrize("share", [0.2, 0.99])
def test_a_file_cut_short_says_how_short(tmp_path: Path, share: float) -> None:
    """An archive's table of contents is at its end."""
    file = write_released("ram", tmp_path / "ram.pth")
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(CheckpointError, match=r"cut short: it ends after [\d,]+ bytes. Download it again"):
        read_official(file)


def test_half_a_safetensors_file(tmp_path: Path) -> None:
    """Named, with the next step."""
    save_file(TENSORS, tmp_path / "file.safetensors")
    whole = (tmp_path / "file.safetensors").read_bytes()
    (tmp_path / "file.safetensors").write_bytes(whole[:-8])
    with pytest.raises(CheckpointError, match=r"not a whole safetensors file.*fetch it again"):
        read_official(tmp_path / "file.safetensors")


@pytest.mark.parametrize("content", [[1, 2], {"a": 1}, {}, {"model": {"a": "text"}}])
def test_torch_files_without_a_state_dict(tmp_path: Path, content: object) -> None:
    """Something else torch can save."""
    torch.save(content, tmp_path / "file.pth")
    with pytest.raises(CheckpointError, match=r"state dict.*Give the .pth file"):
        read_official(tmp_path / "file.pth")


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    """Both say which it is."""
    with pytest.raises(CheckpointError, match="There is no file"):
        read_official(tmp_path / "gone.pth")
    with pytest.raises(CheckpointError, match="is a folder"):
        read_official(tmp_path)
