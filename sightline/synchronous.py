"""The client to call."""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import httpx

from sightline import calls, types
from sightline.calls import Call, Format, Like, Picture

T = TypeVar("T")
DEFAULT_URL = "http://localhost:8420"
PAGE = 200
POLL_S = 0.5


class Client:
    """A library behind a Sightline server, for use in one thread or several.

    `url` is the server's address, `api_key` one of its keys (none given: that of the variable SIGHTLINE_API_KEY),
    `timeout_s` how long one answer may take. A context manager: leaving it closes the connections. Every method raises
    `Problem` where the server refuses and `Unreachable` where none answers.
    """

    def __init__(
        self, url: str = DEFAULT_URL, *, api_key: str | None = None, timeout_s: float = 60.0
    ) -> None:
        self._url = url
        self._http = httpx.Client(base_url=url, timeout=timeout_s, headers=calls.credentials(api_key))

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    # --- searching

    def search(
        self,
        q: str = "",
        *,
        like: Like | Iterable[Like] = (),
        limit: int | None = None,
        all: bool = False,
    ) -> Iterator[types.Hit]:
        """Hits, best first, fetched page by page as they are read; all of them unless `limit` ends it.

        `q` is a query ("a dog in snow tag:beach taken:2024"), `like` ids of images or tokens of `example`. `all` also
        brings what does not stand out from the rest of the library.
        """
        cursor, left = None, limit
        while left is None or left > 0:
            size = PAGE if left is None else min(PAGE, left)
            page = self.page(q, like=like, limit=size, cursor=cursor, all=all)
            yield from page["hits"]
            cursor = page["next_cursor"]
            left = None if left is None else left - len(page["hits"])
            if cursor is None:
                return

    def page(
        self,
        q: str = "",
        *,
        like: Like | Iterable[Like] = (),
        limit: int = 50,
        cursor: str | None = None,
        facets: Sequence[str] = (),
        facet_limit: int = 20,
        fields: Sequence[str] = (),
        all: bool = False,
        explain: bool = False,
    ) -> types.Page:
        """One page of hits with totals; `facets` of tag, year, format, source, collection are counted besides."""
        choices = {"limit": limit, "cursor": cursor, "facets": list(facets), "fields": list(fields)}
        choices |= {"facet_limit": facet_limit} if facets else {}
        return self._send(calls.search(calls.asked(q, like), **choices, all=all, explain=explain))

    def count(self, q: str = "", *, like: Like | Iterable[Like] = (), all: bool = False) -> types.Count:
        """How many images a query finds; `all`: with those that do not stand out."""
        return self.page(q, like=like, limit=1, fields=["id"], all=all)["total"]

    def facets(
        self, q: str, *names: str, limit: int = 20, like: Like | Iterable[Like] = (), all: bool = False
    ) -> dict[str, list[types.Facet]]:
        """What a query's answer consists of: values of tag, year, format, source or collection, by falling count.

        The `limit` (1 to 1,000) commonest of each, and what the query itself asks for.
        """
        found = self.page(q, like=like, limit=1, fields=["id"], facets=names, facet_limit=limit, all=all)
        return found["facets"]

    def parse(self, q: str) -> types.Parsed:
        """How the server understands a query."""
        return self._send(calls.parse(q))

    def keys(self) -> list[dict[str, object]]:
        """The keys of the query language, each with an example."""
        return self._send(calls.keys())

    def example(self, picture: Picture) -> str:
        """A token of a picture (a file, or its bytes) to search by: `search(like=...)`."""
        return self._send(calls.example(calls.content(picture)))

    def duplicates(self, q: str = "", *, threshold: float | None = None) -> types.Duplicates:
        """Near-duplicates among what a query finds."""
        return self._send(calls.duplicates(q, threshold))

    def tags(self, prefix: str = "", *, limit: int = 100) -> list[types.TagCount]:
        """Tags by falling count."""
        return self._send(calls.tags(prefix, limit))

    def complete(self, prefix: str, *, limit: int = 10) -> list[types.Completion]:
        """Tags that the letters typed may become."""
        return self._send(calls.complete(prefix, limit))

    # --- one image

    def image(self, image_id: int) -> types.Image:
        """Everything known of one image."""
        return self._send(calls.image(image_id))

    def thumbnail(self, image_id: int) -> bytes:
        """The thumbnail, WebP."""
        return self._send(calls.picture(image_id, "thumbnail"))

    def original(self, image_id: int) -> bytes:
        """The file as it came."""
        return self._send(calls.picture(image_id, "original"))

    def delete_image(self, image_id: int, *, originals: bool = True) -> None:
        """Take an image out of the library; a file in a folder stays, and without `originals` that of an upload too."""
        self._send(calls.delete_image(image_id, originals))

    def add_tag(self, image_id: int, tag: str) -> types.Image:
        """Say that an image shows a tag."""
        return self._send(calls.say("PUT", image_id, tag))

    def reject_tag(self, image_id: int, tag: str) -> types.Image:
        """Say that an image does not show a tag, whatever models say."""
        return self._send(calls.say("DELETE", image_id, tag))

    def clear_tag(self, image_id: int, tag: str) -> types.Image:
        """Take back your own word on a tag."""
        return self._send(calls.take_back(image_id, tag))

    def write_caption(self, image_id: int, text: str) -> types.Image:
        """Write a caption of your own."""
        return self._send(calls.caption(image_id, text))

    def clear_caption(self, image_id: int) -> types.Image:
        """Take back your own caption; where you wrote none, nothing changes."""
        return self._send(calls.take_back_caption(image_id))

    # --- many images

    def edit(
        self,
        images: Sequence[int] | None = None,
        *,
        q: str | None = None,
        add: Sequence[str] = (),
        remove: Sequence[str] = (),
        clear: Sequence[str] = (),
    ) -> types.EditMade:
        """Edit the tags of images named by id, or of all that `q` finds; `undo` takes it back."""
        return self._send(calls.edit(calls.selection(images, q), add=add, remove=remove, clear=clear))

    def undo(self, edit_id: int) -> types.EditUndone:
        """Take an edit back."""
        return self._send(calls.undo(edit_id))

    def edits(self, *, limit: int = 20, before: int | None = None) -> list[types.Edit]:
        """The newest edits; of those made before the edit `before`, if it is given."""
        return self._send(calls.edits(limit, before))

    def rows(self, q: str = "", *, columns: Sequence[str] = (), all: bool = False) -> Iterator[types.Row]:
        """A whole answer as flat rows, as it arrives: `pandas.DataFrame(client.rows("tag:dog"))`."""
        with self._stream(calls.export(q, "jsonl", columns, all)) as answer:
            for line in answer.iter_lines():
                yield calls.row(line)

    def export(
        self,
        q: str,
        file: Path | str,
        *,
        format: Format | None = None,
        columns: Sequence[str] = (),
        all: bool = False,
    ) -> Path:
        """Write a whole answer to a file; its suffix says whether as .csv, .jsonl or .parquet unless `format` does."""
        target = Path(file)
        call = calls.export(q, calls.format_of(target, format), columns, all)
        with self._stream(call) as answer, calls.written_whole(target) as out:
            for chunk in answer.iter_bytes():
                out.write(chunk)
        return target

    # --- collections and saved searches

    def collections(self) -> list[types.Collection]:
        """Every collection, by name."""
        return self._send(calls.collections())

    def create_collection(self, name: str) -> types.Collection:
        """Begin a collection."""
        return self._send(calls.create_collection(name))

    def rename_collection(self, collection_id: int, name: str) -> types.Collection:
        """Give a collection another name."""
        return self._send(calls.rename_collection(collection_id, name))

    def delete_collection(self, collection_id: int) -> None:
        """Forget a collection; its images stay."""
        self._send(calls.delete_collection(collection_id))

    def collect(
        self, collection_id: int, images: Sequence[int] | None = None, *, q: str | None = None
    ) -> int:
        """Put images, or all that `q` finds, into a collection; how many are new to it."""
        return self._send(calls.collect(collection_id, calls.selection(images, q)))

    def uncollect(
        self, collection_id: int, images: Sequence[int] | None = None, *, q: str | None = None
    ) -> int:
        """Take images, or all that `q` finds, out of a collection; how many were in it."""
        return self._send(calls.collect(collection_id, calls.selection(images, q), "/remove"))

    def searches(self) -> list[types.SavedSearch]:
        """Every saved search, with how many images it finds now."""
        return self._send(calls.searches())

    def save_search(self, name: str, q: str) -> types.SavedSearch:
        """Keep a search under a name."""
        return self._send(calls.save_search(name, q))

    def delete_search(self, search_id: int) -> None:
        """Forget a saved search."""
        self._send(calls.delete_search(search_id))

    # --- adding pictures

    def upload(
        self,
        *files: Path | str,
        sku: str | None = None,
        title: str | None = None,
        caption: str | None = None,
        tags: Sequence[str] = (),
        collection: str | None = None,
        idempotency_key: str | None = None,
    ) -> types.Upload:
        """Add picture files to the library, with what is said of them; `wait` waits until they can be found.

        Who sends again with the same `idempotency_key` what may have arrived gets the answer given before.
        """
        said = {
            "sku": sku,
            "title": title,
            "caption": caption,
            "tags": "; ".join(tags),
            "collection": collection,
        }
        with ExitStack() as opened:
            form, headers = calls.form(files, opened, said), calls.once(idempotency_key)
            return calls.uploaded(self._answer("POST", "/v1/images", files=form, headers=headers))

    def add_urls(
        self,
        items: Iterable[str | types.Address],
        *,
        refetch: bool = False,
        idempotency_key: str | None = None,
    ) -> types.Import:
        """Bring pictures from addresses, each a URL or {"url": ..., "sku": ..., "title": ..., "alt_text": ...}."""
        return self._send(calls.add_urls(items, refetch, idempotency_key))

    def import_manifest(
        self, manifest: Picture, *, refetch: bool = False, idempotency_key: str | None = None
    ) -> types.Import:
        """Take a table (a CSV or JSON Lines file, or its bytes) of pictures to bring and of what is said of them.

        An edited `export` says only what was edited.
        """
        return self._send(calls.import_manifest(manifest, refetch, idempotency_key))

    def dry_run(self, manifest: Picture, *, refetch: bool = False) -> types.DryRun:
        """What `import_manifest` would do with each row; nothing is changed, nothing fetched."""
        return self._send(calls.dry_run(manifest, refetch))

    def wait(self, job_id: int, *, timeout_s: float = 600.0) -> types.Job:
        """The job once it is done. Raises TimeoutError."""
        end = time.monotonic() + timeout_s
        while not (job := self.job(job_id))["done"]:
            if time.monotonic() > end:
                raise TimeoutError(calls.unfinished(job, timeout_s))
            time.sleep(POLL_S)
        return job

    def job(self, job_id: int) -> types.Job:
        """How far a job is."""
        return self._send(calls.job(job_id))

    def jobs(self, *, limit: int = 20) -> list[types.Job]:
        """The newest jobs."""
        return self._send(calls.jobs(limit))

    def stats(self) -> types.Stats:
        """The library at a glance."""
        return self._send(calls.stats())

    # --- sending

    def _send(self, call: Call[T]) -> T:
        return call.read(self._answer(call.method, call.path, **call.arguments()))

    def _answer(self, method: str, path: str, **arguments: object) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **arguments)  # type: ignore[arg-type]
        except httpx.TransportError as error:
            raise calls.unreachable(self._url, error) from error
        calls.check(answer)
        return answer

    @contextmanager
    def _stream(self, call: Call[None]) -> Iterator[httpx.Response]:
        try:
            with self._http.stream(call.method, call.path, **call.arguments()) as answer:
                if not answer.is_success:
                    answer.read()
                    calls.check(answer)
                yield answer
        except httpx.TransportError as error:
            raise calls.unreachable(self._url, error) from error
