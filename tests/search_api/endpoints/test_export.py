"""Exports over HTTP."""

import csv
import io
import json
import re

import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

Library = dict[str, int]


def _found(client: TestClient, q: str) -> list[int]:
    return [hit["id"] for hit in client.post("/v1/search", json={"q": q}).json()["hits"]]


def test_all_formats_hold_the_answer(client: TestClient, library: Library) -> None:
    """The same images in the order of the search, in each format, by address and by request."""
    for q in ("", "a cat", "has:caption order:size"):
        wanted = _found(client, q)
        table = client.get("/v1/export", params={"q": q}).text
        assert [int(row["id"]) for row in csv.DictReader(io.StringIO(table, newline=""))] == wanted
        lines = client.post("/v1/export", json={"q": q, "format": "jsonl"}).text.splitlines()
        assert [json.loads(line)["id"] for line in lines] == wanted
        parquet = client.get("/v1/export", params={"q": q, "format": "parquet"}).content
        assert pq.read_table(io.BytesIO(parquet))["id"].to_pylist() == wanted


def test_what_comes_is_a_file(client: TestClient, library: Library) -> None:
    """With a name to keep it under and its media type; columns as chosen."""
    answer = client.get("/v1/export", params={"columns": "id, caption", "format": "csv"})
    assert re.fullmatch(
        r"attachment; filename\*=UTF-8''sightline-\d{4}-\d\d-\d\d\.csv", answer.headers["content-disposition"]
    )
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.text.splitlines()[0] == "id,caption"


@pytest.mark.parametrize(
    ("q", "name"),
    [
        ("a cat width:>5", "a-cat-width-5"),
        ('"../../etc/passwd $(x); y"', "etc-passwd-x-y"),
        ("größe 日本", "gr%C3%B6%C3%9Fe-%E6%97%A5%E6%9C%AC"),
        ("a" * 300, "a" * 50),
    ],
)
def test_the_file_is_called_after_the_query(client: TestClient, library: Library, q: str, name: str) -> None:
    """In letters and digits alone, whatever was asked, and not too long for any file system."""
    told = client.get("/v1/export", params={"q": q, "columns": "id"}).headers["content-disposition"]
    assert re.fullmatch(rf"attachment; filename\*=UTF-8''sightline-{re.escape(name)}-[\d-]{{10}}\.csv", told)


def test_hidden_hits_are_exported_when_asked(client: TestClient, library: Library) -> None:
    """What does not stand out is left out, and comes with `all`."""
    lines = client.post("/v1/export", json={"q": "a cat", "format": "jsonl", "all": True}).text.splitlines()
    assert {json.loads(line)["id"] for line in lines} == set(library.values())


def test_refusals_come_before_the_file(client: TestClient, library: Library) -> None:
    """A slip, an unknown tag and an unknown column are problems, not broken files."""
    for body, name in (
        ({"q": "widht:3"}, "query_syntax_error"),
        ({"q": "tag:nosuchtagatall"}, "unknown_tag"),
        ({"columns": ["colour"]}, "query_error"),
        ({"format": "xlsx"}, "malformed_request"),
    ):
        answer = client.post("/v1/export", json=body)
        assert (answer.status_code, answer.json()["name"]) == (422, name)
