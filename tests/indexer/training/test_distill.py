"""The backbone's training loop on four tiny photos, with a stand-in for the teacher's cached answers."""

from pathlib import Path

import numpy as np
import pytest
import torch

from indexer.modeling.swin import SwinConfig
from indexer.training.data import PIXELS, Photo
from indexer.training.distill import Batches, DistillLoss, DistillRun, DistillSettings, Labels, Student
from indexer.training.loop import Schedule
from indexer.training.teacher import Basis, TargetFiles
from indexer.training.views import ViewPlan

TINY = SwinConfig(PIXELS, 16, 8, (1, 1), (1, 1), 6, drop_path=0.0)
PLAN = ViewPlan(seed=0, plain=1, mixed=1)
SETTINGS = DistillSettings(batch=2, embedding=4)


@pytest.fixture
def files(tmp_path: Path) -> TargetFiles:
    """Answers of random numbers for four photos in two views."""
    files, rng = TargetFiles(tmp_path, views=2, photos=4), np.random.default_rng(0)
    for name, width in (("middle", 48), ("last", 256)):
        basis = Basis(np.zeros(3), np.zeros((3, width)), np.ones(width))
        np.savez(tmp_path / f"basis_{name}.npz", mean=basis.mean, axes=basis.axes, scale=basis.scale)
    for name in ("middle", "last", "pooled", "logits"):
        array = files.open(name)
        array[:] = rng.integers(0, 100, array.shape)
    for view in range(2):
        files.done(view).touch()
    return files


def start(files: TargetFiles, folder: Path, steps: int) -> tuple[DistillRun, Batches, DistillLoss]:
    """A run as `distill` sets it up, over `steps` steps."""
    photos = [Photo(Path("x.jpg"), ("a dog in snow",) * 5, ("dog",), None)] * 3
    labels = Labels([*photos, Photo(Path("y.jpg"), (), (), "hat")], ["dog", "hat"], ["hat"])
    pixels = np.random.default_rng(1).integers(0, 255, (4, PIXELS, PIXELS, 3), dtype=np.uint8)
    torch.manual_seed(0)
    student = Student(TINY, 2, len(labels.words), SETTINGS.embedding)
    batches = Batches(pixels, np.arange(4), files, PLAN, SETTINGS.batch)
    run = DistillRun(student, folder, SETTINGS, Schedule(steps, 1e-3))
    return run, batches, DistillLoss(files, labels, SETTINGS)


def test_an_interrupted_run_goes_on(files: TargetFiles, tmp_path: Path) -> None:
    """A second run starts at the step the first one saved, with its weights, and leaves the finished backbone."""
    first, batches, criterion = start(files, tmp_path, steps=2)
    first.run(batches, criterion, lambda _line: None)
    second, batches, criterion = start(files, tmp_path, steps=3)
    assert second.step == 2
    for name, value in first.student.state_dict().items():
        assert torch.equal(value, second.student.state_dict()[name])
    lines: list[str] = []
    second.run(batches, criterion, lines.append, every=1)
    finished = torch.load(second.finished, weights_only=True)
    assert finished["steps"] == 3
    assert set(finished["backbone"]) == set(second.student.backbone.state_dict())
    assert len(lines) == 1


def test_batches_are_the_same_every_time(files: TargetFiles, tmp_path: Path) -> None:
    """Step n shows the same photos and pixels in every run."""
    _, batches, _ = start(files, tmp_path, steps=1)
    again = [next(batches.from_step(3)) for _ in range(2)]
    assert np.array_equal(again[0].photos, again[1].photos)
    assert torch.equal(again[0].pixels, again[1].pixels)
    assert not np.array_equal(next(batches.from_step(0)).photos, next(batches.from_step(1)).photos)
