"""What the teacher network sees in every view, cached: the targets the backbone is distilled from.

The teacher is an ImageNet MobileNetV2 (TFLite, int8, 224 x 224). Only its answers are kept: the last feature
map and one intermediate map as principal components, the pooled features and the class logits.
"""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from indexer.training.views import ViewPlan, render

TEACHER_FILE = Path("weights") / "mobilenet_v2_1.0_224_quant.tflite"
INPUT_SIZE = 224
MIDDLE, LAST, POOLED, LOGITS = 140, 168, 169, 171  # tensor numbers inside the TFLite graph
LOGITS_STEP = 0.09889253973960876  # one count of the quantised logits
MIDDLE_GRID, LAST_GRID = 12, 6  # the student's maps at 192 x 192 input
MIDDLE_WIDTH, LAST_WIDTH = 48, 256  # principal components kept
BASIS_VIEWS = 600
STEPS_PER_SIGMA = 24.0  # components are stored as int8, clipped at about 5 sigma


@dataclass(frozen=True)
class Basis:
    """Principal components of one feature map: `mean` (C,), `axes` (C, K), `scale` (K,) standard deviations."""

    mean: np.ndarray
    axes: np.ndarray
    scale: np.ndarray

    def encode(self, tokens: np.ndarray) -> np.ndarray:
        """(..., C) float -> (..., K) int8, every component divided by its standard deviation."""
        components = (tokens - self.mean) @ self.axes / self.scale
        return np.clip(np.rint(components * STEPS_PER_SIGMA), -127, 127).astype(np.int8)


def fit_basis(tokens: np.ndarray, width: int) -> Basis:
    """Principal components of (T, C) tokens, the widest `width` of them."""
    mean = tokens.mean(0)
    variance, axes = np.linalg.eigh(np.cov(tokens - mean, rowvar=False))
    order = np.argsort(variance)[::-1][:width]
    return Basis(mean, axes[:, order], np.sqrt(np.maximum(variance[order], 1e-6)))


def area_resize(size: int, target: int) -> np.ndarray:
    """(target, size) matrix averaging `size` cells into `target` ones by the area they share."""
    edges = np.arange(target + 1) * size / target
    cells = np.arange(size)
    overlap = np.minimum(edges[1:, None], cells + 1) - np.maximum(edges[:-1, None], cells)
    return np.clip(overlap, 0, None) * target / size


def _regrid(features: np.ndarray, target: int) -> np.ndarray:
    matrix = area_resize(features.shape[0], target)
    return np.einsum("ai,bj,ijc->abc", matrix, matrix, features, optimize=True)


class Teacher:
    """(224, 224, 3) uint8 -> feature maps (12,12,96) and (6,6,1280), pooled (1280,), logits (1001,)."""

    def __init__(self, file: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._network = Interpreter(str(file), num_threads=1, experimental_preserve_all_tensors=True)
        self._network.allocate_tensors()

    def __call__(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Run the network once and read the tensors."""
        self._network.set_tensor(0, pixels[None])
        self._network.invoke()
        middle, last = (self._network.get_tensor(n)[0].astype(np.float32) for n in (MIDDLE, LAST))
        pooled, logits = (self._network.get_tensor(n).reshape(-1) for n in (POOLED, LOGITS))
        return _regrid(middle, MIDDLE_GRID), _regrid(last, LAST_GRID), pooled, logits


@dataclass(frozen=True)
class TargetFiles:
    """Where the cached answers of the teacher lie; every array is (views, photos, ...)."""

    folder: Path
    views: int
    photos: int

    def open(self, name: str) -> np.ndarray:
        """Memory-map `middle`, `last` (int8), `pooled` or `logits` (uint8), creating the file if needed."""
        shape, kind = {
            "middle": ((MIDDLE_GRID**2, MIDDLE_WIDTH), np.int8),
            "last": ((LAST_GRID**2, LAST_WIDTH), np.int8),
            "pooled": ((1280,), np.uint8),
            "logits": ((1001,), np.uint8),
        }[name]
        file = self.folder / f"{name}.npy"
        if file.exists():
            return np.load(file, mmap_mode="r+")
        full = (self.views, self.photos, *shape)
        return np.lib.format.open_memmap(file, mode="w+", dtype=kind, shape=full)

    def done(self, view: int) -> Path:
        """The marker that says every photo of this view is written."""
        return self.folder / f"view_{view:02d}.done"

    def basis(self, name: str) -> Basis:
        """The principal components the cached map is expressed in."""
        with np.load(self.folder / f"basis_{name}.npz") as arrays:
            return Basis(arrays["mean"], arrays["axes"], arrays["scale"])


@lru_cache(maxsize=1)
def _process_teacher(file: Path) -> Teacher:
    return Teacher(file)


def _answer_slice(
    job: tuple[Path, Path, TargetFiles, ViewPlan, int, int, int],
) -> None:
    """One child process's share: photos [first, end) of one view, written straight to the memory maps."""
    weights, pixels_file, files, plan, view, first, end = job
    photos, teacher = np.load(pixels_file, mmap_mode="r"), _process_teacher(weights)
    maps = {name: files.open(name) for name in ("middle", "last", "pooled", "logits")}
    bases = {name: files.basis(name) for name in ("middle", "last")}
    for photo in range(first, end):
        middle, last, pooled, logits = teacher(render(photos, photo, view, plan, INPUT_SIZE))
        maps["middle"][view, photo] = bases["middle"].encode(middle).reshape(-1, MIDDLE_WIDTH)
        maps["last"][view, photo] = bases["last"].encode(last).reshape(-1, LAST_WIDTH)
        maps["pooled"][view, photo], maps["logits"][view, photo] = pooled, logits


def _fit_bases(weights: Path, photos: np.ndarray, files: TargetFiles, plan: ViewPlan) -> None:
    teacher = Teacher(weights)
    chosen = np.random.default_rng(plan.seed).choice(
        len(photos), min(BASIS_VIEWS, len(photos)), replace=False
    )
    answers = [teacher(render(photos, int(photo), 1, plan, INPUT_SIZE))[:2] for photo in chosen]
    for name, index, width in (("middle", 0, MIDDLE_WIDTH), ("last", 1, LAST_WIDTH)):
        tokens = np.stack([answer[index] for answer in answers])
        basis = fit_basis(tokens.reshape(-1, tokens.shape[-1]), width)
        np.savez(files.folder / f"basis_{name}.npz", mean=basis.mean, axes=basis.axes, scale=basis.scale)


def cache_targets(
    weights: Path,
    pixels_file: Path,
    folder: Path,
    plan: ViewPlan,
    processes: int,
    report: Callable[[str], None],
) -> TargetFiles:
    """Ask the teacher about every view of every photo, view by view; finished views are skipped."""
    folder.mkdir(parents=True, exist_ok=True)
    photos = np.load(pixels_file, mmap_mode="r")
    files = TargetFiles(folder, plan.count, len(photos))
    if not (folder / "basis_last.npz").exists():
        _fit_bases(weights, photos, files, plan)
    for name in ("middle", "last", "pooled", "logits"):
        files.open(name)
    bounds = np.linspace(0, len(photos), processes * 4 + 1).astype(int)
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for view in range(plan.count):
            if files.done(view).exists():
                continue
            jobs = [(weights, pixels_file, files, plan, view, a, b) for a, b in pairwise(bounds)]
            list(pool.map(_answer_slice, jobs))
            files.done(view).touch()
            report(f"teacher: view {view + 1} of {plan.count} answered")
    return files
