"""What models there are: bundled, installed, and published ones that could be. Reads metadata only, never weights."""

import json
import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from indexer.errors import CheckpointError, UnknownModel
from indexer.model_hub.home import Home
from indexer.model_hub.hub_cache import in_hub_cache
from indexer.model_names import BUNDLED
from indexer.published import MODELS, NEVER, Kind

_KINDS: tuple[Kind, ...] = ("tagger", "captioner", "embedder")
_SETTINGS: dict[Kind, str] = {
    "tagger": "SIGHTLINE_TAGGER",
    "captioner": "SIGHTLINE_CAPTIONER",
    "embedder": "SIGHTLINE_EMBEDDER",
}
State = Literal["bundled", "installed", "cached", "published"]


@dataclass(frozen=True)
class Entry:
    """One model of the list. `bytes` is what it takes on the disk, of a published one what comes down.

    Embedders of OpenCLIP are not installed, they are "cached" by Hugging Face's library.
    """

    name: str
    kinds: tuple[Kind, ...]
    summary: str
    licence: str
    bytes: int
    state: State
    folder: Path | None

    @property
    def settings(self) -> tuple[str, ...]:
        """The settings that choose it, as one would type them."""
        return tuple(f"{_SETTINGS[kind]}={self.name}" for kind in self.kinds)


@dataclass(frozen=True)
class Details:
    """Everything known of one installed or bundled model. `thresholds` are of all tags, lowest to highest."""

    entry: Entry
    parameters: int
    input_size: int
    tags: int
    languages: tuple[str, ...]
    thresholds: tuple[float, float, float] | None
    silent_tags: int
    versions: Mapping[str, str]
    source: Mapping[str, Any]


def entries(home: Home) -> list[Entry]:
    """Bundled models, installed ones by name, then what is published and not here."""
    bundled = [_entry(folder, "bundled") for folder in sorted(BUNDLED.iterdir()) if _kinds_in(folder)]
    installed = [
        _entry(folder, "installed")
        for folder in sorted(home.folder.glob("[!.]*"))
        if folder.is_dir() and _kinds_in(folder)
    ]
    here = {entry.name for entry in (*bundled, *installed)}
    return [*bundled, *installed, *(_published(name) for name in MODELS if name not in here)]


def entry(name: str, home: Home) -> Entry:
    """The model of this name.

    Raises:
        UnknownModel: listing the known ones.
    """
    known = {one.name: one for one in entries(home)}
    if name not in known:
        raise UnknownModel(
            f"No model is called {name!r}. Known: {', '.join(known)}; of OpenCLIP, any <model>/<pretrained>."
        )
    return known[name]


def details(entry: Entry) -> Details:
    """Read the metadata of a model that is here.

    Raises:
        CheckpointError: metadata that cannot be read.
    """
    assert entry.folder is not None, "only what is here has details"
    specs = {kind: _read(entry.folder / f"{kind}.json") for kind in entry.kinds}
    first = next(iter(specs.values()))
    weights = {name for spec in specs.values() for name in spec["weights"]}
    lists = _read(entry.folder / first["vocabulary"]) if first.get("vocabulary") else {}
    thresholds = sorted(lists.get("thresholds", ()))
    source = entry.folder / "source.json"
    return Details(
        entry,
        sum(parameters(entry.folder / name) for name in weights),
        first["input"]["size"],
        len(lists.get("tags", ())),
        ("en", *lists.get("translations", {})) if lists else (),
        (thresholds[0], statistics.median(thresholds), thresholds[-1]) if thresholds else None,
        sum(threshold >= NEVER for threshold in thresholds),
        {kind: spec["version"] for kind, spec in specs.items() if spec.get("version")},
        _read(source) if source.exists() else {},
    )


def parameters(weights: Path) -> int:
    """Numbers in a safetensors file, from its header: 8 bytes of length, then JSON."""
    try:
        with weights.open("rb") as opened:
            header = json.loads(opened.read(int.from_bytes(opened.read(8), "little")))
    except (OSError, ValueError, OverflowError) as error:
        raise CheckpointError(
            f"{weights} is not a readable safetensors file ({error}): restore it"
        ) from error
    return sum(math.prod(tensor["shape"]) for key, tensor in header.items() if key != "__metadata__")


def _kinds_in(folder: Path) -> tuple[Kind, ...]:
    return tuple(kind for kind in _KINDS if (folder / f"{kind}.json").is_file())


def _read(file: Path) -> dict[str, Any]:
    try:
        loaded: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{file} cannot be read ({error}): remove the model and import or pull it again"
        ) from error
    return loaded


def _entry(folder: Path, state: State) -> Entry:
    kinds = _kinds_in(folder)
    size = sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
    source = folder / "source.json"
    origin = MODELS.get(str(_read(source).get("model"))) if source.exists() else None
    summary = origin.summary if origin else "small and fast: tags, captions and search, all three"
    return Entry(
        folder.name, kinds, summary, _read(folder / f"{kinds[0]}.json")["licence"], size, state, folder
    )


def _published(name: str) -> Entry:
    model = MODELS[name]
    is_cached = "/" in name and in_hub_cache(model) is not None
    state: State = "cached" if is_cached else "published"
    return Entry(name, model.kinds, model.summary, model.licence, model.download_bytes, state, None)
