"""`sightline search` and `sightline tags`."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table
from typer.core import TyperCommand

from indexer import query as language
from indexer.catalog import tags as tag_catalog
from indexer.cli.workspace import Workspace, open_workspace, remarks, shown_path
from indexer.errors import ImageUnreadable
from indexer.images import Limits, decode
from indexer.nearest import Nearest
from indexer.postings import FIELDS, Postings
from indexer.query import ExampleTerm, ImageTerm, Query, Term
from indexer.search import MAX_FACET_LIMIT, Hit, Request, Searcher, SearchResult, Semantics, examples
from indexer.search.background import Background

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
SHOWN_TAGS = 6


class QueryCommand(TyperCommand):
    """A command whose query may begin with a minus, as in `-tag:person`, without being taken for options."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Move what only looks like options behind a `--`, where nothing is one."""
        if "--" in args:
            return super().parse_args(ctx, args)
        names = {name for parameter in self.get_params(ctx) for name in parameter.opts}
        queries = [word for word in args if _is_query(word, names)]
        options = [word for word in args if word not in queries]
        return super().parse_args(ctx, [*options, "--", *queries] if queries else args)


def _is_query(word: str, names: set[str]) -> bool:
    """One minus and more than a letter, of which the first is no option's: `-ofile.csv` stays an option."""
    return len(word) > 2 and word[0] == "-" and word[1] != "-" and word[:2] not in names


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command(cls=QueryCommand)(search)
    app.command()(tags)


def search(
    query: Annotated[
        str, typer.Argument(help="Words for meaning, conditions like tag:dog; may be empty.")
    ] = "",
    like: Annotated[
        list[str],
        typer.Option(help="A picture file, or the id of an indexed image, to resemble; repeat for more."),
    ] = [],  # noqa: B006
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many hits.")] = 10,
    everything: Annotated[bool, typer.Option("--all", help="Also what does not stand out.")] = False,
    facets: Annotated[
        bool, typer.Option("--facets", help="Count the answer by tag, year, format and more.")
    ] = False,
    facet_limit: Annotated[
        int, typer.Option(min=1, max=MAX_FACET_LIMIT, help="So many of the commonest tags, years, ...")
    ] = 20,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say how the answer was found, and how fast.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Find images by words, tags, pictures and what is known of them.

    Words say what the picture shows; conditions are exact. Examples:

    sightline search "a dog in the snow"

    sightline search "a dog tag:snow -tag:person dog:>=0.8 taken:2024..2025"

    sightline search "(beach or lake) -source:human order:taken"

    sightline search --like photo.jpg "in winter"

    docs/query.md has the whole language.
    """
    asked = language.parse(query)
    workspace = open_workspace()
    searcher = open_searcher(workspace)
    terms = (*asked.terms, *(_example(searcher, workspace, text) for text in like))
    if terms:  # before the clock of the search runs
        with remarks.status("Loading what ranks by meaning ..."):
            searcher.semantics()
    counted = FIELDS if facets else ()
    wanted = Request(limit, None, counted, facet_limit, all=everything, explain=explain)
    result = searcher.search(Query(terms, asked.filter, asked.order), wanted)
    if as_json:
        sys.stdout.write(json.dumps(as_dict(result), default=str) + "\n")
    else:
        print_result(result)


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


def open_searcher(workspace: Workspace) -> Searcher:
    """Answers queries; the embedder, which takes seconds to load, is loaded when a query needs it."""
    return Searcher(workspace.sessions, Postings(), cache(lambda: open_semantics(workspace)))


def open_semantics(workspace: Workspace) -> Semantics:
    """What ranking by meaning takes. One command asks too little to read every embedding into memory."""
    from indexer.reindexing import in_effect

    choice = in_effect.choice_of(workspace.settings)
    row = in_effect.settle(workspace.sessions, choice, ["embedder"])["embedder"]
    embedder = in_effect.load_embedder(row, choice)
    nearest = Nearest(workspace.store_for(embedder), row.annotator_id, 0)
    return Semantics(embedder, row.annotator_id, nearest, Background(row.annotator_id))


def _example(searcher: Searcher, workspace: Workspace, text: str) -> Term:
    """An image's id, or a picture file as the token of its embedding."""
    if text.isdecimal():
        return ImageTerm(int(text))
    embedder = searcher.semantics().embedder
    try:
        data = Path(text).read_bytes()
    except OSError as error:
        raise ImageUnreadable(
            f"{error.filename} cannot be read: {error.strerror}. Check that it exists and may be read."
        ) from error
    pixels = decode(data, [embedder.input], Limits(**workspace.settings.images.model_dump())).inputs[0]
    return ExampleTerm(examples.encode(embedder.embed_images(pixels[None])[0], embedder.identity.version))


def as_dict(result: SearchResult) -> dict[str, object]:
    """A result as plain values for JSON."""
    return {
        "query": language.to_text(result.query),
        "total": result.total.value,
        "total_is_exact": result.total.exact,
        "hidden_below_cutoff": result.hidden.value,
        "hidden_is_exact": result.hidden.exact,
        "took_ms": round(result.took_ms, 1),
        "hits": [_hit_as_dict(hit) for hit in result.hits],
        "facets": {name: [asdict(value) for value in values] for name, values in result.facets.items()},
        "next_cursor": result.next_cursor,
        "degraded": [asdict(missing) for missing in result.degraded],
        "explain": result.explanation and asdict(result.explanation),
    }


def _hit_as_dict(hit: Hit) -> dict[str, object]:
    return {
        "id": hit.image.id,
        "score": hit.score,
        "why": asdict(hit.why),
        "caption": caption_of(hit),
        "tags": [asdict(tag) for tag in hit.image.tags],
        "sources": [asdict(source) for source in hit.image.sources],
    }


def caption_of(hit: Hit) -> str:
    """The caption to show: a person's before a machine's."""
    return hit.image.captions[0].text if hit.image.captions else ""


def name_of(hit: Hit) -> str:
    """Where the image came from, as a person would write it."""
    return shown_path(hit.image.sources[0].uri) if hit.image.sources else f"image {hit.image.id}"


def print_result(result: SearchResult) -> None:
    """A table of hits on standard output, what they have in common, and how many there are in all."""
    out = Console()
    ranked = any(hit.score is not None for hit in result.hits)
    number, what = Column("id", justify="right"), Column("what", overflow="fold")
    table = Table(number, *(("score",) if ranked else ()), what)
    for hit in result.hits:
        score = [f"{hit.score:.2f}"] if hit.score is not None else []
        table.add_row(str(hit.image.id), *score, "\n".join(_lines(hit)))
    if result.hits:
        out.print(table)
    for name, values in result.facets.items():
        counts = ", ".join(f"{escape(value.value)} [dim]{value.count}[/dim]" for value in values)
        out.print(f"[bold]{name}[/bold]  {counts or '[dim]nothing[/dim]'}", soft_wrap=True)
    for line in _explanation(result):
        remarks.print(line)
    remarks.print(_summary(result))
    for missing in result.degraded:
        remarks.print(f"[yellow]{missing.detail}[/yellow]")


def _lines(hit: Hit) -> Sequence[str]:
    asked = {tag.name for tag in hit.why.tags}
    surest: dict[str, float] = {}
    for tag in hit.image.tags:
        if not tag.rejected:  # a person and a model may say the same
            surest[tag.name] = max(tag.confidence, surest.get(tag.name, 0.0))
    shown = [
        f"[bold]{escape(name)}[/bold] {surest[name]:.2f}"
        if name in asked
        else f"{escape(name)} {surest[name]:.2f}"
        for name in sorted(surest, key=lambda name: name not in asked)
    ]
    parts = ", ".join(f"{name} {part.part:+.2f}" for name, part in hit.why.channels.items())
    rest = [
        f"[dim]{', '.join(shown[:SHOWN_TAGS])}[/dim]",
        f"[dim]{parts}[/dim]",
        f"[dim]{name_of(hit)}[/dim]",
    ]
    return [_marked(hit), *(line for line in rest if line != "[dim][/dim]")]


def _marked(hit: Hit) -> str:
    """The caption with the words asked for in bold."""
    caption = hit.why.caption
    if caption is None:
        return escape(caption_of(hit))
    text, reached = "", 0
    for start, end in caption.spans:
        text += f"{escape(caption.text[reached:start])}[bold]{escape(caption.text[start:end])}[/bold]"
        reached = end
    return text + escape(caption.text[reached:])


def _explanation(result: SearchResult) -> list[str]:
    told = result.explanation
    if told is None:
        return []
    stages = ", ".join(f"{name} {ms:.1f} ms" for name, ms in told.stages_ms.items())
    estimates = ", ".join(f"{name} {ms:.1f} ms" for name, ms in told.estimates_ms.items())
    lines = [f"plan: [bold]{told.plan}[/bold]" + (f" (expected: {estimates})" if estimates else "")]
    return [*lines, f"times: {stages}"]


def _summary(result: SearchResult) -> str:
    found, hidden = result.total, result.hidden
    if not found.value and not hidden.value:
        return "No image passes the filter. Loosen it: fewer conditions, or a lower confidence."
    if not found.value:
        return (
            f"Nothing stands out. --all shows the {hidden.value} images that pass the filter, nearest first."
        )
    least = "" if found.exact else "at least "
    told = f"{len(result.hits)} of {least}{found.value} found in {result.took_ms:.0f} ms"
    if hidden.value:
        most = "" if hidden.exact else "at most "
        told += f"; {most}{hidden.value} more pass the filter and do not stand out (--all shows them)"
    return f"{told}."
