"""What a row of a table says anew of an image that is in the library: a table goes out, is edited, and comes back."""

from collections.abc import Collection, Mapping, Sequence

from indexer.catalog.hits import ImageView
from indexer.catalog.statements import Said
from indexer.errors import ManifestError
from indexer.manifests import Row
from indexer.outcomes import Change, joined
from indexer.search.export import FACTS, editable
from indexer.search.fingerprints import digest, spoken


def _edited(row: Row, now: Mapping[str, str | None]) -> dict[str, str]:
    """The cells of a row that are neither as they were exported nor as they are now; not those that are empty."""
    marks = _marks(row, now)
    return {
        column: cell
        for column, shown in now.items()
        if (cell := row.cells.get(column))
        and digest(cell) != marks.get(column)
        and spoken(cell) != spoken(shown)
    }


def _emptied(row: Row, now: Mapping[str, str | None]) -> list[str]:
    """The columns in which a row says nothing, though they were exported with words and still have some."""
    marks = _marks(row, now)
    return [
        name for name, shown in now.items() if shown and name in row.empty and marks.get(name) != digest("")
    ]


def _marks(row: Row, now: Mapping[str, str | None]) -> dict[str, str]:
    return dict(zip(now, row.cells.get("as_exported", "").split("-"), strict=False))


def said_anew(row: Row, view: ImageView) -> Said:
    """What a row says of an image that is neither as it was exported nor as it is now.

    Raises:
        ManifestError: its caption and its alternative text were both edited, to different texts.
    """
    now = editable(view)
    edited = _edited(row, now)
    captions = {edited[name] for name in ("alt_text", "caption") if name in edited}
    if len(captions) > 1:
        raise ManifestError("caption and alt_text were both edited, to different texts: edit one of them.")
    shown, rejected = ((now[column] or "").split("; ") for column in ("tags", "rejected_tags"))
    added = tuple(tag for tag in row.said.tags if tag not in shown) if "tags" in edited else ()
    not_shown = tuple(t for t in row.said.rejected if t not in rejected) if "rejected_tags" in edited else ()
    caption = next(iter(captions), None)
    return Said(row.said.sku, edited.get("title"), caption, added, row.said.collection, not_shown)


def left_alone(row: Row, view: ImageView, known: Collection[str]) -> str | None:
    """What a row leaves as it is, though whoever wrote it may have meant otherwise."""
    unknown = [f"There is no tag {tag!r} to reject." for tag in row.said.rejected if tag not in known]
    if "as_exported" not in row.cells:
        return joined(*unknown[:1])
    now = editable(view)
    emptied = _emptied(row, now)
    told = [f"{name} stays as it is: an empty cell says nothing." for name in emptied if name != "tags"]
    if "tags" in emptied or "tags" in _edited(row, now):
        said = {*row.said.tags, *row.said.rejected}
        left = [tag for tag in (now["tags"] or "").split("; ") if tag and tag not in said]
        if left:
            told.append(
                f"It still shows {', '.join(left)}: what it does not show, write under rejected_tags."
            )
    return joined(*unknown[:1], *told, _unchangeable(row, len(now)))


def _unchangeable(row: Row, editable_cells: int) -> str | None:
    """The columns in which a row was edited in vain; their marks come after those of the cells people may edit."""
    marks = dict(zip(FACTS, row.cells["as_exported"].split("-")[editable_cells:], strict=False))
    edited = [name for name, found in row.facts.items() if name in marks and found != marks[name]]
    stay = "stays as it is" if len(edited) == 1 else "stay as they are"
    return f"{', '.join(edited)} {stay}: no table can change that." if edited else None


def changed_by(said: Said, view: ImageView, title: str | None) -> tuple[Change, ...]:
    """What is other than it was once this is said of an image; `title` is what a person called it so far."""
    changes = []
    if said.title and said.title != (old := title or view.title):
        changes.append(Change("title", old, said.title, by_person=title is not None))
    if said.caption:
        kind, text = next(((one.kind, one.text) for one in view.captions), (None, None))
        if text != said.caption:
            changes.append(Change("alt_text", text, said.caption, by_person=kind == "person"))
    changes += _of_tags("tags", said.tags, [tag.name for tag in view.tags if tag.rejected])
    people = [tag.name for tag in view.tags if tag.kind == "person" and not tag.rejected]
    changes += _of_tags("rejected_tags", said.rejected, people)
    if said.collection and not changes:
        changes.append(Change("collection", None, said.collection))
    return tuple(changes)


def _of_tags(column: str, names: Sequence[str], against: Collection[str]) -> list[Change]:
    """Tags said one way, apart from those of which a person had said the opposite."""
    new = "; ".join(name for name in names if name not in against)
    turned = "; ".join(name for name in names if name in against)
    other = "rejected_tags" if column == "tags" else "tags"
    return [
        *([Change(column, None, new)] if new else []),
        *([Change(column, f"{turned} under {other}", turned, by_person=True)] if turned else []),
    ]
