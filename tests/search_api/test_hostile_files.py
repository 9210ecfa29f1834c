"""Files that were made to do harm, or are merely broken: through upload, through indexing, and out again."""

import io
import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from indexer.catalog import images
from indexer.errors import ImageError
from indexer.ingest import read_file
from tests.pictures import encoded, odd_folder, png_header, scene
from tests.search_api.conftest import bring
from workers.runtime import Runtime

SHOWN = {"image/jpeg", "image/png", "image/webp", "image/gif", "image/bmp", "image/avif"}
MARKUP = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
PAGE = b"<!doctype html><script>alert(1)</script>"


@dataclass(frozen=True)
class Fate:
    """What became of one file: refused at the door (`image_id` is None), failed later, or indexed."""

    image_id: int | None
    code: str | None
    state: str


def _zip() -> bytes:
    import zipfile

    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("run.js", "alert(1)")
    return out.getvalue()


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _png_with(chunk: bytes) -> bytes:
    plain = encoded(scene(), "PNG")
    return plain[:33] + chunk + plain[33:]


def _bomb(side: int) -> bytes:
    """A PNG of `side` x `side` black pixels, a thousandth of its size in bytes: it declares what it is."""
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((side // 8 + 2) * side), 9)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")


def _text_bomb() -> bytes:
    """A picture whose comment unpacks to a gigabyte."""
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(bytes(2**20)) for _ in range(1024)) + packer.flush()
    return _png_with(_chunk(b"zTXt", b"Comment\0\0" + data))


MADE: dict[str, bytes] = {
    "svg.jpg": MARKUP,
    "page.jpg": PAGE,
    "page.png": PAGE + encoded(scene(), "PNG"),
    "script.gif": b"GIF89a=1;alert(1)//",
    "gif and page.gif": encoded(scene(40, 30), "GIF") + PAGE,
    "jpeg and page.jpg": encoded(scene(41, 30), "JPEG") + PAGE,
    "jpeg with a page inside.jpg": encoded(scene(42, 30), "JPEG", comment=PAGE),
    "jpeg and zip.jpg": encoded(scene(43, 30), "JPEG") + _zip(),
    "png with a page inside.html": _png_with(_chunk(b"tEXt", b"Comment\0" + PAGE)),
    "png and svg.svg": encoded(scene(44, 30), "PNG") + MARKUP,
    "pdf.png": b"%PDF-1.7\n" + encoded(scene(), "PNG"),
    "bmp and script.bmp": encoded(scene(45, 30), "BMP") + b"*/=1;alert(1)",
    "declares 60000 x 60000.png": png_header(60_000, 60_000),
    "declares nothing.png": png_header(0, 0),
    "bomb of pixels.png": _bomb(20_000),
    "bomb of text.png": _text_bomb(),
    "half.jpg": encoded(scene(46, 30), "JPEG")[:400],
    "zeros.png": b"\x89PNG\r\n\x1a\n" + bytes(5_000),
    "empty.png": b"",
    "ends in NULs.png": encoded(scene(47, 30), "PNG") + bytes(10_000),
}
REFUSED = {"svg.jpg", "page.jpg", "page.png", "pdf.png", "empty.png"}


def _sent(client: TestClient, worker: Runtime, files: dict[str, bytes]) -> dict[str, Fate]:
    """Each uploaded in a request of its own, then all indexed together, good and bad."""
    taken = {}
    for name, data in files.items():
        answer = client.post("/v1/images", files={"file": (name, data, "image/jpeg")})
        assert answer.status_code in (202, 413, 415, 422), (name, answer.text)
        [taken[name]] = answer.json()["items"]
    ids = sorted({item["image_id"] for item in taken.values() if item["image_id"]})
    bring(worker, ids)
    return {name: _fate(client, item) for name, item in taken.items()}


def _fate(client: TestClient, item: dict) -> Fate:
    if item["image_id"] is None:
        return Fate(None, item["error"]["name"], "refused")
    image = client.get(f"/v1/images/{item['image_id']}").json()
    return Fate(item["image_id"], (image["error"] or {}).get("code"), image["state"])


def _gone(client: TestClient, fates: dict[str, Fate]) -> None:
    for image_id in {fate.image_id for fate in fates.values() if fate.image_id}:
        assert client.delete(f"/v1/images/{image_id}").is_success


@pytest.fixture(scope="module")
def made(client: TestClient, worker: Runtime, library: dict[str, int]) -> Iterator[dict[str, Fate]]:
    """What became of the files made here."""
    fates = _sent(client, worker, MADE)
    yield fates
    _gone(client, fates)


@pytest.fixture(scope="module", params=["uploaded", "indexed where it lies"])
def odd(
    request: pytest.FixtureRequest, client: TestClient, worker: Runtime, library: dict[str, int]
) -> Iterator[dict[str, Fate]]:
    """What became of every strange file of the test data, by either road."""
    paths = [path for path in sorted(odd_folder().iterdir()) if path.suffix != ".jsonl"]
    if request.param == "uploaded":
        fates = _sent(client, worker, {path.name: path.read_bytes() for path in paths})
    else:
        fates = _indexed(client, worker, paths)
    yield fates
    _gone(client, fates)


def _indexed(client: TestClient, worker: Runtime, paths: list[Path]) -> dict[str, Fate]:
    taken: dict[str, dict] = {}
    for path in paths:
        try:
            file = read_file(path, path.as_uri(), worker.settings.images.max_bytes)
        except ImageError as error:
            taken[path.name] = {"image_id": None, "error": {"name": error.code}}
            continue
        with worker.sessions.begin() as session:
            [row] = images.register(session, [file])
        taken[path.name] = {"image_id": row.image_id}
    bring(worker, sorted({item["image_id"] for item in taken.values() if item["image_id"]}))
    return {name: _fate(client, item) for name, item in taken.items()}


def test_no_picture_no_image(made: dict[str, Fate]) -> None:
    """What does not begin as a picture is refused at the door, whatever it is called and said to be."""
    assert {name for name, fate in made.items() if fate.state == "refused"} == REFUSED
    assert {made[name].code for name in REFUSED} == {"unsupported_format", "broken"}


def test_what_only_begins_as_a_picture(made: dict[str, Fate]) -> None:
    """It fails by itself, with a reason, and costs no other file anything."""
    failed = {name: fate.code for name, fate in made.items() if fate.state not in ("refused", "indexed")}
    assert failed == {
        "script.gif": "broken",
        "declares 60000 x 60000.png": "too_large",
        "declares nothing.png": "broken",
        "bomb of pixels.png": "too_large",
        "bomb of text.png": "broken",
        "half.jpg": "broken",
        "zeros.png": "broken",
    }


def _check_served(client: TestClient, name: str, fate: Fate, data: bytes) -> None:
    """What goes out says what decoding found, and nothing else can be made of it."""
    answer = client.get(f"/v1/images/{fate.image_id}/original")
    kind, treat = answer.headers["content-type"], answer.headers["content-disposition"].partition(";")[0]
    assert answer.content == data
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert "script-src" not in answer.headers["content-security-policy"]
    if fate.state != "indexed":
        assert (kind, treat) == ("application/octet-stream", "attachment"), name
        assert client.get(f"/v1/images/{fate.image_id}/thumbnail").status_code == 404
        return
    assert kind == f"image/{client.get(f'/v1/images/{fate.image_id}').json()['format']}"
    assert treat == ("inline" if kind in SHOWN else "attachment"), name
    thumbnail = client.get(f"/v1/images/{fate.image_id}/thumbnail").content
    assert Image.open(io.BytesIO(thumbnail)).format == "WEBP"
    assert b"alert(1)" not in thumbnail


@pytest.mark.parametrize("name", sorted(MADE.keys() - REFUSED))
def test_what_goes_out_is_the_picture_only(client: TestClient, made: dict[str, Fate], name: str) -> None:
    """A file that is two things is sent as the picture it decodes as; one that is none, as bytes to keep."""
    _check_served(client, name, made[name], MADE[name])


def test_every_strange_file(client: TestClient, odd: dict[str, Fate]) -> None:
    """Each is refused, fails with a named reason or is indexed, and goes out as no more than it is."""
    folder = odd_folder()
    told = {json.loads(line)["file"] for line in (folder / "manifest.jsonl").read_text().splitlines()}
    assert odd.keys() <= told
    for name, fate in odd.items():
        assert (fate.state == "indexed") is (fate.code is None), name
        if fate.image_id is not None:
            _check_served(client, name, fate, (folder / name).read_bytes())
    for name in ("syn_html.jpg", "check.svg", "syn_empty.jpg", "syn_gif_html_polyglot.gif"):
        assert odd[name].state in ("refused", "failed"), name
    assert sum(fate.state == "indexed" for fate in odd.values()) > len(odd) / 2
    assert client.get("/readyz").status_code == 200


@pytest.mark.parametrize(
    "name",
    [
        "../../../../etc/passwd.png",
        "..\\..\\windows\\system32\\a.png",
        "/etc/cron.d/a.png",
        "C:\\a.png",
        "%2e%2e%2fa.png",
        "a.png\x00.html",
        "\u202egnp.exe",
        "...",
        "..",
        "~root/.ssh/authorized_keys",
        "a" * 5_000 + ".png",
        "\r\nSet-Cookie: a=b\r\n.png",
        "$(reboot).png",
        "a;b&c|d.png",
        "é\udcff.png".encode("utf-8", "surrogateescape").decode("latin-1"),
    ],
)
def test_names_lead_nowhere(client: TestClient, worker: Runtime, library: dict[str, int], name: str) -> None:
    """Only the last part of a name is kept, as text to show; the file lies under its hash, whatever it is called."""
    picture = encoded(scene(50 + len(name) % 40, 33), "PNG")
    quoted = name.replace("\\", "\\\\").replace('"', '\\"').encode("utf-8", "surrogateescape")
    body = b'--e\r\nContent-Disposition: form-data; name="file"; filename="' + quoted + b'"\r\n\r\n' + picture
    answer = client.post(
        "/v1/images",
        content=body + b"\r\n--e--\r\n",
        headers={"content-type": "multipart/form-data; boundary=e"},
    )
    if answer.status_code == 422:  # a header that ends too early, or is too long
        assert "\r\n" in name or len(name) > 1_000
        return
    [item] = answer.json()["items"]
    try:
        assert "/" not in item["name"]
        assert "\\" not in item["name"]
        assert item["name"].isprintable()
        assert 0 < len(item["name"]) <= 255
        sent = client.get(f"/v1/images/{item['image_id']}/original")
        assert sent.content == picture
        assert "set-cookie" not in sent.headers
        assert sent.headers["content-disposition"].isascii()
    finally:
        client.delete(f"/v1/images/{item['image_id']}")
    stored = [path for path in Path(worker.settings.storage).rglob("*") if path.is_file()]
    assert all(len(path.name.split(".")[0]) >= 32 for path in stored)
