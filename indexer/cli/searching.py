"""`sightline search` and `sightline tags`."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from indexer.catalog import tags as tag_catalog
from indexer.cli.workspace import Workspace, open_workspace, remarks, shown_path
from indexer.errors import ImageUnreadable
from indexer.images import Limits
from indexer.old_query import Query, TagFilter
from indexer.search import Hit, Searcher, SearchResult, browse

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
SHOWN_TAGS = 6


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(search)
    app.command()(tags)


def search(
    text: Annotated[str, typer.Argument(help="What the picture shows, in plain words; may be empty.")] = "",
    tag: Annotated[list[str], typer.Option(help="Must show this tag; repeat for more.")] = [],  # noqa: B006
    any_: Annotated[list[str], typer.Option("--any", help="Must show one of these tags.")] = [],  # noqa: B006
    not_: Annotated[list[str], typer.Option("--not", help="Must not show this tag.")] = [],  # noqa: B006
    min_confidence: Annotated[
        float, typer.Option(min=0, max=1, help="How sure the tags asked for must be.")
    ] = 0.0,
    like: Annotated[
        list[str], typer.Option(help="A picture file, or the id of an indexed image, to resemble.")
    ] = [],  # noqa: B006
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many hits.")] = 10,
    offset: Annotated[int, typer.Option(min=0, help="Skip this many hits.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Find images by words, tags and examples, together or alone.

    Examples: `sightline search "a dog in the snow" --tag dog --not grass --min-confidence 0.6` ·
    `sightline search --like photo.jpg` · `sightline search --any beach --any lake`
    """
    tag_filter = TagFilter(tuple(tag), tuple(any_), tuple(not_), min_confidence)
    query = Query(text, _ids(like), _files(like), tag_filter, limit, offset)
    workspace = open_workspace()
    with workspace.sessions() as session:
        # Browsing needs no network, so none is loaded.
        answer = open_searcher(workspace).search if query.semantic else browse
        result = answer(session, query)
    if as_json:
        sys.stdout.write(json.dumps(as_dict(result), default=str) + "\n")
    else:
        print_result(result, offset)


def tags(
    prefix: Annotated[str, typer.Argument(help="Only tags with a word that starts so.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
    unused: Annotated[bool, typer.Option("--all", help="Also tags no image shows.")] = False,
    as_json: AsJson = False,
) -> None:
    """List tags, how many images show each, and the threshold above which the tagger asserts it."""
    workspace = open_workspace()
    with workspace.sessions() as session:
        rows = tag_catalog.list_counts(session, prefix, limit, used_only=not unused)
    if as_json:
        sys.stdout.write(json.dumps([asdict(row) for row in rows]) + "\n")
        return
    table = Table("tag", "images", "threshold")
    for row in rows:
        table.add_row(row.name, str(row.images), "" if row.threshold is None else f"{row.threshold:.2f}")
    Console().print(table)


def _ids(like: list[str]) -> tuple[int, ...]:
    return tuple(int(text) for text in like if text.isdecimal())


def _files(like: list[str]) -> tuple[bytes, ...]:
    try:
        return tuple(Path(text).read_bytes() for text in like if not text.isdecimal())
    except OSError as error:
        raise ImageUnreadable(f"{error.filename} cannot be read: {error.strerror}.") from error


def open_searcher(workspace: Workspace) -> Searcher:
    """Loads the embedder, which takes a few seconds."""
    from indexer import predictors

    settings = workspace.settings
    how = predictors.options(settings.device, settings.models_home, settings.precision)
    embedder = predictors.load_embedder(settings.embedder, **how)
    limits = Limits(**settings.images.model_dump())
    return Searcher(workspace.store_for(embedder), embedder, workspace.embedder_id(embedder), limits)


def as_dict(result: SearchResult) -> dict[str, object]:
    """A result as plain values for JSON."""
    return {
        "total": result.total,
        "took_ms": round(result.took_ms, 1),
        "hits": [
            {
                "id": hit.image.id,
                "score": hit.score,
                "scores": dict(hit.scores),
                "matched_tags": hit.matched_tags,
                "caption": caption_of(hit),
                "tags": [asdict(tag) for tag in hit.image.tags],
                "sources": [asdict(source) for source in hit.image.sources],
            }
            for hit in result.hits
        ],
    }


def caption_of(hit: Hit) -> str:
    """The caption to show: a person's before a machine's."""
    return hit.image.captions[0].text if hit.image.captions else ""


def name_of(hit: Hit) -> str:
    """Where the image came from, as a person would write it."""
    return shown_path(hit.image.sources[0].uri) if hit.image.sources else f"image {hit.image.id}"


def print_result(result: SearchResult, offset: int = 0) -> None:
    """A table of hits on standard output, and how many there are in all."""
    ranked = any(hit.score is not None for hit in result.hits)
    table = Table("", *(("score", "image", "caption") if ranked else ()), Column("what", overflow="fold"))
    for rank, hit in enumerate(result.hits, offset + 1):
        shown = [
            f"[bold]{tag.name}[/bold] {tag.confidence:.2f}"
            if tag.name in hit.matched_tags
            else f"{tag.name} {tag.confidence:.2f}"
            for tag in hit.image.tags
            if not tag.rejected
        ]
        parts = [f"{hit.scores[name]:.3f}" for name in ("image", "caption") if ranked]
        score = [] if hit.score is None else [f"{hit.score:.3f}"]
        what = f"{caption_of(hit)}\n[dim]{', '.join(shown[:SHOWN_TAGS])}[/dim]\n[dim]{name_of(hit)}[/dim]"
        table.add_row(str(rank), *score, *parts, what)
    if result.hits:
        Console().print(table)
    remarks.print(_summary(result))


def _summary(result: SearchResult) -> str:
    if not result.total:
        return "No image passes the filter. Loosen it: fewer tags, or a lower --min-confidence."
    return f"{len(result.hits)} of {result.total} images that pass the filter, in {result.took_ms:.0f} ms."
