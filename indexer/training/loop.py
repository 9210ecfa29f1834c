"""What every training stage shares: schedule, averaged weights, checkpoints that resume, a stopwatch."""

import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Schedule:
    """Linear warm-up, then a cosine to zero, over `steps` or, where `minutes` is given, over training time."""

    steps: int
    peak: float
    warm_up: float = 0.03
    minutes: float | None = None

    def progress(self, step: int, seconds: float) -> float:
        """How far along training is, 0 to 1."""
        return min(1.0, seconds / (60 * self.minutes) if self.minutes else step / self.steps)

    def rate(self, progress: float) -> float:
        """The learning rate there."""
        if progress < self.warm_up:
            return self.peak * (progress + 1e-3) / self.warm_up
        along = (progress - self.warm_up) / (1 - self.warm_up)
        return self.peak * 0.5 * (1 + math.cos(math.pi * along)) + 1e-6


class Average:
    """Exponential moving average of a module's weights and buffers."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.values = {name: value.detach().clone() for name, value in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Move towards the module; faster during the first steps, when the average is still stale."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, value in module.state_dict().items():
            if value.is_floating_point():
                self.values[name].lerp_(value.detach(), 1 - decay)
            else:
                self.values[name].copy_(value)


def optimizer_for(module: nn.Module, peak: float, decay: float) -> torch.optim.AdamW:
    """AdamW that decays matrices and filters only: no bias, norm, embedding table or position table."""
    matrices = {
        f"{name}.weight" for name, child in module.named_modules() if isinstance(child, nn.Linear | nn.Conv2d)
    }
    named = dict(module.named_parameters())
    decayed = [value for name, value in named.items() if name in matrices]
    others = [value for name, value in named.items() if name not in matrices]
    groups = [{"params": decayed, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=peak, betas=(0.9, 0.98))


def take_step(loss: Tensor, module: nn.Module, optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Back-propagate, clip, update."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(module.parameters(), 3.0)
    optimizer.step()


@dataclass
class Clock:
    """Training seconds so far, over all runs of this stage."""

    before: float = 0.0
    started: float = 0.0

    def start(self) -> "Clock":
        """Begin counting from now."""
        self.started = time.monotonic()
        return self

    @property
    def seconds(self) -> float:
        """Seconds spent training, earlier runs included."""
        return self.before + time.monotonic() - self.started


def save_atomically(state: dict[str, object], file: Path) -> None:
    """A checkpoint is either the old one or the new one, never half of one."""
    partial = file.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(file)
