"""`sightline train` and `sightline evaluate`: how the bundled models are made, and how good they are."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from indexer.cli.indexing import progress_bar
from indexer.cli.workspace import remarks
from indexer.errors import ConfigurationError
from indexer.settings import get_settings

if TYPE_CHECKING:
    from indexer.evaluation import Report

Data = Annotated[Path, typer.Argument(help="A JSON-lines file: file, captions, tags of one photo a line.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(evaluate)
    app.command()(train)


def evaluate(
    dataset: Data,
    limit: Annotated[int | None, typer.Option(help="Only the first photos.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    """Measure the configured models on photos that people have captioned and tagged.

    Text-to-image recall, tag mAP with precision and recall at the thresholds, CIDEr-D and BLEU-4 of the
    captions. No server is needed.
    """
    if not dataset.is_file():
        raise ConfigurationError(f"There is no file {dataset}. Name a JSON-lines file of captioned photos.")
    from indexer import evaluation, predictors

    settings = get_settings()
    how = predictors.options(settings.device, settings.models_home, settings.precision)
    tagger = predictors.load_tagger(settings.tagger, **how, own_tags=settings.own_tag_sets)
    captioner = predictors.load_captioner(settings.captioner, **how)
    embedder = predictors.load_embedder(settings.embedder, **how)
    with progress_bar("Evaluating", None, as_json) as advance:
        seen = 0

        def show(done: int, _of: int) -> None:
            nonlocal seen
            advance(done - seen)
            seen = done

        report = evaluation.evaluate(tagger, captioner, embedder, dataset, limit, show)
    if as_json:
        sys.stdout.write(json.dumps(asdict(report)) + "\n")
    else:
        _print(report)


def train(
    data: Annotated[Path, typer.Argument(help="Folder with photos/, text/ and weights/ (the teacher).")],
    out: Annotated[Path, typer.Option(help="Where the weights are written.")] = Path("trained"),
    work: Annotated[Path, typer.Option(help="Intermediate files, about 8 GB; kept to resume.")] = Path(
        "training"
    ),
    minutes: Annotated[
        float | None, typer.Option(help="Time for the backbone; default: the recorded number of epochs.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides every random choice.")] = 0,
) -> None:
    """Train the bundled models again, from photos and captions to safetensors.

    Interrupted, it goes on where it stopped. `indexer/bundled/MODEL_CARD.md` says what it was given for
    the weights that are shipped.
    """
    if not (data / "photos").is_dir():
        raise ConfigurationError(f"{data} holds no photos/ folder; MODEL_CARD.md says what training needs.")
    from indexer.training.run import run

    run(data, out, work, seed, minutes, remarks.print)


def _print(report: "Report") -> None:
    table = Table("figure", "value", title=f"{report.dataset}: {report.photos} photos")
    for name, part in (
        ("tags", report.tags),
        ("retrieval", report.retrieval),
        ("captions", report.captions),
    ):
        for figure, value in ({} if part is None else asdict(part)).items():
            table.add_row(f"{name}: {figure.replace('_', ' ')}", _shown(value))
    Console().print(table)


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"@{k} {v:.3f}" for k, v in value.items())
    return f"{value:.3f}" if isinstance(value, float) else str(value)
