"""Stage one: a backbone of ours learns to see what the teacher sees, and what people said, in every view.

Losses: both feature maps, pooled features and class logits of the teacher (every view), and on unmixed views
the tags and a caption of the photo through a bag of words. Only the backbone is kept.
"""

import re
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from indexer.modeling.swin import SwinBackbone, SwinConfig
from indexer.training.data import PIXELS, Photo
from indexer.training.loop import Average, Clock, Schedule, optimizer_for, save_atomically, take_step
from indexer.training.losses import asymmetric, contrastive, soft_labels, weighted_mse
from indexer.training.teacher import LAST_WIDTH, LOGITS_STEP, MIDDLE_WIDTH, STEPS_PER_SIGMA, TargetFiles
from indexer.training.views import ViewPlan, render

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BACKBONE = SwinConfig(
    image_size=192,
    patch_size=16,
    embed_dim=160,
    depths=(2, 4),
    num_heads=(5, 10),
    window_size=6,
    stem=((32, 2), (64, 2), (96, 2), (96, 1), (160, 2)),
    drop_path=0.05,
)


@dataclass(frozen=True)
class DistillSettings:
    """Everything that decides the outcome besides the data."""

    seed: int = 0
    batch: int = 64
    epochs: int = 21
    minutes: float | None = None
    rate: float = 1.2e-3
    weight_decay: float = 0.05
    average: float = 0.998
    supervised: float = 0.5
    embedding: int = 256


def normalise(pixels: Tensor) -> Tensor:
    """(B, H, W, 3) uint8 -> (B, 3, H, W) float, ImageNet mean 0 and deviation 1."""
    scaled = pixels.permute(0, 3, 1, 2).float() / 255
    return (scaled - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)


def words_of(text: str) -> list[str]:
    """Lower-case words."""
    return re.findall(r"[a-z]+", text.lower())


class Labels:
    """Tags and bags of words of every photo as index arrays."""

    def __init__(self, photos: Sequence[Photo], tags: Sequence[str], clothing: Sequence[str]) -> None:
        numbers = {tag: i for i, tag in enumerate(tags)}
        self.targets = torch.zeros(len(photos), len(tags))
        self.known = torch.zeros(len(photos), len(tags))
        general = [numbers[tag] for tag in tags if any(tag in p.caption_tags for p in photos)]
        garments = [numbers[tag] for tag in clothing]
        counts = Counter(word for photo in photos for text in photo.captions for word in words_of(text))
        self.words = {word: i for i, word in enumerate(sorted(w for w, n in counts.items() if n >= 5))}
        self.captions: list[list[list[int]]] = []
        for row, photo in enumerate(photos):
            self.known[row, garments if photo.category else general] = 1
            positives = [photo.category] if photo.category else photo.caption_tags
            self.targets[row, [numbers[tag] for tag in positives if tag in numbers]] = 1
            self.captions.append([self._bag(text) for text in photo.captions])

    def of(self, photos: np.ndarray, tags: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T) targets and which of them are known, of these photo and tag numbers."""
        rows = torch.from_numpy(photos)[:, None]
        return self.targets[rows, tags], self.known[rows, tags]

    def _bag(self, text: str) -> list[int]:
        return [self.words[word] for word in words_of(text) if word in self.words] or [0]


class Student(nn.Module):
    """The backbone with the linear read-outs that only training needs."""

    def __init__(self, config: SwinConfig, tags: int, words: int, embedding: int) -> None:
        super().__init__()
        self.backbone = SwinBackbone(config)
        self.middle = nn.Linear(config.embed_dim, MIDDLE_WIDTH)
        self.last = nn.Linear(config.width, LAST_WIDTH)
        self.pooled = nn.Linear(config.width, 1280)
        self.classes = nn.Linear(config.width, 1001)
        self.tags = nn.Linear(config.width, tags)
        self.image_projection = nn.Linear(config.width, embedding)
        self.bag = nn.EmbeddingBag(words, embedding, mode="mean")
        self.log_scale = nn.Parameter(torch.tensor(2.66))

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        """Every read-out of normalised (B, 3, S, S) pixels, float32."""
        middle, last = self.backbone.stages(pixels)
        mean = last.flatten(1, 2).mean(1)
        answers = {"middle": self.middle(middle.flatten(1, 2)), "last": self.last(last.flatten(1, 2))}
        for name in ("pooled", "classes", "tags", "image_projection"):
            answers[name] = getattr(self, name)(mean)
        return {name: value.float() for name, value in answers.items()}


@dataclass(frozen=True)
class Batch:
    """`photos` (B,) numbers, `plain` (B,) bool, normalised `pixels`, and the teacher's answers."""

    photos: np.ndarray
    plain: Tensor
    pixels: Tensor
    targets: dict[str, Tensor]


class Batches:
    """Endless shuffled batches; photo p shows view (epoch + p) mod views, so every batch mixes views."""

    def __init__(
        self, photos: np.ndarray, chosen: np.ndarray, files: TargetFiles, plan: ViewPlan, batch: int
    ) -> None:
        self._photos, self._chosen, self._plan, self._batch = photos, chosen, plan, batch
        self._arrays = {name: files.open(name) for name in ("middle", "last", "pooled", "logits")}
        self._files = files
        self.per_epoch = len(chosen) // batch

    def _ready(self) -> list[int]:
        return [view for view in range(self._plan.count) if self._files.done(view).exists()]

    def _make(self, step: int) -> Batch:
        epoch, place = divmod(step, self.per_epoch)
        order = np.random.default_rng([self._plan.seed, epoch]).permutation(self._chosen)
        photos = order[place * self._batch : (place + 1) * self._batch]
        ready = self._ready()
        views = [ready[(epoch + int(p)) % len(ready)] for p in photos]
        pixels = np.stack(
            [render(self._photos, int(p), v, self._plan, PIXELS) for p, v in zip(photos, views, strict=True)]
        )
        targets = {
            name: torch.from_numpy(array[views, photos]).float() for name, array in self._arrays.items()
        }
        plain = torch.tensor([not self._plan.is_mixed(v) for v in views])
        return Batch(photos, plain, normalise(torch.from_numpy(pixels)), targets)

    def from_step(self, step: int) -> Generator[Batch, None, None]:
        """Batches from `step` on, the next one prepared while this one trains."""
        with ThreadPoolExecutor(1) as pool:
            coming = pool.submit(self._make, step)
            while True:
                step += 1
                batch, coming = coming.result(), pool.submit(self._make, step)
                yield batch


class DistillLoss(nn.Module):
    """All losses of one batch, added."""

    def __init__(self, files: TargetFiles, labels: Labels, settings: DistillSettings) -> None:
        super().__init__()
        self._labels, self._settings = labels, settings
        self._rng = np.random.default_rng(settings.seed)
        scales = {name: torch.from_numpy(files.basis(name).scale).float() for name in ("middle", "last")}
        self._weights = {name: scale / scale.mean() for name, scale in scales.items()}
        sample = torch.from_numpy(np.array(files.open("pooled")[0, ::4])).float()
        self._pooled = sample.mean(0), sample.std(0, correction=0) + 4.0

    def _from_teacher(self, answers: dict[str, Tensor], targets: dict[str, Tensor]) -> dict[str, Tensor]:
        maps = {
            name: weighted_mse(answers[name], targets[name] / STEPS_PER_SIGMA, self._weights[name])
            for name in ("middle", "last")
        }
        pooled = (targets["pooled"] - self._pooled[0]) / self._pooled[1]
        return {
            "middle": 0.5 * maps["middle"],
            "last": maps["last"],
            "pooled": F.mse_loss(answers["pooled"], pooled),
            "classes": 0.15 * soft_labels(answers["classes"], targets["logits"] * LOGITS_STEP, 2.0),
        }

    def _from_people(self, student: Student, answers: dict[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """Tags and captions of the unmixed views; a small batch may have neither."""
        labels, weight = self._labels, self._settings.supervised
        rows = torch.from_numpy(batch.photos)[batch.plain]
        told = [i for i in range(len(rows)) if labels.captions[int(rows[i])]]
        if not told:
            return {}
        tags = asymmetric(answers["tags"][batch.plain], labels.targets[rows], labels.known[rows])
        pairs = self._pairs(student, answers["image_projection"][batch.plain][told], rows[told])
        return {"tags": 0.1 * weight * tags, "pairs": 0.4 * weight * pairs}

    def _pairs(self, student: Student, images: Tensor, photos: Tensor) -> Tensor:
        """One caption of each photo, as a bag of words, against the images."""
        bags = [self._labels.captions[int(photo)] for photo in photos]
        chosen = [torch.tensor(b[int(self._rng.integers(len(b)))]) for b in bags]
        offsets = torch.tensor([0] + [len(c) for c in chosen[:-1]]).cumsum(0)
        texts = F.normalize(student.bag(torch.cat(chosen), offsets).float(), dim=-1)
        return contrastive(F.normalize(images, dim=-1), texts, student.log_scale, photos)

    def forward(self, student: Student, answers: dict[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """Name -> weighted loss."""
        return self._from_teacher(answers, batch.targets) | self._from_people(student, answers, batch)


class DistillRun:
    """One resumable training run; `finished` holds the averaged backbone when it is over."""

    def __init__(self, student: Student, folder: Path, settings: DistillSettings, schedule: Schedule) -> None:
        self.student, self.settings, self.schedule = student, settings, schedule
        self.file, self.finished = folder / "distill.pt", folder / "backbone.pt"
        self.optimizer = optimizer_for(student, settings.rate, settings.weight_decay)
        self.average = Average(student, settings.average)
        self.step, self.clock = 0, Clock()
        if self.file.exists():
            self._resume()

    def _resume(self) -> None:
        state = torch.load(self.file, weights_only=True)
        self.student.load_state_dict(state["student"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average.values = state["average"]
        self.step, self.clock = state["step"], Clock(before=state["seconds"])

    def save(self) -> None:
        """Write everything a resumed run needs."""
        state = {"student": self.student.state_dict(), "optimizer": self.optimizer.state_dict()}
        more = {"average": self.average.values, "step": self.step, "seconds": self.clock.seconds}
        save_atomically(state | more, self.file)

    def _advance(self, batch: Batch, criterion: DistillLoss) -> dict[str, float]:
        progress = self.schedule.progress(self.step, self.clock.seconds)
        with torch.autocast("cpu", torch.bfloat16):
            answers = self.student(batch.pixels)
        losses = criterion(self.student, answers, batch)
        take_step(sum(losses.values()), self.student, self.optimizer, self.schedule.rate(progress))
        self.step += 1
        self.average.update(self.student, self.step)
        return {name: float(value.detach()) for name, value in losses.items()}

    def run(
        self, batches: Batches, criterion: DistillLoss, report: Callable[[str], None], every: int = 100
    ) -> None:
        """Train until the schedule is over."""
        self.clock.start()
        self.student.train()
        sums: Counter[str] = Counter()
        stream = batches.from_step(self.step)
        while (progress := self.schedule.progress(self.step, self.clock.seconds)) < 1:
            sums.update(self._advance(next(stream), criterion))
            if self.step % every == 0:
                losses = "  ".join(f"{name} {total / every:.3f}" for name, total in sums.items())
                speed = self.step * self.settings.batch / self.clock.seconds
                epoch = self.step / batches.per_epoch
                report(f"backbone: {progress:.1%} epoch {epoch:.1f} {speed:.0f} img/s  {losses}")
                sums.clear()
                self.save()
        self.save()
        stream.close()
        kept = {k[9:]: v for k, v in self.average.values.items() if k.startswith("backbone.")}
        save_atomically({"backbone": kept, "steps": self.step, "seconds": self.clock.seconds}, self.finished)


def distill(
    pixels: np.ndarray,
    chosen: np.ndarray,
    labels: Labels,
    files: TargetFiles,
    plan: ViewPlan,
    folder: Path,
    settings: DistillSettings,
    report: Callable[[str], None],
) -> Path:
    """Train the backbone on the `chosen` photo numbers; returns the file of averaged weights."""
    torch.manual_seed(settings.seed)
    student = Student(BACKBONE, labels.targets.shape[1], len(labels.words), settings.embedding)
    batches = Batches(pixels, chosen, files, plan, settings.batch)
    schedule = Schedule(settings.epochs * batches.per_epoch, settings.rate, minutes=settings.minutes)
    run = DistillRun(student, folder, settings, schedule)
    if not run.finished.exists():
        run.run(batches, DistillLoss(files, labels, settings), report)
    return run.finished
