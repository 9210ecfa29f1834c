"""Stage two: the RAM tagging head over the frozen backbone, its calibration and its thresholds."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from indexer.checkpoints import Calibration
from indexer.modeling.ram import Ram
from indexer.training.distill import Labels
from indexer.training.export import ram_config
from indexer.training.features import Features
from indexer.training.loop import Average, Schedule, optimizer_for, take_step
from indexer.training.losses import asymmetric


@dataclass(frozen=True)
class TaggerSettings:
    """Everything that decides the outcome besides data and backbone."""

    seed: int = 0
    epochs: int = 30
    asked: int = 128
    batch: int = 128
    rate: float = 1e-3
    weight_decay: float = 0.05
    gamma_neg: float = 2.0
    average: float = 0.995


def some_tags(labels: Labels, count: int, rng: np.random.Generator) -> Tensor:
    """Random tag numbers for one step: asking about a part of the vocabulary costs that part of the time."""
    tags = labels.targets.shape[1]
    return torch.from_numpy(rng.choice(tags, min(count, tags), replace=False))


def train_tagger(
    features: Features,
    labels: Labels,
    chosen: np.ndarray,
    settings: TaggerSettings,
    report: Callable[[str], None],
) -> Ram:
    """Fit the head on the `chosen` photo numbers; the returned network's backbone is not set."""
    torch.manual_seed(settings.seed)
    network = Ram(ram_config(labels.targets.shape[1]))
    nn.init.normal_(network.label_embed, std=0.3)
    nn.init.constant_(network.fc.bias, -3.0)
    network.train()
    heads = nn.ModuleDict(
        {name: child for name, child in network.named_children() if name != "visual_encoder"}
    )
    heads.register_parameter("label_embed", network.label_embed)
    optimizer = optimizer_for(heads, settings.rate, settings.weight_decay)
    average = Average(heads, settings.average)
    schedule = Schedule(settings.epochs * (len(chosen) // settings.batch), settings.rate)
    rng = np.random.default_rng(settings.seed)
    total = 0.0
    for step in range(schedule.steps):
        photos = rng.choice(chosen, settings.batch, replace=False)
        asked = some_tags(labels, settings.asked, rng)
        with torch.autocast("cpu", torch.bfloat16):
            logits = network.logits(
                network.image_proj(features.pick(photos, rng)), network.own_labels().chosen(asked)
            )
        loss = asymmetric(logits, *labels.of(photos, asked), settings.gamma_neg)
        take_step(loss, heads, optimizer, schedule.rate(step / schedule.steps))
        average.update(heads, step)
        total += float(loss.detach())
        if step % 60 == 59:
            report(f"tagger: step {step + 1} of {schedule.steps}  loss {total / 60:.3f}")
            total = 0.0
    heads.load_state_dict(average.values)
    return network.eval()


@torch.inference_mode()
def all_logits(logits_of: Callable[[Tensor], Tensor], features: Features, photos: np.ndarray) -> Tensor:
    """(N, tags) float32 logits of untouched photos, in batches."""
    parts = [logits_of(features.plain(part)) for part in np.array_split(photos, max(1, len(photos) // 64))]
    return torch.cat(parts).float()


def fit_calibration(logits: Tensor, targets: Tensor, known: Tensor) -> Calibration:
    """Platt scaling over every known (photo, tag) pair: one scale and one bias for the whole model."""
    scale, bias = torch.ones(1, requires_grad=True), torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.LBFGS([scale, bias], max_iter=60, line_search_fn="strong_wolfe")
    chosen = known.bool()
    x, y = logits[chosen].clone(), targets[chosen]

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = nn.functional.binary_cross_entropy_with_logits(scale * x + bias, y)
        loss.backward()
        return loss

    optimizer.step(closure)
    return Calibration(float(scale.detach()), float(bias.detach()))


def _best_threshold(confidences: np.ndarray, targets: np.ndarray, floor: float, prior: float) -> float:
    """The threshold of highest F1 among those whose precision reaches `floor`, shrunk to `prior` where the
    positives are few.
    """
    order = np.argsort(-confidences)
    hits = np.cumsum(targets[order])
    precision, recall = hits / np.arange(1, len(order) + 1), hits / max(1, targets.sum())
    f1 = np.where(precision >= floor, 2 * precision * recall / np.maximum(precision + recall, 1e-9), 0.0)
    if not f1.any():
        return prior
    cut = int(f1.argmax())
    after = confidences[order[cut + 1]] if cut + 1 < len(order) else 0.0
    own = float((confidences[order[cut]] + after) / 2)
    trust = targets.sum() / (targets.sum() + 10)
    return float(trust * own + (1 - trust) * prior)


def choose_thresholds(
    confidences: np.ndarray, targets: np.ndarray, known: np.ndarray, floor: float
) -> list[float]:
    """One threshold a tag from held-out photos: (N, tags) confidences, targets and known pairs.

    The prior is the one threshold of highest F1 over all tags together.
    """
    chosen = known.astype(bool)
    prior = _best_threshold(confidences[chosen], targets[chosen], floor, 0.5)
    columns = range(confidences.shape[1])
    thresholds = [
        _best_threshold(confidences[chosen[:, c], c], targets[chosen[:, c], c], floor, prior) for c in columns
    ]
    return [round(min(0.95, max(0.05, threshold)), 4) for threshold in thresholds]
