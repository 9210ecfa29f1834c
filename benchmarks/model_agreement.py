"""How far the tags of a faster precision are from those of exact float32, on photographs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measured_process import MeasuredProcess

BATCH = 8
JACCARD_BAR, DIFFERENCE_BAR = 0.98, 0.005  # at least, at most, in the mean


def compare(processes: Mapping[str, MeasuredProcess], count: int, scratch: Path) -> dict[str, Any]:
    """Precision -> its agreement with the first of `processes` over `count` images."""
    probabilities: dict[str, list[np.ndarray]] = {name: [] for name in processes}
    thresholds = np.zeros(0)
    found: dict[str, Any] = {}
    for start in range(0, count, BATCH):
        for name, process in processes.items():
            file = scratch / "confidences.npy"
            batch = min(BATCH, count - start)
            answer = process.ask("confidences", batch=batch, start=start, file=str(file))
            probabilities[name].append(np.load(file))
            thresholds = np.asarray(answer["thresholds"], np.float32)
        found = _with_first(probabilities, thresholds)
        so_far = ", ".join(f"{name} {row['jaccard']:.4f}" for name, row in found.items())
        print(f"\r{min(start + BATCH, count)} of {count} images, mean Jaccard {so_far}", end="", flush=True)
    print()
    return found


def _with_first(
    probabilities: Mapping[str, list[np.ndarray]], thresholds: np.ndarray
) -> dict[str, dict[str, float | int | bool]]:
    exact, *others = ((name, np.concatenate(parts)) for name, parts in probabilities.items())
    return {name: agreement(exact[1], rows, thresholds) for name, rows in others}


def agreement(exact: np.ndarray, other: np.ndarray, thresholds: np.ndarray) -> dict[str, float | int | bool]:
    """Of (N, tags) probabilities: mean Jaccard index of the tag sets, mean and largest difference.

    Two empty sets agree.
    """
    left, right = exact > thresholds, other > thresholds
    union = (left | right).sum(1)
    jaccard = np.where(union, (left & right).sum(1) / np.maximum(union, 1), 1.0)
    difference = np.abs(exact - other)
    return {
        "images": len(exact),
        "tags_an_image": float(left.sum(1).mean()),
        "jaccard": float(jaccard.mean()),
        "worst_jaccard": float(jaccard.min()),
        "identical_sets": float((jaccard == 1).mean()),
        "difference": float(difference.mean()),
        "largest_difference": float(difference.max()),
        "holds": bool(jaccard.mean() >= JACCARD_BAR and difference.mean() <= DIFFERENCE_BAR),
    }
