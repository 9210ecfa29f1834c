"""From the rows of a manifest to images: brought from addresses and paths, or known already and spoken of anew.

Each row comes to something on its own and is told what: one that cannot be used costs no other. What is said of a
picture is a person's word. A row that names an image of the library, by id or SKU, says only what it says anew: cells
that are as they were exported, or as they are now, change nothing, so that a table can be exported, edited here and
there, and brought back whole.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Literal, TypeVar

from sqlalchemy.orm import Session, sessionmaker

from indexer.catalog import fetches, hits, images, jobs, skus, statements, work
from indexer.catalog import tags as tag_catalog
from indexer.catalog.hits import ImageView
from indexer.catalog.statements import Said
from indexer.edited_rows import left_alone, said_anew
from indexer.errors import AddressRefused, ImageError, ImageUnreadable, ManifestError
from indexer.images import sniff
from indexer.ingest import HASH_THREADS, read_file
from indexer.manifests import BadRow, Row, Table
from indexer.search.export import COLUMNS
from indexer.tables import PENDING

CHUNK = 500  # rows in one transaction
HEAD = 4096  # bytes of a file by which it is known to be a picture, or none
BAD_ROW, UNKNOWN_SKU, UNKNOWN_IMAGE, NO_PATHS = "bad_row", "unknown_sku", "unknown_image", "no_paths"

T = TypeVar("T")
Status = Literal["fetching", "accepted", "changed", "unchanged", "refused"]


@dataclass(frozen=True)
class Outcome:
    """What became of a row.

    "fetching": its address waits to be fetched; "accepted": a new image waits to be looked at; "changed": of an image
    in the library something is said anew, in the columns `said`; "unchanged": nothing is; "refused": see `code` and
    `message`. `note` is what whoever sent a row that was taken should know of it.
    """

    number: int
    uri: str
    status: Status
    sku: str | None = None
    image_id: int | None = None
    code: str | None = None
    message: str | None = None
    note: str | None = None
    said: tuple[str, ...] = ()

    @property
    def reason(self) -> str | None:
        """Why it was refused, with its row."""
        return None if self.message is None else f"Row {self.number}: {self.message}"


@dataclass(frozen=True)
class LocalFiles:
    """Files a manifest may name: those under `root`, from where its relative paths start."""

    root: Path
    max_bytes: int

    def find(self, text: str) -> Path:
        """The file a manifest means. Raises AddressRefused for one that lies elsewhere, also by a link."""
        path = Path(os.path.abspath(self.root / text))  # noqa: PTH100 - drops `..`, keeps links' own names
        if "\0" in text or not path.resolve().is_relative_to(self.root.resolve()):
            raise AddressRefused(
                f"{text} lies outside of {self.root}, where this manifest's pictures are: --root names another folder."
            )
        return path


@dataclass
class Importer:
    """Takes rows into one job, in transactions of a few hundred.

    Args:
        sessions: makes sessions.
        job_id: every row becomes an item of it; None: a dry run. All is done as ever and then taken back, so that
            what is told is what would happen; but rows do not see what others hundreds of rows before them did.
        check: raises AddressRefused for an address that cannot be fetched.
        files: which local files rows may name; None: none.
        priority: of what is to be fetched and looked at.
        refetch: addresses that are known are fetched again.
        wake: called after each transaction.
        position: of the first item in the job.
    """

    sessions: sessionmaker[Session]
    job_id: int | None
    check: Callable[[str], None]
    files: LocalFiles | None = None
    priority: int = work.BULK
    refetch: bool = False
    wake: Callable[[], object] = lambda: None
    position: int = 0
    replaced: list[int] = field(default_factory=list)
    _about: dict[bytes | str, int] = field(default_factory=dict)
    _skus: dict[str, int] = field(default_factory=dict)

    def run(self, rows: Iterable[Row | BadRow]) -> Iterator[Outcome]:
        """What becomes of each row, in order, as it is committed."""
        iterator = iter(rows)
        while chunk := list(islice(iterator, CHUNK)):
            yield from self._take(chunk)

    def _take(self, chunk: Sequence[Row | BadRow]) -> list[Outcome]:
        refused = [_bad(row) for row in chunk if isinstance(row, BadRow)]
        rows = [row for row in chunk if isinstance(row, Row)]
        named = [row for row in rows if self._names_one_here(row)]
        brought = [row for row in rows if row not in named]
        files = self._read([row for row in brought if "path" in row.cells])
        with self.sessions() as session:
            outcomes = [*refused, *self._name(session, named)]
            before = skus.images_of(session, [row.said.sku for row in brought if row.said.sku])
            pictures = self._address(session, [row for row in brought if "url" in row.cells])
            pictures += self._register(session, [row for row in brought if "path" in row.cells], files)
            outcomes += self._noted(session, [_with_sku(one, before) for one in pictures])
            outcomes.sort(key=lambda outcome: outcome.number)
            if self.job_id is None:
                self.replaced.clear()
                return [replace(one, image_id=None) if one.status == "accepted" else one for one in outcomes]
            self._record(session, self.job_id, outcomes, {row.number: row for row in rows})
            session.commit()
        self.wake()
        return outcomes

    def _names_one_here(self, row: Row) -> bool:
        """Whether a row is about an image of the library; where no files are read, a SKU counts before a path."""
        if "id" in row.cells or not {"url", "path"} & row.cells.keys():
            return True
        return self.files is None and "url" not in row.cells and row.said.sku is not None

    def _noted(self, session: Session, outcomes: Sequence[Outcome]) -> list[Outcome]:
        """Pictures that came under a SKU of other pictures say so: a SKU alone names none of them any more."""
        new = {
            one.number: one.sku for one in outcomes if one.sku and one.status not in ("refused", "unchanged")
        }
        there = skus.images_of(session, sorted(set(new.values())))
        own = {one.image_id for one in outcomes}
        noted = []
        for one in sorted(outcomes, key=lambda outcome: outcome.number):
            note = None
            if sku := new.get(one.number):
                first = self._skus.setdefault(sku, one.number)
                others = [image_id for image_id in there.get(sku, []) if image_id not in own]
                note = _shared(sku, first if first != one.number else None, others)
            noted.append(replace(one, note=" ".join(filter(None, (one.note, note))) or None))
        return noted

    def _record(
        self, session: Session, job_id: int, outcomes: Sequence[Outcome], rows: Mapping[int, Row]
    ) -> None:
        """The job's items, and what is to be fetched for them."""
        wanted = [
            (place, one) for place, one in enumerate(outcomes, self.position) if one.status == "fetching"
        ]
        items = [
            jobs.NewItem(one.uri, None if one.status == "fetching" else one.image_id, one.code, one.reason)
            for one in outcomes
        ]
        jobs.add_items(session, job_id, items, self.position)
        waiting = [
            fetches.NewFetch(place, one.uri, _left_to_say(rows[one.number].said, one))
            for place, one in wanted
        ]
        fetches.add(session, job_id, waiting, self.priority)
        self.position += len(outcomes)

    # --- pictures at addresses

    def _address(self, session: Session, rows: Sequence[Row]) -> list[Outcome]:
        outcomes, allowed = self._checked(rows)
        known = images.known_files(session, "url", [row.cells["url"] for row in allowed])
        new = [(row, row.cells["url"]) for row in allowed if row.cells["url"] not in known]
        twice, firsts = self._first_about(new, str)
        outcomes += [*twice, *(_outcome(row, "fetching") for row, _ in firsts)]
        here = [(row, known[row.cells["url"]].image_id) for row in allowed if row.cells["url"] in known]
        said = self._say_anew(session, here)
        given = {one.uri: one.sku for one in said if one.sku and one.status != "refused"}
        skus.give(session, given)
        if self.refetch:
            said = [one if one.status == "refused" else replace(one, status="fetching") for one in said]
        return outcomes + said

    def _checked(self, rows: Sequence[Row]) -> tuple[list[Outcome], list[Row]]:
        """Rows whose addresses may not be fetched, refused; the others."""
        refused, allowed = [], []
        for row in rows:
            try:
                self.check(row.cells["url"])
                allowed.append(row)
            except AddressRefused as error:
                refused.append(_refused(row, error.code, str(error)))
        return refused, allowed

    # --- pictures in local files

    def _read(self, rows: Sequence[Row]) -> dict[int, images.NewFile | Outcome]:
        """Files by their rows' numbers, those not known as they are now hashed; refusals."""

        def one(row: Row) -> images.NewFile | Outcome:
            if self.files is None:
                return _refused(
                    row, NO_PATHS, "Only the command line reads local files: give a url, or upload it."
                )
            try:
                path = self.files.find(row.cells["path"])
                file = read_file(path, path.as_uri(), self.files.max_bytes)
                _recognise(path)
            except ImageError as error:
                return _refused(row, error.code, str(error))
            return replace(file, external_id=row.said.sku)

        with ThreadPoolExecutor(HASH_THREADS) as threads:
            return dict(zip([row.number for row in rows], threads.map(one, rows), strict=True))

    def _register(
        self, session: Session, rows: Sequence[Row], files: Mapping[int, images.NewFile | Outcome]
    ) -> list[Outcome]:
        outcomes = [outcome for outcome in files.values() if isinstance(outcome, Outcome)]
        found = [(row, file) for row in rows if isinstance(file := files[row.number], images.NewFile)]
        # Before anything is registered: a row that is refused must not leave its SKU behind.
        twice, firsts = self._first_about(found, lambda file: file.content_hash)
        registered = images.register(session, [file for _, file in firsts], self.job_id, self.priority)
        self.replaced += [one.replaced for one in registered if one.replaced is not None]
        became = [(row, one) for (row, _), one in zip(firsts, registered, strict=True)]
        new = [(row, one.image_id, row.said) for row, one in became if one.state == PENDING]
        accepted = [replace(one, status="accepted") for one in self._say(session, new)]
        known = [(row, one.image_id) for row, one in became if one.state != PENDING]
        return outcomes + twice + accepted + self._say_anew(session, known)

    # --- pictures in the library

    def _name(self, session: Session, rows: Sequence[Row]) -> list[Outcome]:
        by_sku = skus.images_of(session, [row.said.sku for row in rows if row.said.sku])
        wanted = {row.image_id for row in rows if row.image_id is not None}
        wanted |= {image_id for found in by_sku.values() for image_id in found}
        views = {view.id: view for view in hits.load(session, sorted(wanted))}
        meant = [(row, _meant(row, by_sku, views)) for row in rows]
        outcomes = [view for _, view in meant if isinstance(view, Outcome)]
        return outcomes + self._say_of(
            session, [(row, view) for row, view in meant if isinstance(view, ImageView)]
        )

    def _say_anew(self, session: Session, meant: Sequence[tuple[Row, int]]) -> list[Outcome]:
        """Record what rows say of images here, by id, that is not what is shown of them already."""
        views = {view.id: view for view in hits.load(session, [image_id for _, image_id in meant])}
        return self._say_of(session, [(row, views[image_id]) for row, image_id in meant])

    def _say_of(self, session: Session, meant: Sequence[tuple[Row, ImageView]]) -> list[Outcome]:
        twice, firsts = self._first_about(meant, lambda view: view.content_hash)
        outcomes, spoken_of = [], []
        for row, view in firsts:
            try:
                spoken_of.append((row, view.id, said_anew(row, view)))
            except ManifestError as error:
                outcomes.append(_refused(row, BAD_ROW, str(error)))
        known = tag_catalog.find(session, sorted({tag for row, _ in firsts for tag in row.said.rejected}))
        notes = {row.number: left_alone(row, view, known) for row, view in firsts}
        told = [replace(one, note=notes[one.number]) for one in self._say(session, spoken_of)]
        return twice + outcomes + told

    def _say(self, session: Session, spoken_of: Sequence[tuple[Row, int, Said]]) -> list[Outcome]:
        """Record what is said, each image being spoken of once."""
        said = {image_id: words for _, image_id, words in spoken_of}
        changed = statements.say(session, said, self.job_id, self.priority)
        return [
            replace(_outcome(row, "changed", image_id), said=_columns_of(words))
            if image_id in changed
            else _outcome(row, "unchanged", image_id)
            for row, image_id, words in spoken_of
        ]

    def _first_about(
        self, meant: Sequence[tuple[Row, T]], key: Callable[[T], bytes | str]
    ) -> tuple[list[Outcome], list[tuple[Row, T]]]:
        """Rows about a picture that another row is about, refused rather than left to chance; the others."""
        refused, firsts = [], []
        for row, what in meant:
            first = self._about.setdefault(key(what), row.number)
            if first == row.number:
                firsts.append((row, what))
            else:
                reason = f"Row {first} is about the same picture: leave one of them out."
                refused.append(_refused(row, BAD_ROW, reason))
        return refused, firsts


def _recognise(path: Path) -> None:
    """Raises ImageError for a file that by its beginning is no picture: its row is told, as decoding could not."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        raise ImageUnreadable(
            f"{path} cannot be read: {error.strerror or error}. Check that it exists and may be read."
        ) from error
    sniff(head)


def _left_to_say(said: Said, outcome: Outcome) -> Said:
    """What is to be said of a picture once it is fetched: of one that is known, all but its place has been said."""
    return said if outcome.image_id is None else Said(said.sku, collection=said.collection)


def _meant(row: Row, by_sku: Mapping[str, list[int]], views: Mapping[int, ImageView]) -> ImageView | Outcome:
    """The image a row names, or why none."""
    sku = row.said.sku
    if row.image_id is not None:
        view = views.get(row.image_id)
        if view is None:
            return _refused(row, UNKNOWN_IMAGE, f"There is no image {row.image_id} in the library.")
        if sku and sku not in {source.external_id for source in view.sources}:
            return _refused(row, UNKNOWN_SKU, f"Image {row.image_id} does not have the SKU {sku}.")
        return view
    found = by_sku.get(sku or "", [])
    if not found:
        # A path is looked at before the SKU, except where no paths are read.
        remedy = (
            ", and only the command line reads paths: give a url, or upload it."
            if "path" in row.cells
            else ". Bring it with a url or a path."
        )
        return _refused(row, UNKNOWN_SKU, f"No image has the SKU {sku}{remedy}")
    if len(found) > 1:
        which = ", ".join(map(str, found[:5]))
        return _refused(
            row, BAD_ROW, f"{len(found)} images have the SKU {sku} ({which}): keep the column id."
        )
    return views[found[0]]


def _with_sku(outcome: Outcome, before: Mapping[str, list[int]]) -> Outcome:
    """A picture of the library that got a SKU it did not have is changed, whatever else is said of it."""
    here = outcome.status in ("changed", "unchanged")
    if not here or outcome.sku is None or outcome.image_id in before.get(outcome.sku, ()):
        return outcome
    return replace(outcome, status="changed", said=("sku", *outcome.said))


def _columns_of(said: Said) -> tuple[str, ...]:
    """The columns that say something; the collection, in which the picture may be already, where it is all there is."""
    given = {"title": said.title, "alt_text": said.caption, "tags": said.tags, "rejected_tags": said.rejected}
    return tuple(name for name, value in given.items() if value) or ("collection",)


def _shared(sku: str, row: int | None, others: Sequence[int]) -> str | None:
    if row is not None:
        return f"Row {row} has the SKU {sku} too, so several pictures have it. Is it a slip?"
    if others:
        which = ", ".join(f"id:{image_id}" for image_id in others[:5])
        return f"The SKU {sku} is also that of {which}. If this picture replaces another, delete that one."
    return None


def unknown_columns(table: Table) -> list[str]:
    """Columns that were passed over and that no export has: slips, perhaps."""
    return [name for name in table.passed_over if name.lower() not in COLUMNS]


def _uri(row: Row) -> str:
    return row.cells.get("url") or row.cells.get("path") or f"sku:{row.said.sku}"


def _outcome(row: Row, status: Status, image_id: int | None = None) -> Outcome:
    return Outcome(row.number, _uri(row), status, row.said.sku, image_id)


def _refused(row: Row, code: str, message: str) -> Outcome:
    return Outcome(row.number, _uri(row), "refused", row.said.sku, None, code, message)


def _bad(row: BadRow) -> Outcome:
    return Outcome(row.number, f"row {row.number}", "refused", row.sku, None, BAD_ROW, row.reason)
