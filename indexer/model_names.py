"""Which models there are to choose from, by name: the bundled ones and those installed. Weights are not read."""

from collections.abc import Mapping
from pathlib import Path
from typing import get_args

from indexer.errors import UnknownModel
from indexer.published import MODELS, Kind

BUNDLED = Path(__file__).parent / "bundled"


def known_models(kind: Kind, installed: Path | None = None) -> list[str]:
    """Names of the bundled models of this kind, and of those in the folder `installed`."""
    folders = [BUNDLED] if installed is None else [BUNDLED, installed]
    return sorted({file.parent.name for folder in folders for file in folder.glob(f"[!.]*/{kind}.json")})


def check_known(kind: Kind, name: str, installed: Path | None = None) -> None:
    """Raise UnknownModel, saying why and what to do, unless a model of this kind has this name."""
    if name not in known_models(kind, installed):
        raise UnknownModel(_why_unknown(kind, name, installed))


def check_choice(choice: Mapping[Kind, str], installed: Path | None) -> None:
    """Check the names a person chose before any work is queued for them.

    An OpenCLIP embedder ("<model>/<pretrained>") is left to OpenCLIP, which knows its own names.

    Raises:
        UnknownModel: the first that cannot be used, with the reason.
    """
    for kind, name in choice.items():
        if kind != "embedder" or "/" not in name:
            check_known(kind, name, installed)


def _why_unknown(kind: Kind, name: str, installed: Path | None) -> str:
    published = MODELS[name].kinds if name in MODELS else ()
    if kind in published:
        return f"The {kind} {name!r} is not installed: `sightline models pull {name}` brings it."
    others = [*published, *(other for other in get_args(Kind) if name in known_models(other, installed))]
    known = ", ".join(known_models(kind, installed)) or "none"
    if others:
        return f"{name!r} is a {others[0]} and cannot be the {kind}. Known {kind}s: {known}."
    hint = ', or "<OpenCLIP model>/<pretrained>"' if kind == "embedder" else ""
    return f"No {kind} is called {name!r}. Known: {known}{hint}; `sightline models list` shows all."
