"""RAM, RAM++ and Tag2Text: ours beside the official code, same weights, same machine, in turns in one run.

    python -m benchmarks.models --checkpoints FOLDER --official CHECKOUT --official-python PYTHON

FOLDER holds ram.pth, ram_plus.pth, tag2text.pth, or the files under their released names; ours are installed below
it, once. CHECKOUT is of github.com/xinyu1205/recognize-anything, PYTHON of an environment that was made for it
(transformers 4.25.1, timm 0.4.12, scipy below 1.14, fairscale, clip). Without those two only ours is measured, and
without FOLDER the models that `sightline models pull` has installed.

`--agreement 500` asks instead how far the tags of each faster precision are from those of exact float32.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import model_agreement, model_inputs, model_report
from benchmarks.measured_process import Answer, MeasuredProcess, ProcessEnded

MODELS = ("ram", "ram_plus", "tag2text")
OFFICIAL = "official"
LEAST_TURNS = 2  # beside the first, which warms up
BACKBONE_PART = 0.3  # of the time other tasks get: it has nothing to be compared with
# What the official code does image by image is compared with our batch of as many images.
TASKS = {"ram": ("tags",), "ram_plus": ("tags",), "tag2text": ("tags", "captions", "batched captions")}


@dataclass(frozen=True)
class Side:
    """One process that answers: the official code, or ours in one precision."""

    name: str
    process: MeasuredProcess

    def asked(self, task: str) -> str | None:
        """What a task is called on this side; None where it has none."""
        if self.name == OFFICIAL:
            return None if task == "backbone" else task
        return "captions" if task == "batched captions" else task


def command_line() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.models",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--checkpoints", type=Path, help="folder with the .pth files")
    parser.add_argument("--lists", type=Path, help="folder with tag lists and vocab.txt, if not beside them")
    parser.add_argument("--official", type=Path, help="checkout of the official code")
    parser.add_argument("--official-python", type=Path, help="Python of the environment it runs in")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, nargs="+", default=(1, 4, 16), help="images at once")
    parser.add_argument("--precision", nargs="+", default=("exact", "bf16"))
    parser.add_argument("--tasks", nargs="+", choices=("backbone", "tags", "captions", "batched captions"))
    parser.add_argument("--seconds", type=float, default=90, help="how long turns are repeated, per batch")
    parser.add_argument("--repeats", type=int, default=9, help="most turns, per batch")
    parser.add_argument("--threads", type=int, help="of each process; default: all cores")
    parser.add_argument("--photos", type=Path, help="folder of JPEG photographs to look at")
    parser.add_argument(
        "--agreement", type=int, metavar="N", help="compare precisions on N photographs instead"
    )
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    if options.official and not options.official_python:
        parser.error("--official needs --official-python: the Python of an environment made for it")
    return options


def main() -> None:
    options = command_line()
    with tempfile.TemporaryDirectory(prefix="sightline-bench-") as folder:
        images = Path(folder) / "images.npy"
        wanted = options.agreement or max(options.batch)
        found, source = model_inputs.images(wanted, options.photos, images)
        for model in options.models:
            home = model_inputs.installed(model, options.checkpoints, options.lists)
            if home is None:
                continue
            with ExitStack() as stack:
                study = Study(options, model, home, images, Path(folder), stack)
                report = study.agreement(found) if options.agreement else study.speed()
            report |= {"images": source}
            model_report.write(report, options.results)


class Study:
    """One model, its sides open until `stack` closes."""

    def __init__(
        self,
        options: argparse.Namespace,
        model: str,
        home: Path,
        images: Path,
        scratch: Path,
        stack: ExitStack,
    ) -> None:
        self.options, self.model, self.home, self.images = options, model, home, images
        self.scratch, self.stack = scratch, stack
        self.sides: list[Side] = []
        self.report: dict[str, Any] = {
            "model": model,
            "device": options.device,
            "date": time.strftime("%Y-%m-%d"),
            "load": {},
            "rows": [],
        }

    def _open(self, name: str, command: Sequence[str], **details: object) -> MeasuredProcess:
        """Start a side, load its model, note what that took."""
        process = self.stack.enter_context(MeasuredProcess(name, command, self.options.threads))
        common = {"model": self.model, "device": self.options.device, "images": str(self.images)}
        answer = process.ask("load", **common, **details)
        self.report["load"][name] = answer
        print(f"{self.model}, {name}: loaded in {answer['seconds']:.1f} s", flush=True)
        self.sides.append(Side(name, process))
        return process

    def _open_ours(self, precision: str) -> MeasuredProcess:
        command = [sys.executable, "-m", "benchmarks.own_models"]
        return self._open(precision, command, home=str(self.home), precision=precision)

    def _open_official(self) -> None:
        options = self.options
        checkpoint = model_inputs.checkpoint(self.model, options.checkpoints)
        if not options.official or checkpoint is None:
            print("The official code is left out: give --official, --official-python and --checkpoints.")
            return
        model_inputs.into_page_cache(checkpoint)
        tokenizer = model_inputs.tokenizer(options.checkpoints, options.lists, self.scratch)
        command = [str(options.official_python), "-m", "benchmarks.official_models", str(options.official)]
        process = self._open(OFFICIAL, command, checkpoint=str(checkpoint), tokenizer=tokenizer)
        self.report["official"] = process.ask("about")

    def speed(self) -> dict[str, Any]:
        """Every task at every batch."""
        self._open_official()
        for precision in self.options.precision:
            self._open_ours(precision)
        self._describe()
        tasks = self.options.tasks or ("backbone", *TASKS[self.model])
        for task in tasks:
            if task == "batched captions" and not self.report.get("official", {}).get("batches_captions"):
                continue
            for batch in self.options.batch:
                self._turns(task, batch)
        self.report["gemm"] = self._best_gemm()
        return self.report

    def _describe(self) -> None:
        ours = self.sides[-1].process
        self.report["machine"] = model_report.machine() | ours.ask("about")
        self.report["cost"] = ours.ask("cost", model=self.model, home=str(self.home))
        self.report["gemm"] = ours.ask("gemm", device=self.options.device)["peaks"]

    def _best_gemm(self) -> dict[str, float]:
        """The better of before and after: a peak is what the machine can do when nothing disturbs it."""
        again = self.sides[-1].process.ask("gemm", device=self.options.device)["peaks"]
        return {name: max(value, again[name]) for name, value in self.report["gemm"].items()}

    def _turns(self, task: str, batch: int) -> None:
        """Ask each side in turn, so that whatever else the machine does hits all of them; keep the medians.

        A turn that takes longer than all of them should is the only one, and has not been warmed up for.
        """
        seconds: dict[str, list[float]] = {}
        answers: dict[str, Answer] = {}
        limit = self.options.seconds * (BACKBONE_PART if task == "backbone" else 1)
        started = time.monotonic()
        for turn in range(1 + self.options.repeats):
            begun = time.monotonic()
            for side in list(self.sides):
                if side.asked(task) and (answer := self._asked(side, task, batch)):
                    seconds.setdefault(side.name, []).append(answer["seconds"])
                    answers[side.name] = answer
            now = time.monotonic()
            if now - begun > limit or (turn >= LEAST_TURNS and now - started + now - begun > limit):
                break
        self.report["rows"] += model_report.rows(task, batch, seconds, answers)
        for row in self.report["rows"][-len(seconds) :]:
            print(model_report.line(row), flush=True)

    def _asked(self, side: Side, task: str, batch: int) -> Answer | None:
        """One measurement; a side that ends or fails is said so, and left out from then on if it ended."""
        try:
            return side.process.ask("run", task=side.asked(task), batch=batch, start=0)
        except ProcessEnded as error:
            self.sides.remove(side)
            print(f"{error} at batch {batch}: most likely out of memory", flush=True)
        except RuntimeError as error:
            print(f"{task}, batch {batch}: {error}", flush=True)
        return None

    def agreement(self, count: int) -> dict[str, Any]:
        """Tags and probabilities of each precision against exact float32, over `count` images."""
        precisions = ["exact", *(name for name in self.options.precision if name != "exact")]
        self.report["agreement"] = model_agreement.compare(
            {name: self._open_ours(name) for name in precisions}, count, self.scratch
        )
        self.report["machine"] = model_report.machine() | self.sides[-1].process.ask("about")
        return self.report


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    main()
