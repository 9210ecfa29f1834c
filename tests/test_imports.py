"""Who imports whom: the layout's one-way streets, read from the syntax trees."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# Top to bottom is the data's path: a module imports only from its own group and those above it.
ORDER = [
    {"errors", "logs", "metrics", "probe", "spreadsheets", "stage_clock"},
    {"settings"},
    {"local_stack"},
    {"colour", "images", "metadata", "metadata_blocks", "decoding", "decode_child"},
    {"storage"},
    {"published"},
    {"model_names"},
    {"vocabulary"},
    {"query"},
    {"open_set"},
    {"modeling"},
    {"checkpoints"},
    {"predictors"},
    {"model_hub"},
    {"tables"},
    {"catalog"},
    {"embeddings"},
    {"fetching"},
    {"batching"},
    {"publishing"},
    {"prepared", "decoder"},
    {"pipeline", "ingest", "consistency", "backup", "bulk", "removal"},
    {"postings"},
    {"nearest"},
    {"search", "contact_sheet"},
    {"manifests", "outcomes", "edited_rows", "importing", "watching"},
    {"reindexing"},
    {"task_queue"},
    {"evaluation"},
    {"training"},
    {"cli"},
]
LEVEL = {name: level for level, group in enumerate(ORDER) for name in group}
HOMES = {
    "torch": {
        *("indexer/modeling", "indexer/checkpoints", "indexer/predictors", "indexer/model_hub"),
        "indexer/training",
    },
    "sqlalchemy": {
        *("indexer/catalog", "indexer/tables", "indexer/pipeline", "indexer/ingest", "indexer/consistency"),
        *(
            "indexer/decoder",
            "indexer/fetching",
            "indexer/importing",
            "indexer/publishing",
            "indexer/removal",
            "indexer/backup",
            "indexer/bulk",
        ),
        *("indexer/postings", "indexer/nearest", "indexer/search", "indexer/reindexing", "indexer/cli"),
        *("workers", "search_api", "migrations"),
    },
    "pymilvus": {"indexer/embeddings"},
    "celery": {"indexer/task_queue", "workers"},
    "fastapi": {"search_api"},
    "pydantic_settings": {"indexer/settings"},
}
SETTINGS_READERS = {"indexer/cli", "workers", "search_api/app", "migrations/env"}


def _modules() -> list[Path]:
    folders = ("indexer", "workers", "search_api", "sightline", "migrations")
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _name(path: Path) -> str:
    return path.relative_to(ROOT).with_suffix("").as_posix()


def _within(name: str, homes: set[str]) -> bool:
    return any(name == home or name.startswith(f"{home}/") for home in homes)


@pytest.mark.parametrize("path", _modules(), ids=_name)
def test_imports_run_one_way(path: Path) -> None:
    """Core knows no edge, edges do not know each other, and inside the core only upwards."""
    name = _name(path)
    top, *rest = name.split("/")
    forbidden = {
        "indexer": {"workers", "search_api", "sightline"},
        "workers": {"search_api", "sightline"},
        "search_api": {"workers", "sightline"},
        "sightline": {"indexer", "workers", "search_api"},
    }
    for module in _imports(path):
        parts = module.split(".")
        assert parts[0] not in forbidden.get(top, set()), f"{name} imports {module}"
        if top == "indexer" and rest != ["__init__"] and parts[0] == "indexer" and len(parts) > 1:
            assert LEVEL[parts[1]] <= LEVEL[rest[0]], f"{name} imports {module}, which is below it"


@pytest.mark.parametrize("path", _modules(), ids=_name)
def test_libraries_stay_at_home(path: Path) -> None:
    """A library is known to the few modules that are about it."""
    name = _name(path)
    for module in _imports(path):
        homes = HOMES.get(module.split(".")[0])
        assert homes is None or _within(name, homes), f"{name} imports {module}"


@pytest.mark.parametrize("path", _modules(), ids=_name)
def test_only_roots_read_settings(path: Path) -> None:
    """Everything else takes arguments."""
    if "indexer.settings.get_settings" in set(_imports(path)):
        assert _within(_name(path), SETTINGS_READERS)


def test_every_module_has_its_place() -> None:
    """A new module is given a place in the order."""
    placed = {path.stem for path in (ROOT / "indexer").iterdir() if path.suffix == ".py" or path.is_dir()}
    assert placed - {"__init__", "__pycache__", "bundled", "contact_sheet"} <= set(LEVEL)
