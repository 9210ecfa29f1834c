"""Whole answers, duplicates and saved searches from the command line."""

import csv
import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from indexer import local_stack
from indexer.catalog import annotations, connection, edits, images
from indexer.reindexing import in_effect
from indexer.settings import Settings
from tests.catalogue import add_indexed
from tests.indexer.cli.conftest import Run

EMBEDDER_DIMENSION = 256  # of the bundled one


@pytest.fixture
def tag(run: Run, stack: local_stack.Endpoints, stack_settings: Settings) -> Iterator[str]:
    """A tag that three images show, and no others, in a library whose models are the bundled ones."""
    run("tags")  # brings the catalogue up to date
    name = f"tag {uuid.uuid4().hex}"
    engine = connection.connect(stack.postgres_url)
    models = in_effect.settle(connection.sessions(engine), in_effect.choice_of(stack_settings))
    with connection.sessions(engine).begin() as session:
        file = annotations.annotator_id(session, "file", "metadata")
        by = annotations.Annotators(**{kind: row.annotator_id for kind, row in models.items()}, file=file)
        ids = [
            add_indexed(
                session, {name: 0.9}, by, caption="=cmd()", image_embedding=each, caption_embedding=each
            )
            for each in annotations.pack(np.eye(3, EMBEDDER_DIMENSION))
        ]
    yield name
    with connection.sessions(engine).begin() as session:
        images.remove(session, ids)
    engine.dispose()


def test_each_kind_of_file(run: Run, tag: str, tmp_path: Path) -> None:
    """A row for each image, as the file's name says; only whole files appear."""
    query = f'tag:"{tag}"'
    for name in ("a.csv", "a.jsonl", "a.parquet"):
        status, _, err = run("export", query, "-o", str(tmp_path / name), "--columns", "id,caption,tags")
        assert (status, name in err) == (0, True)
    with (tmp_path / "a.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["caption"], row["tags"]) for row in rows] == [("'=cmd()", tag)] * 3
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [str(line["id"]) for line in lines] == [row["id"] for row in rows]
    assert pq.read_table(tmp_path / "a.parquet").column_names == ["id", "caption", "tags"]
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("-o", "a.xlsx"), ".csv, .jsonl"),
        (("--columns", "id,colour"), "there are id, sku"),
        (("widht:2000",), "width"),
    ],
)
def test_what_cannot_be_exported(run: Run, arguments: tuple[str, ...], words: str) -> None:
    """A file of no known kind, an unknown column and a slip are one line with the remedy."""
    status, _, err = run("export", *arguments)
    assert (status, words in err, "Traceback" in err) == (1, True, False)


def test_duplicates_tell_how_many_were_compared(run: Run, tag: str) -> None:
    """As JSON for scripts; three pictures that have nothing in common."""
    status, out, _ = run("duplicates", f'tag:"{tag}"', "--json")
    assert (status, json.loads(out)) == (0, [])
    assert "0 groups among 3 images" in run("duplicates", f'tag:"{tag}"')[2]


def test_hits_are_told_by_number_with_each_tag_once(run: Run, tag: str, stack: local_stack.Endpoints) -> None:
    """The number by which queries ask for an image; of several who say a tag the surest counts."""
    numbers = [line.strip() for line in run("export", f'tag:"{tag}"', "--columns", "id")[1].split()[1:]]
    engine = connection.connect(stack.postgres_url)
    with connection.sessions(engine).begin() as session:
        edits.make(session, [int(numbers[0])], edits.Wish(add=(tag,)))
    engine.dispose()
    table = run("search", f'tag:"{tag}"')[1]
    assert all(number in table for number in numbers)
    shown = "".join(table.split())
    assert shown.count(tag.replace(" ", "")) == 3


@pytest.mark.parametrize("before", [(), ("--",)])
def test_a_query_may_begin_with_a_minus(run: Run, tag: str, before: tuple[str, ...]) -> None:
    """It is no option, wherever options stand; short options still are."""
    asked = (*before, f'-tag:nothing-{uuid.uuid4().hex} tag:"{tag}"')
    status, _, err = run("export", "--columns", "id", *asked)
    assert (status, "No tag is called" in err) == (1, True)
    status, out, _ = run("duplicates", "--json", *before, f'-has:sku tag:"{tag}"')
    assert (status, json.loads(out)) == (0, [])
    status, _, err = run("search", "-q")
    assert (status, "No such option" in err) == (2, True)


def test_saved_searches(run: Run, tag: str) -> None:
    """Kept under a name, counted, and forgotten."""
    name = uuid.uuid4().hex
    assert run("searches", "save", name, f'tag:"{tag}"')[0] == 0
    kept = {one["name"]: one["count"] for one in json.loads(run("searches", "--json")[1])}
    assert kept[name] == 3
    assert name[:8] in run("searches")[1]
    assert run("searches", "save", name, "")[0] == 1
    assert run("searches", "delete", name)[0] == 0
    status, _, err = run("searches", "delete", name)
    assert (status, "No saved search" in err) == (1, True)
