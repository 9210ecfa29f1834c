"""From the rows of a manifest to images: brought from addresses and paths, or known already and spoken of anew.

Each row comes to something on its own and is told what: one that cannot be used costs no other. What is said of a
picture is a person's word. A row that names an image of the library, by id or SKU, says only what it says anew: cells
that are as they were exported, or as they are now, change nothing, so that a table can be exported, edited here and
there, and brought back whole.
"""

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TypeVar

from sqlalchemy.orm import Session, sessionmaker

from indexer.catalog import fetches, hits, images, jobs, skus, statements, work
from indexer.catalog import tags as tag_catalog
from indexer.catalog.hits import ImageView
from indexer.catalog.statements import Said
from indexer.edited_rows import changed_by, left_alone, said_anew
from indexer.errors import AddressRefused, ImageError, ImageUnreadable, ManifestError
from indexer.images import sniff
from indexer.ingest import HASH_THREADS, read_file
from indexer.manifests import BadRow, Row
from indexer.outcomes import (
    BAD_ROW,
    NO_PATHS,
    UNKNOWN_IMAGE,
    UNKNOWN_SKU,
    Change,
    Outcome,
    came_to,
    columns_of,
    joined,
    refusal,
    respelt,
    shared,
    too_long,
    unread,
)
from indexer.tables import PENDING

CHUNK = 500  # rows in one transaction
HEAD = 4096  # bytes of a file by which it is known to be a picture, or none

T = TypeVar("T")


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
    _spellings: dict[str, tuple[str, int]] = field(default_factory=dict)

    def run(self, rows: Iterable[Row | BadRow]) -> Iterator[Outcome]:
        """What becomes of each row, in order, as it is committed."""
        iterator = iter(rows)
        while chunk := list(islice(iterator, CHUNK)):
            yield from self._take(chunk)

    def _take(self, chunk: Sequence[Row | BadRow]) -> list[Outcome]:
        refused = [unread(row) for row in chunk if isinstance(row, BadRow)]
        rows = [row for row in chunk if isinstance(row, Row)]
        named = [row for row in rows if self._names_one_here(row)]
        brought = [row for row in rows if row not in named]
        files = self._read([row for row in brought if "path" in row.cells])
        with self.sessions() as session:
            told = [*refused, *self._name(session, named), *self._bring(session, brought, files)]
            by_number = {row.number: row for row in rows}
            outcomes = [_measured(one, by_number) for one in told]
            outcomes.sort(key=lambda outcome: outcome.number)
            if self.job_id is None:
                self.replaced.clear()
                return [replace(one, image_id=None) if one.status == "accepted" else one for one in outcomes]
            self._record(session, self.job_id, outcomes, by_number)
            session.commit()
        self.wake()
        return outcomes

    def _bring(
        self, session: Session, rows: Sequence[Row], files: Mapping[int, images.NewFile | Outcome]
    ) -> list[Outcome]:
        before = skus.images_of(session, [row.said.sku for row in rows if row.said.sku])
        replaced = self._replaced_skus(session, rows, files)
        pictures = self._address(session, [row for row in rows if "url" in row.cells])
        pictures += self._register(session, [row for row in rows if "path" in row.cells], files)
        return self._noted(session, [_with_sku(one, before, replaced.get(one.number)) for one in pictures])

    def _names_one_here(self, row: Row) -> bool:
        """Whether a row is about an image of the library; where no files are read, a SKU counts before a path."""
        if "id" in row.cells or not {"url", "path"} & row.cells.keys():
            return True
        return self.files is None and "url" not in row.cells and row.said.sku is not None

    def _replaced_skus(
        self, session: Session, rows: Sequence[Row], files: Mapping[int, images.NewFile | Outcome]
    ) -> dict[int, str]:
        """The other SKUs that pictures have so far, by the numbers of the rows that give them one."""
        places = {row.number: ("url", row.cells["url"]) for row in rows if "url" in row.cells}
        found = {number: file for number, file in files.items() if isinstance(file, images.NewFile)}
        places |= {number: ("path", file.uri) for number, file in found.items()}
        given = {row.number: row.said.sku for row in rows}
        there = skus.given(session, list(places.values()))
        had = {number: there[place] for number, place in places.items() if place in there}
        return {number: sku for number, sku in had.items() if sku != given[number]}

    def _noted(self, session: Session, outcomes: Sequence[Outcome]) -> list[Outcome]:
        """Pictures that came under a SKU of other pictures say so: a SKU alone names none of them any more."""
        new = {
            one.number: one.sku for one in outcomes if one.sku and one.status not in ("refused", "unchanged")
        }
        there = skus.images_of(session, sorted(set(new.values())))
        alike = skus.in_other_case(session, sorted(set(new.values())))
        own = {one.image_id for one in outcomes}
        noted = []
        for one in sorted(outcomes, key=lambda outcome: outcome.number):
            note = None
            if sku := new.get(one.number):
                first = self._skus.setdefault(sku, one.number)
                others = [image_id for image_id in there.get(sku, []) if image_id not in own]
                note = shared(sku, first if first != one.number else None, others)
                note = note or self._respelt(sku, one.number, alike.get(sku, {}), own)
            noted.append(replace(one, note=joined(one.note, note)))
        return noted

    def _respelt(
        self, sku: str, number: int, alike: Mapping[int, str], own: Collection[int | None]
    ) -> str | None:
        """What to tell of a SKU that stands in the table or the library in other upper and lower case already."""
        spelt, first = self._spellings.setdefault(skus.fold(sku), (sku, number))
        if spelt != sku:
            return respelt(spelt, f"Row {first}")
        others = [(image_id, other) for image_id, other in alike.items() if image_id not in own]
        return respelt(others[0][1], f"id:{others[0][0]}") if others else None

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
        outcomes += [*twice, *(came_to(row, "fetching") for row, _ in firsts)]
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
                refused.append(refusal(row, error.code, str(error)))
        return refused, allowed

    # --- pictures in local files

    def _read(self, rows: Sequence[Row]) -> dict[int, images.NewFile | Outcome]:
        """Files by their rows' numbers, those not known as they are now hashed; refusals."""

        def one(row: Row) -> images.NewFile | Outcome:
            if self.files is None:
                return refusal(
                    row, NO_PATHS, "Only the command line reads local files: give a url, or upload it."
                )
            try:
                path = self.files.find(row.cells["path"])
                file = read_file(path, path.as_uri(), self.files.max_bytes)
                _recognise(path)
            except ImageError as error:
                return refusal(row, error.code, str(error))
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
        waiting = [(row, one.image_id) for row, one in became if one.state == PENDING]
        views = self._views(session, waiting)
        new = [(row, views[image_id], row.said) for row, image_id in waiting]
        accepted = [replace(one, status="accepted") for one in self._say(session, new)]
        known = [(row, one.image_id) for row, one in became if one.state != PENDING]
        return outcomes + twice + accepted + self._say_anew(session, known)

    # --- pictures in the library

    def _name(self, session: Session, rows: Sequence[Row]) -> list[Outcome]:
        by_sku = skus.images_of(session, [row.said.sku for row in rows if row.said.sku])
        wanted = {row.image_id for row in rows if row.image_id is not None}
        wanted |= {image_id for found in by_sku.values() for image_id in found}
        views = {view.id: view for view in hits.load(session, sorted(wanted))}
        unknown = sorted({row.said.sku for row in rows if row.said.sku and row.said.sku not in by_sku})
        alike = skus.in_other_case(session, unknown)
        meant = [(row, _meant(row, by_sku, views, alike)) for row in rows]
        outcomes = [view for _, view in meant if isinstance(view, Outcome)]
        return outcomes + self._say_of(
            session, [(row, view) for row, view in meant if isinstance(view, ImageView)]
        )

    def _say_anew(self, session: Session, meant: Sequence[tuple[Row, int]]) -> list[Outcome]:
        """Record what rows say of images here, by id, that is not what is shown of them already."""
        views = self._views(session, meant)
        return self._say_of(session, [(row, views[image_id]) for row, image_id in meant])

    def _views(self, session: Session, meant: Sequence[tuple[Row, int]]) -> dict[int, ImageView]:
        return {view.id: view for view in hits.load(session, [image_id for _, image_id in meant])}

    def _say_of(self, session: Session, meant: Sequence[tuple[Row, ImageView]]) -> list[Outcome]:
        twice, firsts = self._first_about(meant, lambda view: view.content_hash)
        outcomes, spoken_of = [], []
        for row, view in firsts:
            try:
                spoken_of.append((row, view, said_anew(row, view)))
            except ManifestError as error:
                outcomes.append(refusal(row, BAD_ROW, str(error)))
        known = tag_catalog.find(session, sorted({tag for row, _ in firsts for tag in row.said.rejected}))
        notes = {row.number: left_alone(row, view, known) for row, view in firsts}
        told = [replace(one, note=notes[one.number]) for one in self._say(session, spoken_of)]
        return twice + outcomes + told

    def _say(self, session: Session, spoken_of: Sequence[tuple[Row, ImageView, Said]]) -> list[Outcome]:
        """Record what is said, each image being spoken of once."""
        said = {view.id: words for _, view, words in spoken_of}
        titles = statements.titles(session, list(said))
        changed = statements.say(session, said, self.job_id, self.priority)
        return [
            replace(
                came_to(row, "changed", view.id),
                said=columns_of(words),
                changes=changed_by(words, view, titles.get(view.id)),
            )
            if view.id in changed
            else came_to(row, "unchanged", view.id)
            for row, view, words in spoken_of
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
                refused.append(refusal(row, BAD_ROW, reason))
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


def _meant(
    row: Row,
    by_sku: Mapping[str, list[int]],
    views: Mapping[int, ImageView],
    alike: Mapping[str, Mapping[int, str]],
) -> ImageView | Outcome:
    """The image a row names, or why none."""
    sku = row.said.sku
    if row.image_id is not None:
        view = views.get(row.image_id)
        if view is None:
            return refusal(row, UNKNOWN_IMAGE, f"There is no image {row.image_id} in the library.")
        if sku and sku not in {source.external_id for source in view.sources}:
            return refusal(row, UNKNOWN_SKU, f"Image {row.image_id} does not have the SKU {sku}.")
        return view
    found = by_sku.get(sku or "", [])
    if not found:
        others = [f"id:{image_id} has {other}" for image_id, other in alike.get(sku or "", {}).items()]
        slip = f" ({others[0]}: is it a slip?)" if others else ""
        # A path is looked at before the SKU, except where no paths are read.
        remedy = (
            ", and only the command line reads paths: give a url, or upload it."
            if "path" in row.cells
            else ". Bring it with a url or a path."
        )
        return refusal(row, UNKNOWN_SKU, f"No image has the SKU {sku}{slip}{remedy}")
    if len(found) > 1:
        which = ", ".join(map(str, found[:5]))
        return refusal(row, BAD_ROW, f"{len(found)} images have the SKU {sku} ({which}): keep the column id.")
    return views[found[0]]


def _with_sku(outcome: Outcome, before: Mapping[str, list[int]], replaced: str | None) -> Outcome:
    """A picture of the library that got a SKU it did not have is changed, whatever else is said of it."""
    sku = outcome.sku
    if sku is None or outcome.status == "refused":
        return outcome
    here = outcome.status in ("changed", "unchanged")
    new = here and outcome.image_id not in before.get(sku, ())
    if not new and replaced is None:
        return outcome
    if here:
        outcome = replace(outcome, status="changed", said=("sku", *outcome.said))
    change = Change("sku", replaced, sku, by_person=replaced is not None)
    return replace(outcome, changes=(change, *outcome.changes))


def _measured(outcome: Outcome, rows: Mapping[int, Row]) -> Outcome:
    """With a note on a text that is longer than it will be shown everywhere."""
    row = rows.get(outcome.number)
    return outcome if row is None else replace(outcome, note=joined(outcome.note, too_long(row, outcome)))
