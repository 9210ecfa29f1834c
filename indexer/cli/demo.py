"""`sightline demo`: the main job on real photographs, from files to answers."""

import shlex
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from indexer import contact_sheet
from indexer import query as language
from indexer.catalog import hits, jobs
from indexer.catalog import tags as tag_catalog
from indexer.cli.indexing import Run, new_job
from indexer.cli.searching import open_searcher, print_result
from indexer.cli.workspace import Workspace, open_workspace, shown_path
from indexer.errors import NotFound
from indexer.query import ImageTerm, Query, TagIs
from indexer.search import Request, SearchResult
from indexer.storage import Storage

# Photographs that come inside libraries we need anyway; drawings, plots and scanned text are left out.
PHOTOGRAPHS = {
    "skimage": (
        "data",
        "astronaut.png brick.png camera.png chelsea.png clock_motion.png coffee.png coins.png grass.png"
        " gravel.png hubble_deep_field.jpg moon.png motorcycle_left.png motorcycle_right.png retina.jpg"
        " rocket.jpg",
    ),
    "sklearn": ("datasets/images", "china.jpg flower.jpg"),
    "matplotlib": ("mpl-data/sample_data", "grace_hopper.jpg"),
}
SHEET = Path("demo/contact-sheet.html")
SHOWN = 5


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(demo)


def demo(
    folder: Annotated[
        str | None, typer.Argument(help="Your photographs instead of the bundled ones.")
    ] = None,
    sheet: Annotated[Path, typer.Option(help="Where to write the contact sheet.")] = SHEET,
) -> None:
    """Index photographs, run three searches, write a contact sheet to look at."""
    out = Console(highlight=False)
    workspace = open_workspace()
    paths = [folder] if folder else [str(path) for path in bundled_photographs()]
    out.print(
        f"[bold]1. Indexing[/bold] {folder or f'{len(paths)} photographs from the installed libraries'}"
    )
    image_ids = _index(workspace, paths, out)
    if not image_ids:
        raise NotFound(f"No image could be indexed from {folder}. `sightline index {folder}` says why.")
    out.print("\n[bold]2. Searching[/bold]")
    searches = _search(workspace, image_ids, bundled=folder is None)
    storage = Storage(workspace.settings.storage)
    with workspace.sessions() as session:
        library = contact_sheet.library_section("The photographs", hits.load(session, image_ids), storage)
    found = [contact_sheet.search_section(title, result, storage) for title, result in searches]
    contact_sheet.write(sheet, "Sightline: what it saw, what it found", [*found, library])
    out.print(f"\n[bold]3. Contact sheet[/bold] {sheet.resolve()}")
    out.print(
        "\nTry next:\n"
        "  make serve                                   the page, at http://127.0.0.1:8420/\n"
        "  .venv/bin/sightline index ~/Pictures         your own pictures\n"
        '  .venv/bin/sightline search "a dog on grass"  by words; docs/query.md for more\n'
        "  .venv/bin/sightline stop                     end the background servers",
        soft_wrap=True,
    )


def bundled_photographs() -> list[Path]:
    """The photographs found inside installed libraries."""
    found = []
    for package, (folder, names) in PHOTOGRAPHS.items():
        spec = find_spec(package)
        roots = spec.submodule_search_locations if spec else None
        if roots:
            found += [path for name in names.split() if (path := Path(roots[0], folder, name)).is_file()]
    return found


def _index(workspace: Workspace, paths: list[str], out: Console) -> list[int]:
    """Index, showing each image as it becomes searchable; the ids of all that are."""
    run = Run(workspace, new_job(workspace), quiet=False, every_file=True)
    run.register(paths, retry=True)
    assert run.job_id is not None
    shown: set[int] = set()

    def show_new() -> None:
        with workspace.sessions() as session:
            ready = [i for i in jobs.indexed_images(session, run.job_id or 0) if i not in shown]
            for image in hits.load(session, ready[: 50 - len(shown)]):
                tags = ", ".join(f"{tag.name} {tag.confidence:.2f}" for tag in image.tags[:SHOWN])
                name = image.sources[0].uri.rsplit("/", 1)[-1] if image.sources else str(image.id)
                line = f"  [cyan]{name}[/cyan]  {image.captions[0].text}  [dim]{tags}[/dim]"
                out.print(line, soft_wrap=True)
        shown.update(ready)

    progress = run.follow(show_new)
    show_new()
    with workspace.sessions() as session:
        for failure in jobs.failures(session, run.job_id):
            out.print(f"  [yellow]{failure.code}[/yellow] {shown_path(failure.uri)}: {failure.message}")
        out.print(f"  {progress.indexed} indexed, {progress.failed} refused")
        return jobs.indexed_images(session, run.job_id)


def _search(workspace: Workspace, image_ids: list[int], bundled: bool) -> list[tuple[str, SearchResult]]:
    """By words, by tags, by example."""
    searcher = open_searcher(workspace)
    with workspace.sessions() as session:
        common = tag_catalog.list_counts(session, limit=1)[0].name
    text = "a person smiling at the camera" if bundled else f"a photo of a {common}"
    tag = language.to_text(Query(filter=TagIs(common)))
    asked = {
        f'sightline search "{text}"': language.parse(text),
        f"sightline search {shlex.quote(tag)}": language.parse(tag),
        f"sightline search --like {image_ids[0]}": Query((ImageTerm(image_ids[0]),)),
    }
    results = []
    for title, query in asked.items():
        Console().print(f"[bold cyan]{title}[/bold cyan]")
        result = searcher.search(query, Request(limit=SHOWN))
        print_result(result)
        results.append((title, result))
    return results
