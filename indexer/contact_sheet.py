"""One self-contained HTML page of images with their tags and captions, and of searches with their hits."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, select_autoescape

from indexer.catalog.hits import ImageView
from indexer.errors import NotStored
from indexer.search import SearchResult
from indexer.storage import Storage

SHOWN_TAGS = 8


@dataclass(frozen=True)
class Tile:
    """One picture on the sheet."""

    thumbnail: str
    caption: str
    tags: tuple[str, ...]
    note: str


@dataclass(frozen=True)
class Section:
    """A titled row of pictures."""

    title: str
    tiles: tuple[Tile, ...]


def library_section(title: str, images: Sequence[ImageView], storage: Storage) -> Section:
    """Images as they are known."""
    return Section(title, tuple(_tile(image, storage, "") for image in images))


def search_section(title: str, result: SearchResult, storage: Storage) -> Section:
    """Hits with their scores."""
    notes = ["" if hit.score is None else f"score {hit.score:.3f}" for hit in result.hits]
    tiles = (_tile(hit.image, storage, note) for hit, note in zip(result.hits, notes, strict=True))
    return Section(title, tuple(tiles))


def write(path: Path, title: str, sections: Sequence[Section]) -> None:
    """Write the sheet; everything it needs is inside the file."""
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=select_autoescape(default=True)
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(templates.get_template("contact_sheet.html").render(title=title, sections=sections))


def _tile(image: ImageView, storage: Storage, note: str) -> Tile:
    try:
        data = base64.b64encode(storage.get_thumbnail(image.content_hash)).decode()
    except NotStored:
        data = ""
    tags = tuple(f"{tag.name} {tag.confidence:.2f}" for tag in image.tags if not tag.rejected)
    caption = image.captions[0].text if image.captions else ""
    return Tile(f"data:image/webp;base64,{data}", caption, tags[:SHOWN_TAGS], note)
