"""Figures of `benchmarks.models` as JSON and as a table to read."""

import json
import os
import platform
import re
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from benchmarks.measured_process import Answer
from benchmarks.model_agreement import DIFFERENCE_BAR, JACCARD_BAR

Row = dict[str, Any]
GEMM_OF = {"exact": "float32", "bf16": "bfloat16", "fp16": "float16", "official": "float32"}
RULE_MADE = (
    "Weights made from numbers, where they were used, show speed as real ones do, but their tags mean nothing:"
    " measure real weights again before a faster precision is trusted with them."
)


def machine() -> dict[str, Any]:
    """The processor as the system names it, its cores and memory."""
    name, features = platform.processor() or platform.machine(), []
    try:
        text = Path("/proc/cpuinfo").read_text()
        fields = dict(re.findall(r"^(model name|cpu family|model|flags)\s*: (.*)$", text, re.MULTILINE))
        name = f"{fields['model name']} (family {fields['cpu family']}, model {fields['model']})"
        wanted = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_bf16", "amx_int8")
        features = [flag for flag in wanted if flag in fields["flags"].split()]
    except (OSError, KeyError):
        pass  # not Linux, or not a processor with these names
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "processor": name,
        "features": features,
        "cores": cores,
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
    }


def machine_slug(about: Mapping[str, Any]) -> str:
    """A machine's processor and cores, as part of a file's name."""
    return re.sub(r"[^a-z0-9]+", "-", f"{about['processor']} {about['cores']} cores".lower()).strip("-")


def rows(
    task: str, batch: int, seconds: Mapping[str, Sequence[float]], answers: Mapping[str, Answer]
) -> list[Row]:
    """One row a side: median images/s, how many times the official code's, whether the answers are the same.

    The first turn warms up and is dropped, unless it is the only one.
    """
    kept = {name: list(values[1:] or values) for name, values in seconds.items()}
    found = []
    for name, values in kept.items():
        rate = batch / statistics.median(values)
        row: Row = {"task": task, "batch": batch, "side": name, "images_per_s": rate, "seconds": values}
        row["peak_bytes"] = answers[name]["peak_bytes"]
        if name != "official" and "official" in kept:
            pairs = zip(kept["official"], values, strict=False)
            row["times_official"] = rate * statistics.median(kept["official"]) / batch
            row["times_official_each_turn"] = [theirs / ours for theirs, ours in pairs]
            row["same_answers"] = same_answers(answers["official"], answers[name])
        found.append(row)
    return found


def same_answers(theirs: Answer, ours: Answer) -> float | None:
    """Share of images with the same set of tags, or the same caption; None for a task without answers."""
    key = next((key for key in ("tags", "captions") if key in ours), None)
    if key is None:
        return None
    as_compared = set if key == "tags" else str.strip  # a name may stand for two tags in one vocabulary
    pairs = list(zip(theirs[key], ours[key], strict=True))
    return sum(as_compared(a) == as_compared(b) for a, b in pairs) / len(pairs)


def line(row: Row) -> str:
    """A row while measuring."""
    ratio = f"  {row['times_official']:5.2f} x official" if "times_official" in row else ""
    return f"  {row['task']:17} batch {row['batch']:3}  {row['side']:9} {row['images_per_s']:8.3f} images/s{ratio}"


def share(row: Row, report: Mapping[str, Any]) -> float | None:
    """Part of the machine's measured matrix product peak, by the operations that side does; None for captions."""
    cost, peak = report["cost"], report["gemm"].get(GEMM_OF.get(row["side"], ""))
    tagger = cost["tagger" if row["side"] == "official" else "own_tagger"]
    work = {"backbone": cost["backbone"], "tags": cost["backbone"] + tagger}.get(row["task"])
    return float(work * row["images_per_s"] / peak) if work and peak else None


def write(report: Mapping[str, Any], folder: Path) -> None:
    """`<what>-<machine>.json` and `.md`; prints the table."""
    what = f"agreement-{report['model']}" if "agreement" in report else str(report["model"])
    on = report["machine"]["accelerator"] if report["device"] != "cpu" else None
    name = on or f"{report['machine']['processor']} {report['machine']['cores']} cores"
    stem = f"{what}-{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{stem}.json").write_text(json.dumps(report, indent=1) + "\n")
    text = agreement_text(report) if "agreement" in report else speed_text(report)
    (folder / f"{stem}.md").write_text(text)
    print(f"\n{text}\nWritten to {folder / stem}.json and .md")


def _heading(report: Mapping[str, Any], what: str) -> str:
    about = report["machine"]
    features = f" ({', '.join(about['features'])})" if about["features"] else ""
    device = f", {about['accelerator']}" if report["device"] != "cpu" else ""
    return (
        f"# {report['model']}: {what}\n\n"
        f"{report['date']}. {about['processor']}{features}, {about['cores']} cores,"
        f" {about['memory_gib']} GiB{device}. torch {about['torch']}, {about['threads']} threads."
        f" {report['images'][0].upper()}{report['images'][1:]}.\n"
    )


def speed_text(report: Mapping[str, Any]) -> str:
    """Load times, the work by count, and one line a measurement."""
    gemm = ", ".join(f"{name} {value / 1e9:.0f}" for name, value in report["gemm"].items())
    parts = [
        _heading(report, "speed"),
        _official_text(report),
        f"Matrix products, best measured here, GFLOP/s: {gemm}.\n",
        _cost_text(report["cost"]),
        "| load | seconds | peak memory, MiB |\n|---|--:|--:|",
        *(
            f"| {name} | {load['seconds']:.1f} | {load['peak_bytes'] / 2**20:.0f} |"
            for name, load in report["load"].items()
        ),
        "",
        "| task | batch | side | images/s | times official (each turn) | same answers | of GEMM peak"
        " | times official, were it at that peak | peak memory, MiB |\n|---|--:|---|--:|---|--:|--:|--:|--:|",
        *(_row_text(row, report) for row in report["rows"]),
    ]
    return "\n".join(parts) + "\n"


def _official_text(report: Mapping[str, Any]) -> str:
    if "official" not in report:
        return "The official code was not given; only ours.\n"
    theirs = report["official"]
    return (
        f"Official code: torch {theirs['torch']}, transformers {theirs['transformers']}, timm {theirs['timm']};"
        " asked in turns with ours, as its scripts do (eval, no_grad). `captions` is its loop over images against"
        " our batch; `batched captions` its generate() on the batch. Medians; decoding and resizing not included."
        f" Same answers: images with the very same tags or caption. {RULE_MADE}\n"
    )


def _cost_text(cost: Mapping[str, int]) -> str:
    giga = {name: value / 1e9 for name, value in cost.items()}
    text = (
        f"GFLOP an image by count: backbone {giga['backbone']:.1f}, tagger {giga['tagger']:.1f} as published and"
        f" {giga['own_tagger']:.1f} as computed by ours"
    )
    if giga["tag_encoder"]:
        text += (
            f", tag encoder {giga['tag_encoder']:.1f}, decoder {giga['decoder_token']:.2f} a token and beam"
        )
    return text + ".\n"


def _row_text(row: Row, report: Mapping[str, Any]) -> str:
    turns = row.get("times_official_each_turn")
    ratio = f"{row['times_official']:.2f} ({min(turns):.2f} to {max(turns):.2f})" if turns else ""
    same = row.get("same_answers")
    part = share(row, report)
    ceiling = f"{row['times_official'] / part:.2f}" if part and turns else ""
    return (
        f"| {row['task']} | {row['batch']} | {row['side']} | {row['images_per_s']:.3f} | {ratio}"
        f" | {'' if same is None else f'{same:.0%}'} | {'' if part is None else f'{part:.0%}'} | {ceiling}"
        f" | {row['peak_bytes'] / 2**20:.0f} |"
    )


def agreement_text(report: Mapping[str, Any]) -> str:
    """One line a precision, and the verdict."""
    parts = [
        _heading(report, "faster precisions against exact float32"),
        f"The bar: mean Jaccard index of the tag sets at least {JACCARD_BAR}, mean difference of probabilities at"
        f" most {DIFFERENCE_BAR}. {RULE_MADE}\n",
        "| precision | images | tags an image | mean Jaccard | worst | same set | mean difference | largest"
        " | holds |\n|---|--:|--:|--:|--:|--:|--:|--:|---|",
    ]
    for name, found in report["agreement"].items():
        parts.append(
            f"| {name} | {found['images']} | {found['tags_an_image']:.1f} | {found['jaccard']:.4f}"
            f" | {found['worst_jaccard']:.3f} | {found['identical_sets']:.0%} | {found['difference']:.5f}"
            f" | {found['largest_difference']:.4f} | {'yes' if found['holds'] else 'no'} |"
        )
    return "\n".join(parts) + "\n"
