"""compose.yaml as it is read: variables filled in from .env.example, the file resolved."""

import re
from pathlib import Path
from typing import Any

import yaml

from tests.conftest import ROOT

COMPOSE = ROOT / "compose.yaml"
VARIABLE = re.compile(r"(?<!\$)\$\{(?P<name>[A-Z_]+):-(?P<default>[^}]*)\}")


def example() -> dict[str, str]:
    """What .env.example sets."""
    lines = (ROOT / ".env.example").read_text().splitlines()
    pairs = (line.split("=", 1) for line in lines if line and not line.startswith("#"))
    return dict(pairs)


def load(values: dict[str, str] | None = None) -> dict[str, Any]:
    """The file with its variables filled in; `$$` is a plain dollar, as an engine hands it on."""
    given = example() | (values or {})
    text = VARIABLE.sub(lambda found: given.get(found["name"], found["default"]), COMPOSE.read_text())
    read: dict[str, Any] = yaml.safe_load(text)
    return read


def plain(text: str) -> str:
    """A command's text as the container's shell sees it."""
    return text.replace("$$", "$")


def environment(service: dict[str, Any]) -> dict[str, str]:
    """What the service's process finds set."""
    return {name: str(value) for name, value in service.get("environment", {}).items()}


def ours(services: dict[str, Any]) -> dict[str, Any]:
    """The services that run Sightline itself."""
    return {name: service for name, service in services.items() if service["image"].startswith("sightline:")}


def folder_of(path: str) -> Path:
    """A file the compose file names, seen from the repository."""
    return (ROOT / path).resolve()
