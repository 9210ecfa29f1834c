"""`sightline caption`: sentences about picture files, guided by tags of one's choice."""

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.markup import escape

from indexer.cli.workspace import remarks
from indexer.decoding import Answer, DecodePool
from indexer.errors import ConfigurationError, ImageError
from indexer.images import DecodedImage, Limits
from indexer.settings import Settings, get_settings

if TYPE_CHECKING:
    from indexer.predictors import Captioner, GuidedCaptions, Sampling, TagControl

SOME_REFUSED = 3
MOST_CANDIDATES = 20
MOST_DECODERS = 8


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(caption)


def caption(
    files: Annotated[list[Path], typer.Argument(help="Picture files.")],
    tags: Annotated[
        str | None,
        typer.Option(help="What the picture shows, separated by commas; any words. Instead of what is seen."),
    ] = None,
    add: Annotated[bool, typer.Option("--add", help="The tags given, and those that are seen.")] = False,
    reject: Annotated[str, typer.Option(help="What the picture does not show, separated by commas.")] = "",
    candidates: Annotated[
        int, typer.Option(min=1, max=MOST_CANDIDATES, help="How many captions for each picture.")
    ] = 1,
    sample: Annotated[bool, typer.Option("--sample", help="Draw captions instead of the likeliest.")] = False,
    seed: Annotated[
        int | None, typer.Option(help="With --sample: the same seed draws the same again. [default: 0]")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, for scripts.")] = False,
) -> None:
    """Write captions for picture files. Nothing is indexed and no server is started.

    A caption follows the tags it is guided by: those the captioner sees in the picture, or yours. The
    number behind a caption is its log-probability: how likely, as a power of e, the model holds it word
    for word. 0 would be certain; of two captions equally long, the nearer to 0 is the surer.

    Exit status: 0 all well, 3 some files could not be used, 1 it did not work.

    Examples: `sightline caption photo.jpg` · `sightline caption photo.jpg --tags "dog, frisbee"` ·
    `sightline caption *.jpg --tags beach --add --reject person --candidates 3` ·
    `sightline caption photo.jpg --sample --candidates 5 --seed 7` ·
    `SIGHTLINE_CAPTIONER=tag2text sightline caption photo.jpg`
    """
    if add and tags is None:
        raise ConfigurationError('--add adds to the tags you give: say which, as --tags "dog, frisbee".')
    if seed is not None and not sample:
        raise ConfigurationError("--seed decides what --sample draws: give both, or neither.")
    from indexer import predictors

    settings = get_settings()
    control = predictors.TagControl(_listed(tags or ""), tags is None or add, _listed(reject))
    sampling = predictors.Sampling(seed=seed or 0) if sample else None
    how = predictors.options(settings.device, settings.models_home, settings.precision)
    captioner = predictors.load_captioner(settings.captioner, **how)
    control.check(captioner.vocabulary)
    job = CaptionJob(captioner, control, candidates, sampling)
    answers = []
    for file, answer in job.run(files, settings):
        answers.append((file, answer))
        if not as_json:
            _show(file, answer, candidates)
    if as_json:
        sys.stdout.write(json.dumps(_as_plain(captioner, answers), ensure_ascii=False) + "\n")
    if any(isinstance(answer, ImageError) for _, answer in answers):
        raise typer.Exit(SOME_REFUSED)


@dataclass(frozen=True)
class CaptionJob:
    """What is asked of every picture."""

    captioner: "Captioner"
    control: "TagControl"
    candidates: int
    sampling: "Sampling | None"

    def run(
        self, files: Sequence[Path], settings: Settings
    ) -> Iterator[tuple[Path, "GuidedCaptions | ImageError"]]:
        """Every file with its captions, or the reason there are none, in the order given."""
        size = settings.worker.batch_size
        limits = Limits(**settings.images.model_dump())
        decoders = settings.worker.decoders or min(MOST_DECODERS, os.cpu_count() or 1)
        with DecodePool(min(decoders, len(files)), limits) as pool:
            for first in range(0, len(files), size):
                batch = files[first : first + size]
                decoded = dict(pool.decode_all(enumerate(batch), [self.captioner.input]))
                captions = self._captions(decoded)
                for number, file in enumerate(batch):
                    yield file, captions[number]

    def _captions(self, decoded: Mapping[int, Answer]) -> dict[int, "GuidedCaptions | ImageError"]:
        images = {
            number: image.inputs[0] for number, image in decoded.items() if isinstance(image, DecodedImage)
        }
        captions: dict[int, GuidedCaptions | ImageError] = {
            number: error for number, error in decoded.items() if isinstance(error, ImageError)
        }
        if images:
            pixels = np.stack(list(images.values()))
            found = self.captioner.captions(pixels, self.control, self.candidates, self.sampling)
            captions |= dict(zip(images, found, strict=True))
        return captions


def _listed(text: str) -> tuple[str, ...]:
    """Tags separated by commas, or by the bars Tag2Text writes."""
    return tuple(tag.strip() for tag in re.split(r"[,|]", text) if tag.strip())


def _show(file: Path, answer: "GuidedCaptions | ImageError", candidates: int) -> None:
    name = escape(str(file))
    if isinstance(answer, ImageError):
        reason = escape(str(answer))
        remarks.print(reason if name in reason else f"[red]{name}[/red]: {reason}", soft_wrap=True)
        return
    console = Console(highlight=False)
    if candidates == 1:
        only = answer.candidates[0]
        console.print(
            f"[bold]{name}[/bold]: {escape(only.text)} [dim]{only.log_probability:.1f}[/dim]", soft_wrap=True
        )
    else:
        console.print(f"[bold]{name}[/bold]", soft_wrap=True)
        for one in answer.candidates:
            console.print(f"  [dim]{one.log_probability:6.1f}[/dim]  {escape(one.text)}", soft_wrap=True)
    guides = escape(", ".join(answer.tags)) or "no tags"
    remarks.print(f"[dim]guided by {guides}[/dim]", soft_wrap=True)
    if answer.unread:
        unread = escape(", ".join(answer.unread))
        remarks.print(
            f"[yellow]not read, for want of room: {unread}[/yellow] (give fewer or shorter tags)",
            soft_wrap=True,
        )


def _as_plain(
    captioner: "Captioner", answers: Sequence[tuple[Path, "GuidedCaptions | ImageError"]]
) -> dict[str, Any]:
    images = [
        {"file": str(file), "error": {"code": answer.code, "message": str(answer)}}
        if isinstance(answer, ImageError)
        else {"file": str(file), **asdict(answer)}
        for file, answer in answers
    ]
    who = captioner.identity
    return {"captioner": {"name": who.name, "version": who.version}, "images": images}
