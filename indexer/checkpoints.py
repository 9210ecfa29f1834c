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
from typing import Any, Literal, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from indexer.errors import CheckpointError, UnknownModel
from indexer.images import InputSpec
from indexer.modeling.clip import DualEncoder, DualEncoderConfig
from indexer.modeling.ram import Ram, RamConfig
from indexer.modeling.tag2text import Tag2Text, Tag2TextConfig

BUNDLED = Path(__file__).parent / "bundled"
Kind = Literal["tagger", "captioner", "embedder"]
C = TypeVar("C")
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

    `mean` and `std` are of RGB scaled to 0..1. `training` records settings and figures, for people.
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
    if typing.get_origin(hint) is types.UnionType or not isinstance(value, list):
        return value
    return tuple(tuple(item) if isinstance(item, list) else item for item in value)


def known_models(kind: Kind) -> list[str]:
    """Names of the bundled models of this kind."""
    return sorted(file.parent.name for file in BUNDLED.glob(f"*/{kind}.json"))


def read_spec(kind: Kind, name: str) -> tuple[ModelSpec, Path]:
    """The metadata of a bundled model and the folder it lies in.

    Raises:
        UnknownModel: listing the known names.
    """
    folder = BUNDLED / name
    file = folder / f"{kind}.json"
    if name not in known_models(kind):
        raise UnknownModel(f"No {kind} is called {name!r}. Known: {', '.join(known_models(kind)) or 'none'}.")
    return from_plain(ModelSpec, json.loads(file.read_text(encoding="utf-8"))), folder


def save_spec(spec: ModelSpec, folder: Path) -> None:
    """Write the metadata beside the weights."""
    text = json.dumps(dataclasses.asdict(spec), indent=1, ensure_ascii=False)
    (folder / f"{spec.kind}.json").write_text(text + "\n", encoding="utf-8")


@lru_cache(maxsize=32)
def _file_digest(file: Path, _modified_ns: int) -> bytes:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").digest()


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


def load_strictly(module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Copy every tensor into the module.

    Raises:
        CheckpointError: listing what is missing, unexpected or of another shape; nothing is loaded then.
    """
    expected = unshared(module)
    if differences := _differences(expected, tensors):
        shown = "; ".join(differences[:_SHOWN_DIFFERENCES])
        more = len(differences) - _SHOWN_DIFFERENCES
        rest = f"; and {more} more" if more > 0 else ""
        raise CheckpointError(f"The weights do not fit {type(module).__name__}: {shown}{rest}")
    with torch.no_grad():
        for key, value in expected.items():
            value.copy_(tensors[key])


def unshared(module: nn.Module) -> dict[str, Tensor]:
    """The module's state with every tensor once, under its last name (tagging_head, not tag_encoder)."""
    by_storage = {id(value): key for key, value in module.state_dict(keep_vars=True).items()}
    state = module.state_dict(keep_vars=True)
    return {key: state[key] for key in sorted(by_storage.values())}


def build(spec: ModelSpec, folder: Path) -> nn.Module:
    """The network of this spec with its weights, in evaluation mode, on the CPU in float32.

    Raises:
        CheckpointError: unknown architecture, or weights that do not fit it.
    """
    if spec.architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise CheckpointError(f"No architecture is called {spec.architecture!r}. Known: {known}.")
    config_type, network = ARCHITECTURES[spec.architecture]
    module: nn.Module = network(from_plain(config_type, spec.config))
    load_strictly(module, read_weights(tuple(folder / name for name in spec.weights)))
    return module.eval()


def save_weights(tensors: Mapping[str, Tensor], file: Path) -> None:
    """Write tensors as float16 safetensors (integers as they are), replacing the file in one move."""
    halved = {key: value.half() if value.is_floating_point() else value for key, value in tensors.items()}
    partial = file.with_suffix(".partial")
    save_file({key: value.detach().contiguous() for key, value in halved.items()}, partial)
    partial.chmod(0o644)  # safetensors writes files only their owner can read
    partial.replace(file)
