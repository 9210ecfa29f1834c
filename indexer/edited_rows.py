"""What a row of a table says anew of an image that is in the library: a table goes out, is edited, and comes back."""

from collections.abc import Collection, Mapping

from indexer.catalog.hits import ImageView
from indexer.catalog.statements import Said
from indexer.errors import ManifestError
from indexer.manifests import Row
from indexer.search.export import editable
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
    if unknown := [tag for tag in row.said.rejected if tag not in known]:
        return f"There is no tag {unknown[0]!r} to reject."
    if "as_exported" not in row.cells:
        return None
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
    return " ".join(told) or None
