"""`sightline models`: which models there are, and how others come here."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Column, Table

from indexer.cli import model_facts
from indexer.cli.workspace import remarks
from indexer.errors import ConfigurationError, UnknownModel
from indexer.model_hub import inventory
from indexer.model_hub.home import Home, shown_bytes
from indexer.published import MODELS
from indexer.settings import Settings, get_settings

if TYPE_CHECKING:
    from indexer.model_hub.installing import Installed
    from indexer.model_hub.pulling import Plan

ASK_ABOVE_BYTES = 50_000_000
UNKNOWN_LICENCE = "not stated where it could be asked: look before you use it"
LONGEST_LICENCE = 12  # longer ones are told by `info`

app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown")
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; for scripts.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
Name = Annotated[str, typer.Argument(help="As `sightline models list` has it.")]


def add_to(root: typer.Typer) -> None:
    """Register the commands."""
    app.command("list")(show_list)
    app.command()(pull)
    app.command("import")(import_file)
    app.command()(info)
    app.command()(remove)
    root.add_typer(
        app,
        name="models",
        help=(
            "Which models there are, and how others come here.\n\n"
            "The bundled ones need nothing. RAM, RAM++ and Tag2Text see far more; they are pulled once, or"
            " imported from a file you have, into SIGHTLINE_MODELS (default: beside the Hugging Face cache,"
            " HF_HOME).\n\n"
            "Examples:\n\n"
            "- `sightline models list`\n"
            "- `sightline models pull ram`\n"
            "- `sightline models import ~/Downloads/tag2text_swin_14m.pth`\n"
            "- `SIGHTLINE_TAGGER=ram SIGHTLINE_CAPTIONER=tag2text sightline index ~/Pictures`"
        ),
    )


def show_list(as_json: AsJson = False) -> None:
    """List what is bundled, installed, and published elsewhere; and the settings that choose each."""
    settings = get_settings()
    entries = inventory.entries(_home(settings))
    if as_json:
        _print_json([model_facts.entry_as_json(entry, settings) for entry in entries])
        return
    table = Table(
        Column("model", no_wrap=True), Column("size", no_wrap=True), "what for, and how to choose it"
    )
    for entry in entries:
        choose = "\n".join(f"[cyan]{setting}[/cyan]" for setting in entry.settings)
        licence = entry.licence if len(entry.licence) <= LONGEST_LICENCE else "see info"
        table.add_row(
            f"[bold]{entry.name}[/bold]\n[dim]{model_facts.state(entry, settings)}[/dim]",
            f"{shown_bytes(entry.bytes)}\n[dim]{licence}[/dim]",
            f"{entry.summary}\n{choose}",
            end_section=True,
        )
    Console().print(table)
    remarks.print(
        "[cyan]sightline models pull NAME[/cyan] brings a published one here,"
        " [cyan]import FILE[/cyan] one you have downloaded; [cyan]info NAME[/cyan] says more."
        " Any embedder of OpenCLIP can be pulled and chosen too, as MODEL/PRETRAINED."
    )


def pull(
    name: Annotated[str, typer.Argument(help="ram, ram_plus, tag2text, or OpenCLIP's MODEL/PRETRAINED.")],
    yes: Yes = False,
    keep_download: Annotated[
        bool,
        typer.Option(
            help="Keep the released file too. Two thirds of it are of no use to anyone but its authors"
            " (optimizer state), and what is installed does not need it."
        ),
    ] = False,
) -> None:
    """Download a published model, check it, and install it.

    Licence, size and place are shown before anything large comes down. Interrupt it whenever you like: run
    it again and it goes on. HF_HOME, HF_ENDPOINT (a mirror) and HF_HUB_OFFLINE are honoured.

    Examples: `sightline models pull ram` · `sightline models pull tag2text --yes` ·
    `sightline models pull ViT-B-32/laion2b_s34b_b79k`
    """
    settings = get_settings()
    if "/" in name:
        _pull_open_clip(name, yes)
        return
    home = _home(settings)
    entry = inventory.entry(name, home)
    if entry.state != "published":
        remarks.print(f"{name} is {entry.state} already, in {entry.folder}.", soft_wrap=True)
        return
    from indexer.model_hub import pulling

    plan = pulling.plan(MODELS[name], home)
    _show_plan(plan)
    if plan.to_download > ASK_ABOVE_BYTES:
        _agree(f"Download {shown_bytes(plan.to_download)}?", yes)
    _report(pulling.pull(plan, _progress, keep_download))


def import_file(
    file: Annotated[Path, typer.Argument(help="A released checkpoint, as downloaded (.pth).")],
    name: Annotated[
        str | None,
        typer.Option(help="What to call it; a published name also says which model it must be."),
    ] = None,
    lists: Annotated[
        Path | None,
        typer.Option(help="Folder with the tag list and what else belongs to it, if not beside the file."),
    ] = None,
    ignore: Annotated[
        list[str] | None,
        typer.Option(
            help="Leave out tensors whose names begin so, should a file have more than the published ones."
        ),
    ] = None,
    yes: Yes = False,
) -> None:
    """Install a released RAM, RAM++ or Tag2Text checkpoint from a file.

    Which of them it is, is seen from its tensors. Its lists (tags, thresholds, word pieces) are taken from
    --lists, from beside the file, or fetched. The file is only read, and not needed afterwards. Code inside
    it is never run.

    Examples: `sightline models import ram_swin_large_14m.pth` ·
    `sightline models import mine.pth --name mine --lists mine/ --ignore momentum_`
    """
    from indexer.model_hub.downloads import file_digest
    from indexer.model_hub.installing import install, recorded_sha256, understand
    from indexer.model_hub.pulling import side_file_fetcher

    if lists is not None and not lists.is_dir():
        raise ConfigurationError(f"{lists} is no folder: give the one the lists are in.")
    home = _home(get_settings())
    home.sweep()
    checkpoint = understand(file, name, ignore or ())
    target, sha256 = home.of(checkpoint.name), None
    if target.exists():
        with _progress(f"Reading {file.name}", file.stat().st_size) as advance:
            sha256 = file_digest(file, advance)
        if sha256 != recorded_sha256(target):
            _agree(f"{checkpoint.name} is installed from another file. Replace it?", yes)
    folders = [] if lists is None else [lists]
    fetch = side_file_fetcher(home, _progress)
    _report(install(checkpoint, home, fetch, folders, _progress, sha256))


def info(name: Name, as_json: AsJson = False) -> None:
    """Say everything about one model: licence, size, where it came from, what it knows, how to choose it.

    Of one that is not here yet: the addresses of all its files, to bring them by hand.

    Examples: `sightline models info ram` · `sightline models info small --json`
    """
    settings = get_settings()
    if "/" in name and name not in MODELS:
        _info_open_clip(name, as_json)
        return
    entry = inventory.entry(name, _home(settings))
    facts = model_facts.facts_here(entry) if entry.folder else model_facts.facts_published(MODELS[name])
    if as_json:
        _print_json({**model_facts.entry_as_json(entry, settings), **facts})
        return
    shown = {
        "model": f"{entry.name} ({model_facts.state(entry, settings)})",
        "what for": entry.summary,
        "licence": entry.licence,
        "choose it": " ".join(entry.settings),
    }
    more = model_facts.lines_here(facts) if entry.folder else model_facts.lines_published(MODELS[name])
    _print_facts(shown | more, Console())


def remove(name: Name, yes: Yes = False) -> None:
    """Delete an installed model and what was downloaded for it; nothing else frees those gigabytes.

    Example: `sightline models remove ram_plus`
    """
    settings = get_settings()
    home = _home(settings)
    home.sweep()
    entry = inventory.entry(name, home)
    downloads = _downloads(name, home)
    if entry.state == "bundled":
        raise ConfigurationError(f"{name} is part of Sightline and cannot be removed.")
    if entry.state == "cached":
        raise ConfigurationError(
            f"{name} lies in the Hugging Face cache, which other programs share. If none needs it:"
            f" `hf cache rm model/{MODELS[name].repository}`."
        )
    if entry.folder is None and not downloads:
        raise UnknownModel(f"{name} is not installed: there is nothing to remove.")
    size = sum(file.stat().st_size for file in downloads) + (entry.bytes if entry.folder else 0)
    if model_facts.state(entry, settings).endswith("in use"):
        remarks.print(f"[yellow]{name} is what {', '.join(entry.settings)} chooses at present.[/yellow]")
    _agree(f"Delete {entry.folder or downloads[0].parent} ({shown_bytes(size)})?", yes)
    with home.locked(name):
        if entry.folder:
            home.remove(name)
        for file in downloads:
            file.unlink(missing_ok=True)
    remarks.print(f"{name} is gone; {shown_bytes(size)} are free again.")


def _home(settings: Settings) -> Home:
    return Home(settings.models_home, lambda text: remarks.print(text, soft_wrap=True))


def _downloads(name: str, home: Home) -> list[Path]:
    """What is left of a model's checkpoint on its way here, whole or not."""
    if name not in MODELS:
        return []
    file = home.downloads / MODELS[name].file
    return [path for path in (file, file.with_name(f"{file.name}.partial")) if path.exists()]


def _agree(question: str, yes: bool) -> None:
    """Go on only with a person's consent, or with --yes."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigurationError(f"{question} Nobody is here to ask: add --yes.")
    if not typer.confirm(question, err=True):
        raise typer.Exit(1)


@contextmanager
def _progress(what: str, total: int | None) -> Iterator[Callable[[int], object]]:
    """Bytes, speed and time left on standard error; gone once done."""
    columns = [SpinnerColumn(), TextColumn("{task.description}")]
    if total is not None:
        columns += [BarColumn(bar_width=20), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()]
    with Progress(*columns, console=remarks, transient=True, disable=not remarks.is_terminal) as progress:
        task = progress.add_task(escape(what), total=total)
        yield lambda count: progress.advance(task, count)


def _show_plan(plan: "Plan") -> None:
    import shutil

    model, home = plan.model, plan.home
    home.check_room(plan.needed)
    facts = {
        "Model": f"{model.name}: {model.summary}",
        "Licence": f"{model.licence} ({model.homepage})",
        "Download": f"{shown_bytes(plan.to_download)} of {model.file} from {model.repository}",
        "Installed": f"about {shown_bytes(model.installed_bytes)} in {home.of(model.name)}",
        "Free": f"{shown_bytes(shutil.disk_usage(home.folder).free)} on that disk",
    }
    if plan.there:
        facts["Download"] = f"nothing: {plan.there} is here already"
    _print_facts(facts)


def _pull_open_clip(name: str, yes: bool) -> None:
    from indexer.model_hub import open_clip_models

    model = open_clip_models.find(name)
    if model.cached:
        remarks.print(f"{name} is in the Hugging Face cache already: {model.cached}", soft_wrap=True)
        return
    known = open_clip_models.facts(model)
    size = "size unknown" if known.bytes is None else shown_bytes(known.bytes)
    _print_facts(
        {
            "Model": f"{name}, of OpenCLIP",
            "Licence": known.licence or UNKNOWN_LICENCE,
            "Download": f"{size}, from {model.repository or model.url}, into the Hugging Face cache",
        }
    )
    if known.bytes is None or known.bytes > ASK_ABOVE_BYTES:
        _agree(f"Download it ({size})?", yes)
    file = open_clip_models.fetch(model)
    remarks.print(
        f"[green]{name} is here:[/green] {file}\nFor a new library, choose it with SIGHTLINE_EMBEDDER={name}; one that"
        f" is there changes to it by `sightline reindex --embedder {name}`.",
        soft_wrap=True,
    )


def _info_open_clip(name: str, as_json: bool) -> None:
    from indexer.model_hub import open_clip_models

    model = open_clip_models.find(name)
    known = open_clip_models.facts(model)
    if as_json:
        plain = {"name": name, "kinds": ["embedder"], "repository": model.repository, "url": model.url}
        _print_json({**plain, **asdict(known), "folder": str(model.cached) if model.cached else None})
        return
    lines = {
        "model": f"{name}, an embedder of OpenCLIP ({'cached' if model.cached else 'not here'})",
        "licence": known.licence or UNKNOWN_LICENCE,
        "choose it": f"SIGHTLINE_EMBEDDER={name}",
        "size": "unknown" if known.bytes is None else shown_bytes(known.bytes),
        "lies in": str(model.cached or model.repository or model.url),
    }
    _print_facts(lines, Console())


def _print_facts(facts: Mapping[str, str], console: Console = remarks) -> None:
    """A fact a line; never broken, so that addresses can be copied."""
    for what, value in facts.items():
        console.print(f"[bold]{what:<12}[/bold]{escape(value)}".rstrip(), soft_wrap=True, highlight=False)


def _report(installed: "Installed") -> None:
    entry = inventory.entry(installed.name, Home(installed.folder.parent))
    if not installed.is_new:
        remarks.print(
            f"{installed.name} is installed already from this very file: {installed.folder}", soft_wrap=True
        )
        return
    details = inventory.details(entry)
    remarks.print(
        f"[green]{installed.name} is installed:[/green] {details.tags:,} tags, {details.parameters / 1e6:,.0f} million"
        f" parameters, {shown_bytes(entry.bytes)} in {installed.folder}",
        soft_wrap=True,
    )
    for remark in installed.remarks:
        remarks.print(f"[yellow]{escape(remark)}[/yellow]", soft_wrap=True)
    remarks.print(
        f"For a new library, choose it with {' '.join(entry.settings)}; one that is there changes to it by"
        f" `sightline reindex {' or '.join(f'--{kind} {entry.name}' for kind in entry.kinds)}`.",
        soft_wrap=True,
    )


def _print_json(value: object) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
