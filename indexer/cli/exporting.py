"""`sightline export` and `sightline duplicates`."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from indexer import query as language
from indexer.catalog.hits import ImageView
from indexer.cli.searching import AsJson, QueryCommand, open_searcher
from indexer.cli.workspace import open_workspace, remarks, shown_path
from indexer.errors import QueryError
from indexer.search import duplicates as near_duplicates
from indexer.search import export as tables
from indexer.search.duplicates import DEFAULT_THRESHOLD, Twins
from indexer.search.pages import pages

SUFFIXES: dict[str, tables.Format] = {
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command(cls=QueryCommand)(export)
    app.command(cls=QueryCommand)(duplicates)


def export(
    query: Annotated[str, typer.Argument(help="What to export; empty: the whole library.")] = "",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The file: .csv, .jsonl or .parquet; without it CSV is printed."),
    ] = None,
    columns: Annotated[str, typer.Option(help="Which columns, in which order; comma between.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Also what does not stand out.")] = False,
) -> None:
    """Write everything a query finds to a file, a row for each image.

    sightline export "tag:dog taken:2024" -o dogs.csv

    sightline export "a red dress collection:shop" -o dresses.csv --columns sku,alt_text

    sightline export -o library.parquet

    Columns: id, sku, path, title, caption, alt_text (the caption in at most 125 characters), alt_text_by (whose it is:
    human or model), tags, confidences, human_tags, rejected_tags, taken, added, width, height, format, bytes,
    description, place, latitude, longitude, score, as_exported (tells which cells were edited when `sightline import`
    takes the table back).
    """
    asked, format_ = language.parse(query), _format(output)
    names = tables.chosen([name.strip() for name in columns.split(",") if name.strip()])
    searcher = open_searcher(open_workspace())
    found = (hit for page in pages(searcher, asked, everything=everything) for hit in page.hits)
    written = tables.written(found, format_, names)
    if output is None:
        for piece in written:
            sys.stdout.buffer.write(piece)
        return
    part = output.with_name(f"{output.name}.part")
    with part.open("wb") as file:
        file.writelines(written)
    part.replace(output)
    remarks.print(f"{output} has {output.stat().st_size:,} bytes.")


def duplicates(
    query: Annotated[str, typer.Argument(help="Where to look; empty: the whole library.")] = "",
    threshold: Annotated[
        float, typer.Option(min=0.5, max=1, help="How alike two images must be to be one picture (cosine).")
    ] = DEFAULT_THRESHOLD,
    as_json: AsJson = False,
) -> None:
    """Find pictures that are there twice: resized, recompressed, cropped a little.

    sightline duplicates

    sightline duplicates "collection:shop" --threshold 0.9

    Files equal byte for byte are one image already. At most 20,000 images are compared.
    """
    asked = language.parse(query)
    found = near_duplicates.find(open_searcher(open_workspace()), asked, threshold)
    if as_json:
        sys.stdout.write(json.dumps([_as_dict(twins) for twins in found.groups]) + "\n")
        return
    table = Table(Column("id", justify="right"), "alike", "size", Column("what", overflow="fold"))
    for twins in found.groups:
        for rank, (image, cosine) in enumerate(zip(twins.images, twins.cosines, strict=True)):
            alike = f"{cosine:.3f}" if rank else ""
            size = f"{image.width} x {image.height}, {image.bytes:,} B"
            table.add_row(str(image.id), alike, size, _name(image))
        table.add_section()
    if found.groups:
        Console().print(table)
    remarks.print(f"{len(found.groups)} groups among {found.compared:,} images compared.")


def _format(output: Path | None) -> tables.Format:
    if output is None:
        return "csv"
    if output.suffix not in SUFFIXES:
        raise QueryError(f"{output} ends in none of {', '.join(SUFFIXES)}: name the file so that it does.")
    return SUFFIXES[output.suffix]


def _as_dict(twins: Twins) -> dict[str, object]:
    images = [
        {
            "id": image.id,
            "path": _name(image),
            "width": image.width,
            "height": image.height,
            "bytes": image.bytes,
            "similarity": round(cosine, 4),
        }
        for image, cosine in zip(twins.images, twins.cosines, strict=True)
    ]
    return {"similarity": round(twins.similarity, 4), "images": images}


def _name(image: ImageView) -> str:
    return shown_path(image.sources[0].uri) if image.sources else f"image {image.id}"
