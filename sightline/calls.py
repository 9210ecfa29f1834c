"""Every request the API takes, as a value: what to send and how to read the answer.

Both clients send these; only the sending differs.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Generic, Literal, TypeVar
from urllib.parse import quote

import httpx

from sightline import types
from sightline.errors import Problem, Unreachable

T = TypeVar("T")
Picture = Path | str | bytes
Like = int | str
Format = Literal["csv", "jsonl", "parquet"]
KEY_VARIABLE = "SIGHTLINE_API_KEY"


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request, and what its answer means."""

    method: str
    path: str
    read: Callable[[httpx.Response], T]
    params: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def arguments(self) -> dict[str, Any]:
        """As httpx takes them."""
        given = {"params": self.params, "json": self.body, "content": self.content, "headers": self.headers}
        return {key: value for key, value in given.items() if value}


def credentials(api_key: str | None) -> dict[str, str]:
    """The headers that let one in; none where there is no key, given or in SIGHTLINE_API_KEY.

    White space around it, as a file ends with, is no part of a key. Raises ValueError, without telling it, for text
    that no key can be: as a header it could not be sent, and the complaint about that would show it.
    """
    key = (api_key or os.environ.get(KEY_VARIABLE) or "").strip()
    if not (key.isascii() and key.isprintable()):
        raise ValueError("The API key holds characters that no key has; copy it anew.")
    return {"authorization": f"Bearer {key}"} if key else {}


def check(answer: httpx.Response) -> None:
    """Raise the problem an answer tells, if it tells one; its body must have been read."""
    if answer.is_success:
        return
    try:
        body = answer.json()
    except ValueError:
        body = None
    raise Problem.read(answer.status_code, body)


def _json(answer: httpx.Response) -> Any:
    return answer.json()


def _of(member: str) -> Callable[[httpx.Response], Any]:
    return lambda answer: answer.json()[member]


def _nothing(_: httpx.Response) -> None:
    return None


def _bytes(answer: httpx.Response) -> bytes:
    return answer.content


def asked(q: str, like: Like | Iterable[Like]) -> str:
    """A query with examples behind it: ids of indexed images, or tokens `example` made of pictures."""
    examples = [like] if isinstance(like, int | str) else list(like)
    return " ".join([*([q] if q.strip() else []), *(f"like:{one}" for one in examples)])


def search(q: str, **choices: Any) -> Call[types.Page]:
    """One page of hits; `choices` are limit, cursor, facets, facet_limit, fields, all, explain."""
    given = {key: value for key, value in choices.items() if value not in (None, (), [])}
    given = {key: list(value) if isinstance(value, tuple) else value for key, value in given.items()}
    return Call("POST", "/v1/search", _json, body={"q": q, **given})


def image(image_id: int) -> Call[types.Image]:
    """Everything known of one image."""
    return Call("GET", f"/v1/images/{image_id}", _json)


def picture(image_id: int, part: Literal["thumbnail", "original"]) -> Call[bytes]:
    """A picture's own bytes."""
    return Call("GET", f"/v1/images/{image_id}/{part}", _bytes)


def delete_image(image_id: int, originals: bool) -> Call[None]:
    """Take an image out of the library, and what it keeps of an upload's original."""
    return Call("DELETE", f"/v1/images/{image_id}?originals={str(originals).lower()}", _nothing)


def say(method: Literal["PUT", "DELETE"], image_id: int, tag: str) -> Call[types.Image]:
    """Say that an image shows a tag, or that it does not."""
    return Call(method, f"/v1/images/{image_id}/tags/{quote(tag, safe='')}", _json)


def take_back(image_id: int, tag: str) -> Call[types.Image]:
    """Take back the person's word on a tag."""
    return Call("DELETE", f"/v1/images/{image_id}/statements/{quote(tag, safe='')}", _json)


def caption(image_id: int, text: str) -> Call[types.Image]:
    """Write the person's caption."""
    return Call("PUT", f"/v1/images/{image_id}/caption", _json, body={"text": text})


def take_back_caption(image_id: int) -> Call[types.Image]:
    """Take back the person's caption."""
    return Call("DELETE", f"/v1/images/{image_id}/caption", _json)


def selection(images: Sequence[int] | None, q: str | None) -> dict[str, Any]:
    """Which images are meant: `images` by id, or all that `q` finds."""
    return {"q": q} if images is None else {"images": list(images)}


def edit(meant: Mapping[str, Any], **tags: Sequence[str]) -> Call[types.EditMade]:
    """Edit tags of many images; `tags` are add, remove, clear."""
    return Call("POST", "/v1/edits", _json, body={**meant, **{k: list(v) for k, v in tags.items()}})


def undo(edit_id: int) -> Call[types.EditUndone]:
    """Take an edit back."""
    return Call("POST", f"/v1/edits/{edit_id}/undo", _json)


def edits(limit: int, before: int | None = None) -> Call[list[types.Edit]]:
    """The newest edits; of those made before the edit `before`, if it is given."""
    asked = {"limit": limit} if before is None else {"limit": limit, "before": before}
    return Call("GET", "/v1/edits", _of("edits"), asked)


def collections() -> Call[list[types.Collection]]:
    """Every collection."""
    return Call("GET", "/v1/collections", _of("collections"))


def create_collection(name: str) -> Call[types.Collection]:
    """Begin a collection."""
    return Call("POST", "/v1/collections", _json, body={"name": name})


def rename_collection(collection_id: int, name: str) -> Call[types.Collection]:
    """Give a collection another name."""
    return Call("PATCH", f"/v1/collections/{collection_id}", _json, body={"name": name})


def delete_collection(collection_id: int) -> Call[None]:
    """Forget a collection."""
    return Call("DELETE", f"/v1/collections/{collection_id}", _nothing)


def collect(collection_id: int, meant: Mapping[str, Any], rest: str = "") -> Call[int]:
    """Put images into a collection, or take them out (`/remove`); how many were."""
    return Call("POST", f"/v1/collections/{collection_id}/images{rest}", _of("changed"), body=meant)


def searches() -> Call[list[types.SavedSearch]]:
    """Every saved search."""
    return Call("GET", "/v1/searches", _of("searches"))


def save_search(name: str, q: str) -> Call[types.SavedSearch]:
    """Keep a search."""
    return Call("POST", "/v1/searches", _json, body={"name": name, "query": q})


def delete_search(search_id: int) -> Call[None]:
    """Forget a saved search."""
    return Call("DELETE", f"/v1/searches/{search_id}", _nothing)


def export(q: str, format_: Format, columns: Sequence[str], everything: bool) -> Call[None]:
    """A whole answer, to be read as it comes."""
    chosen = {"columns": list(columns)} if columns else {}
    return Call("POST", "/v1/export", _nothing, body={"q": q, "format": format_, "all": everything, **chosen})


def duplicates(q: str, threshold: float | None) -> Call[types.Duplicates]:
    """Groups of near-duplicates."""
    params = {"q": q} if threshold is None else {"q": q, "threshold": threshold}
    return Call("GET", "/v1/duplicates", _json, params)


def tags(prefix: str, limit: int) -> Call[list[types.TagCount]]:
    """Tags by falling count."""
    return Call("GET", "/v1/tags", _of("tags"), {"prefix": prefix, "limit": limit})


def complete(prefix: str, limit: int) -> Call[list[types.Completion]]:
    """What the letters typed may become."""
    return Call("GET", "/v1/tags/complete", _of("tags"), {"prefix": prefix, "limit": limit})


def parse(q: str) -> Call[types.Parsed]:
    """A query as the server understands it."""
    return Call("POST", "/v1/query/parse", _json, body={"q": q})


def keys() -> Call[list[dict[str, Any]]]:
    """The keys of the query language."""
    return Call("GET", "/v1/query/keys", _of("keys"))


def example(data: bytes) -> Call[str]:
    """A picture as a token to search by."""
    kind = {"content-type": "application/octet-stream"}
    return Call("POST", "/v1/examples", _of("example"), content=data, headers=kind)


def job(job_id: int) -> Call[types.Job]:
    """How far a job is."""
    return Call("GET", f"/v1/jobs/{job_id}", _json)


def jobs(limit: int) -> Call[list[types.Job]]:
    """The newest jobs."""
    return Call("GET", "/v1/jobs", _of("jobs"), {"limit": limit})


def stats() -> Call[types.Stats]:
    """The library at a glance."""
    return Call("GET", "/v1/stats", _json)


def form(
    files: Iterable[Path | str], opened: ExitStack, said: Mapping[str, str | None]
) -> list[tuple[str, tuple[str | None, Any]]]:
    """Files to upload, and what is `said` of all of them, as httpx takes them; kept open by `opened` until sent."""
    fields: list[tuple[str, tuple[str | None, Any]]] = [
        (name, (None, text)) for name, text in said.items() if text
    ]
    return fields + [
        ("file", (Path(file).name, opened.enter_context(Path(file).open("rb")))) for file in files
    ]


def once(key: str | None) -> dict[str, str]:
    """The header by which a request that is sent again is carried out once."""
    return {} if key is None else {"Idempotency-Key": key}


def add_urls(items: Iterable[str | types.Address], refetch: bool, key: str | None) -> Call[types.Import]:
    """Bring pictures from addresses."""
    given = [{"url": item} if isinstance(item, str) else dict(item) for item in items]
    body = {"items": given, "refetch": refetch}
    return Call("POST", "/v1/images/urls", _json, body=body, headers=once(key))


def import_manifest(manifest: Picture, refetch: bool, key: str | None) -> Call[types.Import]:
    """Take a table of pictures and of what is said of them."""
    headers = {"content-type": "text/csv", **once(key)}
    return Call(
        "POST", "/v1/imports", _json, {"refetch": refetch}, content=content(manifest), headers=headers
    )


def dry_run(manifest: Picture, refetch: bool) -> Call[types.DryRun]:
    """Ask what taking a table would do."""
    params = {"refetch": refetch, "dry_run": True}
    headers = {"content-type": "text/csv"}
    return Call("POST", "/v1/imports", _json, params, content=content(manifest), headers=headers)


def content(of: Picture) -> bytes:
    """A picture's bytes, given as such or as a file."""
    return of if isinstance(of, bytes) else Path(of).read_bytes()


def row(line: str) -> types.Row:
    """One line of an export."""
    read: types.Row = json.loads(line)
    return read


def uploaded(answer: httpx.Response) -> types.Upload:
    """What became of the files sent."""
    read: types.Upload = answer.json()
    return read


def unfinished(job_now: types.Job, timeout_s: float) -> str:
    """What to say of a job that takes too long."""
    done = job_now["indexed"] + job_now["failed"]
    return (
        f"Job {job_now['id']} is at {done} of {job_now['total']} after {timeout_s:.0f} s; does a worker run?"
    )


def format_of(file: Path, given: Format | None) -> Format:
    """The format of an export to this file."""
    known: dict[str, Format] = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
    if given is None and file.suffix not in known:
        raise ValueError(f"{file} ends in none of {', '.join(known)}: say format=.")
    return given or known[file.suffix]


@contextmanager
def written_whole(file: Path) -> Iterator[BinaryIO]:
    """A file that appears under its name once it is complete, and not at all if it never is."""
    part = file.with_name(f"{file.name}.part")
    try:
        with part.open("wb") as out:
            yield out
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def unreachable(url: str, error: Exception) -> Unreachable:
    """What to say when no server answers."""
    return Unreachable(f"No Sightline answers at {url} ({error}). Start one with `sightline serve`.")
