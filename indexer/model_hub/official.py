"""Reading a checkpoint somebody else has written, without trusting it.

Such files are pickles, and a pickle can run any program. torch's restricted reader builds tensors and plain values
only; whatever it refuses is refused here, and never read another way.
"""

import argparse
import pickle
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from indexer.errors import CheckpointError

_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"
_LFS_POINTER = b"version https://git-lfs"
_SHOWN = 4
# The released models' training script stores its settings beside the weights. Where it kept them as the parsed command
# line this class is in the file: it holds values and its constructor does nothing but set them.
_HARMLESS: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [argparse.Namespace]


@dataclass(frozen=True)
class OfficialFile:
    """The tensors of one file under the names it has for them, and what else lay in it, unread.

    Tensors are mapped from the file: what is not used is not read, optimizer state included.
    """

    tensors: dict[str, Tensor]
    others: tuple[str, ...] = ()


def read_official(file: Path) -> OfficialFile:
    """Read a released checkpoint: a torch file holding a state dict, or one under `model`; or safetensors.

    Raises:
        CheckpointError: not such a file, cut short, or with code in it; says what to do.
    """
    start = _start_of(file)
    if file.suffix == ".safetensors":
        return OfficialFile(_read_safetensors(file))
    if start.startswith(_ZIP) and not zipfile.is_zipfile(file):
        raise CheckpointError(
            f"{file} is cut short: it ends after {file.stat().st_size:,} bytes. Download it again to the end."
        )
    if not start.startswith((_ZIP, _PICKLE)):
        raise CheckpointError(f"{file} is {_what_it_looks_like(start)}, not a checkpoint. {_REMEDY}")
    return _state_of(_unpickled(file, mapped=start.startswith(_ZIP)), file)


_REMEDY = "Give the .pth file itself, as downloaded; `sightline models info ram` says where it is published."


def _start_of(file: Path) -> bytes:
    if not file.is_file():
        what = f"{file} is a folder" if file.is_dir() else f"There is no file {file}"
        raise CheckpointError(f"{what}. {_REMEDY}")
    try:
        with file.open("rb") as opened:
            start = opened.read(64)
    except OSError as error:
        raise CheckpointError(f"{file} cannot be read ({error.strerror}): make it readable to you") from error
    if not start:
        raise CheckpointError(f"{file} is empty: its download did not begin. Download it again.")
    return start


def _what_it_looks_like(start: bytes) -> str:
    if start.startswith(_LFS_POINTER):
        return "a Git LFS pointer, which stands for a file that was not downloaded (`git lfs pull` does)"
    if start.lstrip().lower().startswith((b"<!doctype", b"<html")):
        return "a web page, perhaps the one about the file (the address of the file has /resolve/ in it)"
    if start.startswith((b"\xff\xd8", b"\x89PNG", b"GIF8", b"RIFF")):
        return "an image"
    return "text" if start.isascii() and b"\0" not in start else "something else"


def _read_safetensors(file: Path) -> dict[str, Tensor]:
    try:
        tensors: dict[str, Tensor] = load_file(file)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{file} is not a whole safetensors file ({error}): fetch it again") from error
    return tensors


def _unpickled(file: Path, mapped: bool) -> Any:
    """What the restricted reader builds. Files from before torch 1.6 are no archives and cannot be mapped."""
    try:
        with torch.serialization.safe_globals(_HARMLESS):
            return torch.load(file, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        raise CheckpointError(_refusal(file, error)) from error
    except MemoryError as error:
        raise CheckpointError(f"{file} does not fit into memory: close something and try again") from error
    except Exception as error:  # whatever a damaged archive makes torch stumble over
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{file} is damaged ({reason}): download it again") from error


def _refusal(file: Path, error: pickle.UnpicklingError) -> str:
    """Why the restricted reader stopped: code in the pickle, which is named, or no pickle at all."""
    try:
        found = sorted(torch.serialization.get_unsafe_globals_in_checkpoint(file))
    except Exception:  # it reads archives only
        found = re.findall(r"GLOBAL ([\w.]+)", str(error))
    if not found:
        return f"{file} is not a checkpoint, or not a whole one: download it again"
    names = ", ".join(found[:_SHOWN]) + (" and more" if len(found) > _SHOWN else "")
    return (
        f"{file} is refused: besides tensors it asks to run code ({names}). Nothing of it was run. If you trust"
        " where it comes from, save its tensors alone, with safetensors or torch.save of the state dict, and"
        " import that; otherwise delete it."
    )


def _state_of(loaded: Any, file: Path) -> OfficialFile:
    if not isinstance(loaded, Mapping):
        raise CheckpointError(f"{file} holds a {type(loaded).__name__}, not a state dict. {_REMEDY}")
    nested = loaded.get("model", loaded.get("state_dict"))
    state = nested if isinstance(nested, Mapping) else loaded
    others = tuple(str(key) for key in loaded) if state is not loaded else ()
    tensors = {
        key: value for key, value in state.items() if isinstance(key, str) and isinstance(value, Tensor)
    }
    if len(tensors) != len(state) or not tensors:
        strange = next((key for key in state if key not in tensors), "nothing at all")
        raise CheckpointError(
            f"{file} holds no state dict: it has {strange!r} where tensors belong. {_REMEDY}"
        )
    prefix = (
        "module." if all(key.startswith("module.") for key in tensors) else ""
    )  # as trained on several GPUs
    return OfficialFile(
        {key.removeprefix(prefix): value.detach() for key, value in tensors.items()},
        tuple(name for name in others if name not in ("model", "state_dict")),
    )
