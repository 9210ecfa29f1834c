"""Weights and the metadata beside them: find, read strictly, build the network, write.

A model is one JSON file (`ModelSpec`) and the safetensors files it names; the bundled ones share a backbone file.
Nothing is unpickled, nothing is downloaded.
"""

import dataclasses
import hashlib
import json
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from indexer.errors import CheckpointError
from indexer.images import InputSpec
from indexer.model_names import BUNDLED, check_known
from indexer.modeling.beam import BeamConfig
from indexer.modeling.clip import DualEncoder, DualEncoderConfig
from indexer.modeling.ram import Ram, RamConfig
from indexer.modeling.tag2text import Tag2Text, Tag2TextConfig
from indexer.published import Kind

C = TypeVar("C")
_FILLING = ("normal_", "uniform_", "fill_", "zero_", "erfinv_", "mul_", "add_", "clamp_")
_SHOWN_DIFFERENCES = 8

ARCHITECTURES: dict[str, tuple[type, type[nn.Module]]] = {
    "ram": (RamConfig, Ram),
    "tag2text": (Tag2TextConfig, Tag2Text),
    "dual_encoder": (DualEncoderConfig, DualEncoder),
}


@dataclass(frozen=True)
class Calibration:
    """Confidence = sigmoid(scale * logit + bias) ("Probabilistic Outputs for SVMs", Platt, 1999)."""

    scale: float = 1.0
    bias: float = 0.0


@dataclass(frozen=True)
class ModelSpec:
    """What a weights file cannot say of itself. `weights`, `vocabulary` and `tokenizer` are names beside the JSON.

    `mean` and `std` are of RGB scaled to 0..1. `training` records settings and figures, for people. `version`, where
    given, is the first 12 hex digits of the weights' SHA-256, so that gigabytes are not read at every start.
    """

    kind: Kind
    name: str
    architecture: str
    config: Mapping[str, Any]
    weights: tuple[str, ...]
    input: InputSpec
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    licence: str
    vocabulary: str | None = None
    tokenizer: str | None = None
    calibration: Calibration = field(default_factory=Calibration)
    training: Mapping[str, Any] = field(default_factory=dict)
    search: BeamConfig | None = None
    version: str | None = None


def from_plain(kind: type[C], plain: Mapping[str, Any]) -> C:
    """Build a dataclass, nested ones and tuples included, from what JSON gave; unknown or missing keys raise.

    Raises:
        CheckpointError: naming the keys.
    """
    hints = typing.get_type_hints(kind)
    unknown = sorted(set(plain) - set(hints))
    if unknown:
        raise CheckpointError(
            f"{kind.__name__} has no {', '.join(unknown)}: the metadata is of another version"
        )
    try:
        return kind(**{name: _converted(hints[name], value) for name, value in plain.items()})
    except TypeError as error:
        raise CheckpointError(f"{kind.__name__} cannot be built from the metadata: {error}") from error


def _converted(hint: Any, value: Any) -> Any:
    if dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
        return from_plain(typing.cast("type[Any]", hint), value)
    if typing.get_origin(hint) is types.UnionType:
        return _converted(next(part for part in typing.get_args(hint) if part is not type(None)), value)
    if not isinstance(value, list):
        return value
    return tuple(tuple(item) if isinstance(item, list) else item for item in value)


def read_spec(kind: Kind, name: str, installed: Path | None = None) -> tuple[ModelSpec, Path]:
    """The metadata of a bundled or installed model and the folder it lies in.

    Raises:
        UnknownModel: listing the known names; of a published model, how to get it.
        CheckpointError: metadata that cannot be read.
    """
    check_known(kind, name, installed)
    home = BUNDLED if installed is None or (BUNDLED / name).is_dir() else installed
    file = home / name / f"{kind}.json"
    try:
        plain = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{file} cannot be read ({error}): install {name!r} again") from error
    return from_plain(ModelSpec, plain), home / name


def save_spec(spec: ModelSpec, folder: Path) -> None:
    """Write the metadata beside the weights."""
    text = json.dumps(dataclasses.asdict(spec), indent=1, ensure_ascii=False)
    (folder / f"{spec.kind}.json").write_text(text + "\n", encoding="utf-8")


@lru_cache(maxsize=32)
def _file_digest(file: Path, _modified_ns: int) -> bytes:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").digest()


def version_of(spec: ModelSpec, folder: Path) -> str:
    """The version that derived values record: the one written down, or worked out from the files."""
    return spec.version or weights_version(tuple(folder / name for name in spec.weights))


def weights_version(files: tuple[Path, ...]) -> str:
    """First 12 hex digits of the SHA-256 of the weights file; of several, of their digests in order."""
    digests = [_file_digest(file, file.stat().st_mtime_ns) for file in files]
    if len(digests) == 1:
        return digests[0].hex()[:12]
    return hashlib.sha256(b"".join(digests)).hexdigest()[:12]


def read_weights(files: tuple[Path, ...]) -> dict[str, Tensor]:
    """All tensors of the files; a key in two of them is an error.

    Raises:
        CheckpointError: unreadable file or repeated key.
    """
    tensors: dict[str, Tensor] = {}
    for file in files:
        try:
            loaded = load_file(file)
        except (OSError, SafetensorError) as error:
            raise CheckpointError(
                f"{file} is not a readable safetensors file ({error}): restore it"
            ) from error
        if repeated := sorted(set(tensors) & set(loaded)):
            raise CheckpointError(f"{file} repeats {repeated[0]!r} of another weights file")
        tensors |= loaded
    return tensors


def _differences(expected: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[str]:
    missing = [f"missing {key}" for key in expected if key not in given]
    unexpected = [f"unexpected {key}" for key in given if key not in expected]
    shapes = [
        f"{key} is {tuple(given[key].shape)}, not {tuple(expected[key].shape)}"
        for key in expected
        if key in given and given[key].shape != expected[key].shape
    ]
    return missing + unexpected + shapes


def check_fits(module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Raise CheckpointError listing what is missing, unexpected or of another shape; a skeleton will do."""
    if differences := _differences(unshared(module), tensors):
        shown = "; ".join(differences[:_SHOWN_DIFFERENCES])
        more = len(differences) - _SHOWN_DIFFERENCES
        rest = f"; and {more} more" if more > 0 else ""
        raise CheckpointError(f"The weights do not fit {type(module).__name__}: {shown}{rest}")


def load_strictly(module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Give the module these very tensors (as float32 if they are floats): mapped files are not copied.

    Raises:
        CheckpointError: listing what is missing, unexpected or of another shape; nothing is loaded then.
    """
    check_fits(module, tensors)
    full = {key: value.float() if value.is_floating_point() else value for key, value in tensors.items()}
    module.load_state_dict(full, strict=False, assign=True)  # tensors that modules share are given once


def unshared(module: nn.Module) -> dict[str, Tensor]:
    """The module's state with every tensor once, under its last name (tagging_head, not tag_encoder)."""
    by_storage = {id(value): key for key, value in module.state_dict(keep_vars=True).items()}
    state = module.state_dict(keep_vars=True)
    return {key: state[key] for key in sorted(by_storage.values())}


class _Unfilled(TorchFunctionMode):
    """Draws no first weights for tensors without memory: for that alone torch would import its compiler (4 s)."""

    def __torch_function__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        tensor = args[0] if args else (kwargs or {}).get("tensor")
        if getattr(func, "__name__", "") in _FILLING and isinstance(tensor, Tensor) and tensor.is_meta:
            return tensor
        return func(*args, **(kwargs or {}))


def skeleton(spec: ModelSpec) -> nn.Module:
    """The network of this spec without memory for its weights (on the meta device), in evaluation mode.

    Raises:
        CheckpointError: unknown architecture or configuration.
    """
    if spec.architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise CheckpointError(f"No architecture is called {spec.architecture!r}. Known: {known}.")
    config_type, network = ARCHITECTURES[spec.architecture]
    with torch.device("meta"), _Unfilled():
        module: nn.Module = network(from_plain(config_type, spec.config))
    return module.eval()


def build(spec: ModelSpec, folder: Path) -> nn.Module:
    """The network of this spec with its weights, in evaluation mode, on the CPU in float32.

    Raises:
        CheckpointError: unknown architecture, or weights that do not fit it.
    """
    module = skeleton(spec)
    load_strictly(module, read_weights(tuple(folder / name for name in spec.weights)))
    return module


def save_weights(
    tensors: Mapping[str, Tensor], file: Path, dtype: torch.dtype | None = torch.float16
) -> None:
    """Write tensors as safetensors, replacing the file in one move.

    Args:
        tensors: by key.
        file: where to.
        dtype: what floating-point tensors become; None keeps each as it is. Integers stay.
    """
    wanted = {
        key: value.to(dtype) if dtype is not None and value.is_floating_point() else value
        for key, value in tensors.items()
    }
    partial = file.with_suffix(".partial")
    save_file({key: value.detach().contiguous() for key, value in wanted.items()}, partial)
    partial.chmod(0o644)  # safetensors writes files only their owner can read
    partial.replace(file)
