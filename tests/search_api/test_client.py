"""The Python client, against a real server."""

import asyncio
import inspect
import re
import socket
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

import sightline
from indexer.removal import Remover
from sightline import calls
from tests.pictures import scene
from tests.search_api.conftest import bring
from workers.runtime import Runtime

Library = dict[str, int]


def test_hits_come_page_by_page(
    api: sightline.Client, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them, each once, in the order of the pages; a limit ends them early."""
    monkeypatch.setattr("sightline.synchronous.PAGE", 2)
    ids = [hit["id"] for hit in api.search("order:added")]
    assert ids == sorted(library.values(), reverse=True)
    assert [hit["id"] for hit in api.search(limit=3)] == ids[:3]


def test_searching_by_words_pictures_and_ids(
    api: sightline.Client, library: Library, photographs: dict[str, bytes]
) -> None:
    """A picture shown finds itself; an image of the library finds others; both go with words."""
    token = api.example(photographs["coffee.png"])
    first = next(iter(api.search(like=token, all=True)))
    assert first["id"] == library["coffee.png"]
    assert first["channels"]["image"]["cosine"] == pytest.approx(1.0, abs=0.01)
    others = {hit["id"] for hit in api.search("a cup", like=[library["coffee.png"], token], all=True)}
    assert others == set(library.values()) - {library["coffee.png"]}


def test_counts_and_facets(api: sightline.Client, library: Library, photographs: dict[str, bytes]) -> None:
    """What an answer holds, without fetching it."""
    assert api.count("") == {"value": len(library), "relation": "eq"}
    formats = {facet["value"]: facet["count"] for facet in api.facets("", "format")["format"]}
    assert formats == {"png": 4, "jpeg": 2}
    assert [facet["value"] for facet in api.facets("", "format", limit=1)["format"]] == ["png"]
    (tag, *_) = api.tags(limit=1)
    assert api.count(f'tag:"{tag["name"]}"')["value"] == tag["images"]
    token = api.example(photographs["coffee.png"])
    every = api.facets("", "format", like=token, all=True)["format"]
    assert sum(facet["count"] for facet in every) == api.count(like=token, all=True)["value"] == len(library)
    assert tag["name"] in [found["name"] for found in api.complete(tag["name"][:3], limit=100)]


def test_what_is_said_of_images(api: sightline.Client, library: Library) -> None:
    """Tags and captions of one image; tags of many, taken back."""
    image_id = library["rocket.jpg"]
    assert "lift/off" in [tag["name"] for tag in api.add_tag(image_id, "lift/off")["tags"]]
    assert api.reject_tag(image_id, "lift/off")["tags"][0]["rejected"] is not None
    assert "lift/off" not in [tag["name"] for tag in api.clear_tag(image_id, "lift/off")["tags"]]
    machine = api.image(image_id)["caption"]
    assert api.write_caption(image_id, "up it goes")["caption"] == "up it goes"
    assert api.clear_caption(image_id)["caption"] == machine
    made = api.edit(q="format:jpeg", add=["photograph"])
    assert made["changed"] == 2
    assert made["edit"] is not None
    assert api.edits(limit=1)[0]["id"] == made["edit"]["id"]
    assert api.undo(made["edit"]["id"])["restored"] == 2
    assert api.edit([image_id], clear=["photograph"])["changed"] == 0


def test_exports(api: sightline.Client, library: Library, tmp_path: Path) -> None:
    """Rows for a data frame, and files of each kind; a refusal leaves no file behind."""
    rows = list(api.rows("order:added", columns=["id", "tags"]))
    assert [row["id"] for row in rows] == sorted(library.values(), reverse=True)
    assert all(isinstance(row["tags"], list) for row in rows)
    assert api.export("", tmp_path / "a.csv", columns=["id"]).read_text().splitlines()[0] == "id"
    assert pq.read_table(api.export("", tmp_path / "a.parquet")).num_rows == len(library)
    with pytest.raises(ValueError, match="say format="):
        api.export("", tmp_path / "a.table")
    with pytest.raises(sightline.Problem):
        api.export("widht:2000", tmp_path / "b.csv")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.csv", "a.parquet"]


def test_collections_and_saved_searches(api: sightline.Client, library: Library) -> None:
    """Kept, filled, found, forgotten."""
    made = api.create_collection("client")
    assert api.collect(made["id"], q="format:jpeg") == 2
    assert api.collect(made["id"], list(library.values())) == len(library) - 2
    assert api.uncollect(made["id"], [library["coffee.png"]]) == 1
    assert api.rename_collection(made["id"], "client 2")["images"] == len(library) - 1
    saved = api.save_search("mine", 'collection:"client 2"')
    assert [one["count"] for one in api.searches() if one["id"] == saved["id"]] == [len(library) - 1]
    api.delete_search(saved["id"])
    api.delete_collection(made["id"])
    assert made["id"] not in [one["id"] for one in api.collections()]


def test_pictures_are_added_and_removed(
    api: sightline.Client, worker: Runtime, library: Library, tmp_path: Path
) -> None:
    """A file is followed until it can be found; its bytes come back; a job without a worker times out."""
    file = tmp_path / "new.png"
    scene(90, 70).save(file)
    taken = api.upload(file)
    (item,), job_id = taken["items"], taken["job_id"]
    assert job_id is not None
    with pytest.raises(TimeoutError, match="0 of 1 after 0 s; does a worker run"):
        api.wait(job_id, timeout_s=0)
    bring(worker, [item["image_id"]])
    assert api.wait(job_id)["indexed"] == 1
    assert job_id in [job["id"] for job in api.jobs()]
    assert api.original(item["image_id"]) == file.read_bytes()
    assert api.thumbnail(item["image_id"])[8:12] == b"WEBP"
    assert api.stats()["images"]["indexed"] == len(library) + 1
    Remover(worker.sessions, worker.storage).remove([item["image_id"]])


def test_tables_go_out_and_come_back(
    api: sightline.Client, worker: Runtime, library: Library, tmp_path: Path
) -> None:
    """Uploaded with a SKU, exported, edited, imported; addresses wait to be fetched; twice with a key is once."""
    file = tmp_path / "sku.png"
    scene(91, 70).save(file)
    said = {
        "sku": "C-1",
        "title": "Four",
        "caption": "four quarters",
        "tags": ["quarter"],
        "collection": "Kept",
    }
    taken = api.upload(file, **said, idempotency_key="upload-1")  # type: ignore[arg-type]
    assert api.upload(file, **said, idempotency_key="upload-1") == taken  # type: ignore[arg-type]
    image_id = taken["items"][0]["image_id"]
    worker.pipeline.index([image_id])
    worker.publisher.drain()
    table = api.export("sku:C-1", tmp_path / "c.csv", columns=["sku", "title", "alt_text"])
    assert api.import_manifest(table)["counts"] == {"unchanged": 1}
    edited = table.read_bytes().replace(b"Four", b"Five")
    assert api.dry_run(edited)["counts"] == {"changed": 1}
    assert api.import_manifest(edited)["counts"] == {"changed": 1}
    image = api.image(image_id)
    assert (image["title"], image["caption"]) == ("Five", "four quarters")
    told = api.add_urls(["https://shop.example/1.jpg", {"url": "file:///x", "sku": "C-2"}])
    assert [(row["status"], row["sku"]) for row in told["rows"]] == [("fetching", None), ("refused", "C-2")]
    api.delete_image(image_id)
    with worker.sessions.begin() as session:
        session.execute(text("DELETE FROM fetches"))


def test_refusals_carry_the_problem(api: sightline.Client, library: Library) -> None:
    """What the server says is all there: its stable name, the place of a slip, what may have been meant."""
    with pytest.raises(sightline.Problem) as slip:
        list(api.search("a dog colection:x"))
    problem = slip.value
    assert (problem.status, problem.name, problem.more["position"]) == (422, "query_syntax_error", 6)
    assert "collection" in problem.more["suggestions"]
    with pytest.raises(sightline.Problem, match="There is no image 424242") as gone:
        api.image(424242)
    assert gone.value.status == 404


def test_no_server() -> None:
    """The address and the remedy are named; nothing of the transport shows through."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # taken, and not listened at
        port = silent.getsockname()[1]
        with sightline.Client(f"http://127.0.0.1:{port}") as nobody:
            for act in (nobody.stats, lambda: list(nobody.rows(""))):
                with pytest.raises(sightline.Unreachable, match=f"127.0.0.1:{port}.*sightline serve"):
                    act()


def test_an_answer_that_is_no_problem() -> None:
    """A proxy's page of its own is told by its status."""
    problem = sightline.Problem.read(502, None)
    assert (problem.status, problem.name, str(problem)) == (502, "http_error", "HTTP 502: ")


def test_the_same_to_await(address: str, library: Library, tmp_path: Path) -> None:
    """Searching, counting, rows, files and refusals, in an event loop."""

    async def scenario() -> None:
        async with sightline.AsyncClient(address) as api:
            assert {hit["id"] async for hit in api.search("", limit=100)} == set(library.values())
            assert (await api.count("format:jpeg"))["value"] == 2
            assert (await api.count("a cup", all=True))["value"] == len(library)
            every = await api.facets("a cup", "format", all=True)
            assert sum(facet["count"] for facet in every["format"]) == len(library)
            assert len([row async for row in api.rows("", columns=["id"])]) == len(library)
            exported = await api.export("", tmp_path / "a.jsonl")
            assert len(exported.read_text().splitlines()) == len(library)
            answers = await asyncio.gather(*(api.image(image_id) for image_id in library.values()))
            assert [answer["id"] for answer in answers] == list(library.values())
            with pytest.raises(sightline.Problem):
                await api.parse("widht:2000")

    asyncio.run(scenario())


def test_both_clients_offer_the_same() -> None:
    """Every public method of one is one of the other, with the same arguments."""

    def offered(kind: type) -> dict[str, list[str]]:
        methods = inspect.getmembers(kind, inspect.isfunction)
        return {
            name: list(inspect.signature(method).parameters)
            for name, method in methods
            if not name.startswith("_")
        }

    assert offered(sightline.Client) == offered(sightline.AsyncClient)


def test_every_request_is_one_the_api_describes(client: TestClient) -> None:
    """Each call's method and path are in the OpenAPI description."""
    described = client.get("/v1/openapi.json").json()["paths"]
    known = {
        (method.upper(), re.sub(r"{[^}]+}", "[^/]+", path))
        for path, methods in described.items()
        for method in methods
    }
    sent: list[calls.Call[Any]] = [
        *(make(1) for make in (calls.image, calls.undo, calls.job, calls.jobs, calls.edits)),
        calls.delete_image(1, originals=True),
        *(calls.add_urls([], refetch=False, key=None), calls.import_manifest(b"", refetch=False, key="k")),
        calls.dry_run(b"", refetch=False),
        *(make() for make in (calls.collections, calls.searches, calls.keys, calls.stats)),
        *(calls.say("PUT", 1, "a/b"), calls.say("DELETE", 1, "a"), calls.take_back(1, "a/b")),
        *(calls.picture(1, part) for part in ("thumbnail", "original")),
        *(calls.collect(1, {}, rest) for rest in ("", "/remove")),
        *(calls.delete_search(1), calls.delete_collection(1), calls.rename_collection(1, "x")),
        *(calls.search(""), calls.parse(""), calls.tags("", 1), calls.complete("", 1), calls.example(b"")),
        *(calls.caption(1, "x"), calls.edit({}), calls.create_collection("x"), calls.save_search("x", "")),
        calls.take_back_caption(1),
        *(calls.export("", "csv", (), False), calls.duplicates("", None)),
    ]
    for call in sent:
        asked = call.path.partition("?")[0]
        assert any(call.method == method and re.fullmatch(path, asked) for method, path in known), asked
