"""Pictures at addresses and manifests over HTTP."""

import csv
import io
import json

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from indexer.removal import Remover
from tests.pictures import encoded, scene
from workers.runtime import Runtime

CSV = {"content-type": "text/csv"}


@pytest.fixture
def shop(client: TestClient, worker: Runtime, library: dict[str, int]):
    """Two pictures with SKUs, uploaded and indexed; gone at the end, with all that waits to be fetched."""
    files = [
        ("sku", (None, "A-1")),
        ("collection", (None, "Shop")),
        ("file", ("a.png", encoded(scene(70, 50), "PNG"))),
        ("sku", (None, "A-2")),
        ("title", (None, "Second")),
        ("caption", (None, "the second picture")),
        ("tags", (None, "second; Thing")),
        ("file", ("b.png", encoded(scene(71, 50), "PNG"))),
    ]
    taken = client.post("/v1/images", files=files).json()
    ids = [item["image_id"] for item in taken["items"]]
    worker.pipeline.index(ids)
    worker.publisher.drain()
    yield ids
    Remover(worker.sessions, worker.storage).remove(ids)
    with worker.sessions.begin() as session:
        session.execute(text("DELETE FROM fetches"))


def _table(client: TestClient, **params: str) -> list[dict[str, str]]:
    answer = client.get("/v1/export", params={"q": "sku:A-1,A-2 order:added", **params})
    return list(csv.DictReader(io.StringIO(answer.text)))


def _written(rows: list[dict[str, str]]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, rows[0], delimiter=";")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode("utf-8-sig")


def test_what_is_said_at_upload(client: TestClient, shop: list[int]) -> None:
    """Fields are about the files after them; they are a person's word, and a file's own data does not change it."""
    first, second = (client.get(f"/v1/images/{image_id}").json() for image_id in shop)
    assert [image["sources"][0]["external_id"] for image in (first, second)] == ["A-1", "A-2"]
    assert (first["title"], second["title"]) == (None, "Second")
    assert second["captions"][0]["text"] == "the second picture"
    assert {tag["name"] for tag in second["tags"] if tag["source"]["kind"] == "human"} == {"second", "thing"}
    found = client.get("/v1/search", params={"q": "collection:Shop"}).json()["hits"]
    assert {hit["id"] for hit in found} == set(shop)


def test_a_field_after_the_files(client: TestClient) -> None:
    """It would be about nothing, so it is refused; so is one too long to keep."""
    files = [("file", ("a.png", encoded(scene(70, 50), "PNG"))), ("sku", (None, "A-1"))]
    answer = client.post("/v1/images", files=files)
    assert (answer.status_code, "before those" in answer.json()["detail"]) == (422, True)
    answer = client.post("/v1/images", files=[("sku", (None, "x" * 201)), files[0]])
    assert (answer.status_code, "'sku'" in answer.json()["detail"]) == (422, True)


def test_the_catalogue_teams_round_trip(client: TestClient, worker: Runtime, shop: list[int]) -> None:
    """Exported, edited in a spreadsheet, sent back: what was edited is theirs, and stays when machines look again."""
    rows = _table(client)
    answer = client.post("/v1/imports", content=_written(rows), headers=CSV)
    assert answer.status_code == 202
    assert answer.json()["counts"] == {"unchanged": 2}
    rows[0]["title"], rows[0]["alt_text"] = "Red; and blue", "four quarters in four colours"
    rows.append({**rows[1], "id": "", "sku": "NO-SUCH", "title": "x"})
    answer = client.post("/v1/imports", content=_written(rows), headers=CSV).json()
    assert [(row["row"], row["status"], row["sku"]) for row in answer["rows"]] == [
        (2, "changed", "A-1"),
        (3, "unchanged", "A-2"),
        (4, "refused", "NO-SUCH"),
    ], answer
    assert answer["rows"][2]["error"]["name"] == "unknown_sku"
    job = client.get(f"/v1/jobs/{answer['job_id']}").json()
    assert (job["total"], job["failed"], job["failures"][0]["code"]) == (3, 1, "unknown_sku")
    with worker.sessions.begin() as session:
        session.execute(text("UPDATE images SET state = 'pending' WHERE id = :id"), {"id": shop[0]})
    worker.pipeline.index(shop)
    worker.publisher.drain()
    edited, other = _table(client)
    assert (edited["title"], edited["alt_text"]) == (rows[0]["title"], rows[0]["alt_text"])
    assert other == {**rows[1]}
    asked = {"q": "four quarters in four colours", "all": "true", "limit": "50"}
    (found,) = [hit for hit in client.get("/v1/search", params=asked).json()["hits"] if hit["id"] == shop[0]]
    assert found["channels"]["caption"]["cosine"] == pytest.approx(1, abs=0.01)


def test_addresses_wait_and_count(client: TestClient, shop: list[int]) -> None:
    """They are in the job and in the library's numbers until fetched; bad ones are refused, named one by one."""
    items = [
        {"url": "https://shop.example/1.jpg", "sku": "N-1", "alt_text": "new", "tags": ["new"]},
        {"url": "file:///etc/passwd"},
        {"url": "http://user:secret@shop.example/2.jpg", "sku": "N-2"},
        {"url": "s3://bucket/3.jpg"},
    ]
    before = client.get("/v1/stats").json()["waiting"]["fetch"]
    answer = client.post("/v1/images/urls", json={"items": items})
    told = answer.json()
    assert (answer.status_code, told["counts"]) == (202, {"fetching": 1, "refused": 3})
    assert {row["error"]["name"] for row in told["rows"][1:]} == {"address_refused"}
    job = client.get(answer.headers["location"]).json()
    assert (job["done"], job["total"], job["pending"], job["failed"]) == (False, 4, 1, 3)
    assert client.get("/v1/stats").json()["waiting"]["fetch"] == before + 1


def test_json_lines_and_local_paths(client: TestClient, shop: list[int]) -> None:
    """Programs may send JSON Lines; nobody reads the server's files over HTTP."""
    lines = [{"sku": "A-1", "title": "One"}, {"path": "/etc/passwd"}, {"path": "../x.png", "sku": "A-2"}]
    body = "\n".join(map(json.dumps, lines))
    rows = client.post("/v1/imports", content=body, headers={"content-type": "application/jsonl"}).json()[
        "rows"
    ]
    assert [(row["row"], row["status"]) for row in rows] == [(1, "changed"), (2, "refused"), (3, "unchanged")]
    assert rows[1]["error"]["name"] == "no_paths"


@pytest.mark.parametrize("body", [b"", b"a,b\n1,2\n", b"\x89PNG\r\n\x1a\n\0\0"])
def test_what_is_no_manifest(client: TestClient, body: bytes) -> None:
    """Refused in words, before any row."""
    answer = client.post("/v1/imports", content=body, headers=CSV)
    assert (answer.status_code, answer.json()["name"]) == (422, "manifest_error")


def test_a_dry_run(client: TestClient, shop: list[int]) -> None:
    """Row by row what would happen, what is said anew, which columns mean nothing; neither change nor job."""
    table = b"sku;url;title;alt txt\nA-1;;Other;x\nA-2;;Second;\n;https://shop.example/9.jpg;;\nZ;;;\n"
    jobs = client.get("/v1/jobs").json()["jobs"]
    answer = client.post("/v1/imports?dry_run=true", content=table, headers=CSV)
    told = answer.json()
    assert (answer.status_code, told["unknown_columns"]) == (200, ["alt txt"])
    assert told["counts"] == {"changed": 1, "unchanged": 1, "fetching": 1, "refused": 1}
    assert (told["rows"][0]["said"], told["rows"][0]["image_id"]) == (["title"], shop[0])
    assert client.get("/v1/jobs").json()["jobs"] == jobs
    assert client.get(f"/v1/images/{shop[0]}").json()["title"] is None
    taken = client.post("/v1/imports", content=table, headers=CSV).json()
    assert {name: taken[name] for name in told} == told


def test_what_an_import_takes_back_or_cannot_change(client: TestClient, shop: list[int]) -> None:
    """Each such row has a note, before and after: a word said since the table was made, an edit of what a file says."""
    first, second = _table(client)
    client.post("/v1/imports", content=b"sku,title\nA-2,Corrected\n", headers=CSV)
    table = _written([{**first, "description": "edited"}, {**second, "title": "Out of date"}])
    for address in ("/v1/imports?dry_run=true", "/v1/imports"):
        told = client.post(address, content=table, headers=CSV).json()
        assert [(row["status"], row["note"]) for row in told["rows"]] == [
            ("unchanged", "description stays as it is: no table can change that."),
            ("changed", 'It takes back a person\'s word: title "Corrected" -> "Out of date".'),
        ]
        assert told["unknown_columns"] == []
    by_hand = client.post("/v1/imports", content=b"sku,taken\nA-1,2024-05-17\n", headers=CSV).json()
    assert by_hand["unknown_columns"] == ["taken"]


def test_a_large_dry_run(client: TestClient) -> None:
    """As large as what is imported may be."""
    table = b"sku,other\n" + b"NO-SUCH,%s\n" % (b"x" * 100_000) * 12
    answer = client.post("/v1/imports?dry_run=true", content=table, headers=CSV)
    assert (answer.status_code, answer.json()["counts"]) == (200, {"refused": 12})


def test_a_table_in_a_form(client: TestClient) -> None:
    """And a path: both are slips whose remedy is told."""
    for address in ("/v1/imports", "/v1/imports?dry_run=true"):
        answer = client.post(address, files={"file": ("a.csv", b"sku\nA\n")})
        assert (answer.status_code, "--data-binary" in answer.json()["detail"]) == (422, True)
    told = client.post("/v1/imports?dry_run=true", content=b"sku,path\nNO-SUCH,a.jpg\n", headers=CSV).json()
    assert "only the command line reads paths" in told["rows"][0]["error"]["detail"]


def test_too_many_rows(client: TestClient, shop: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Those within the limit are taken, the first beyond it says that it and the rest were not."""
    monkeypatch.setattr("search_api.endpoints.imports.MAX_ROWS", 2)
    rows = client.post("/v1/imports", content=b"sku\nA-1\nA-2\nA-3\nA-4\n", headers=CSV).json()["rows"]
    assert [(row["row"], row["status"]) for row in rows] == [
        (2, "unchanged"),
        (3, "unchanged"),
        (4, "refused"),
    ]
    assert "in another" in rows[2]["error"]["detail"]


def test_an_import_is_carried_out_once(client: TestClient, shop: list[int]) -> None:
    """The same table with the same key is answered as before."""
    headers = {**CSV, "Idempotency-Key": "table-1"}
    first = client.post("/v1/imports", content=b"sku,title\nA-1,Once\n", headers=headers)
    again = client.post("/v1/imports", content=b"sku,title\nA-1,Once\n", headers=headers)
    assert first.json()["counts"] == again.json()["counts"] == {"changed": 1}
    assert again.headers["idempotency-replayed"] == "true"
    other = client.post("/v1/imports", content=b"sku,title\nA-1,Twice\n", headers=headers)
    assert (other.status_code, other.json()["name"]) == (422, "key_reused")
