"""Stage three: the dual encoder over the frozen backbone.

The text tower first learns from captions alone that captions of one photo belong together, then from photos.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from indexer.modeling.clip import DualEncoder
from indexer.modeling.wordpiece import WordPiece
from indexer.training.export import dual_encoder_config
from indexer.training.features import Features
from indexer.training.loop import Average, Schedule, optimizer_for, take_step
from indexer.training.losses import contrastive


@dataclass(frozen=True)
class EmbedderSettings:
    """Everything that decides the outcome besides data and backbone."""

    seed: int = 0
    text_steps: int = 150
    steps: int = 1200
    batch: int = 256
    rate: float = 1e-3
    weight_decay: float = 0.1
    average: float = 0.995
    max_scale: float = 3.4


class Captions:
    """Tokenised captions, several a photo."""

    def __init__(self, captions: Sequence[Sequence[str]], tokenizer: WordPiece, length: int) -> None:
        encoded = [[tokenizer.encode_padded(text, length) for text in texts] for texts in captions]
        self._ids = [torch.tensor([ids for ids, _ in row], dtype=torch.int32) for row in encoded]
        self._masks = [torch.tensor([mask for _, mask in row], dtype=torch.int8) for row in encoded]

    def __len__(self) -> int:
        return len(self._ids)

    def sample(
        self, photos: np.ndarray, rng: np.random.Generator, many: int = 1
    ) -> list[tuple[Tensor, Tensor]]:
        """`many` different captions of every photo: ids and masks (B, T), cut to the longest of the batch."""
        chosen = [rng.choice(len(self._ids[p]), many, replace=len(self._ids[p]) < many) for p in photos]
        batches = []
        for number in range(many):
            picks = list(zip(photos, chosen, strict=True))
            ids = torch.stack([self._ids[p][int(c[number])] for p, c in picks])
            mask = torch.stack([self._masks[p][int(c[number])] for p, c in picks])
            longest = int(mask.sum(1).max())
            batches.append((ids[:, :longest].long(), mask[:, :longest].long()))
        return batches


class EmbedderRun:
    """Both phases, sharing network and random numbers."""

    def __init__(
        self, tokenizer: WordPiece, settings: EmbedderSettings, report: Callable[[str], None]
    ) -> None:
        torch.manual_seed(settings.seed)
        self.network = DualEncoder(dual_encoder_config(tokenizer)).train()
        self._settings, self._report = settings, report
        self._rng = np.random.default_rng(settings.seed)
        children = {n: c for n, c in self.network.named_children() if n != "visual_encoder"}
        self._heads = nn.ModuleDict(children)
        self._heads.register_parameter("image_queries", self.network.image_queries)
        self._heads.register_parameter("logit_scale", self.network.logit_scale)

    def state(self) -> dict[str, Tensor]:
        """The heads' weights, for a later run to start from."""
        return dict(self._heads.state_dict())

    def start_from(self, state: dict[str, Tensor]) -> None:
        """Continue from another run's heads."""
        self._heads.load_state_dict(state)

    def _text_loss(self, captions: Captions) -> Tensor:
        photos = self._rng.choice(len(captions), self._settings.batch, replace=False)
        with torch.autocast("cpu", torch.bfloat16):
            left, right = (
                self.network.encode_text(*batch) for batch in captions.sample(photos, self._rng, 2)
            )
        return contrastive(left, right, self._scale(), torch.from_numpy(photos))

    def _image_loss(self, features: Features, captions: Captions, chosen: np.ndarray) -> Tensor:
        photos = self._rng.choice(chosen, self._settings.batch, replace=False)
        ids, mask = captions.sample(photos, self._rng)[0]
        with torch.autocast("cpu", torch.bfloat16):
            images = self.network.embed_tokens(features.pick(photos, self._rng))
            texts = self.network.encode_text(ids, mask)
        return contrastive(images, texts, self._scale(), torch.from_numpy(photos))

    def _scale(self) -> Tensor:
        return self.network.logit_scale.clamp(max=self._settings.max_scale)

    def _train(self, name: str, steps: int, rate: float, loss_of: Callable[[], Tensor]) -> None:
        optimizer = optimizer_for(self._heads, rate, self._settings.weight_decay)
        average, schedule = Average(self._heads, self._settings.average), Schedule(steps, rate)
        total = 0.0
        for step in range(steps):
            loss = loss_of()
            take_step(loss, self._heads, optimizer, schedule.rate(step / steps))
            average.update(self._heads, step)
            total += float(loss.detach())
            if step % 50 == 49:
                self._report(f"embedder ({name}): step {step + 1} of {steps}  loss {total / 50:.3f}")
                total = 0.0
        self._heads.load_state_dict(average.values)

    def train_text(self, captions: Captions) -> None:
        """Captions of one photo together, of others apart."""
        self._train("text", self._settings.text_steps, self._settings.rate, lambda: self._text_loss(captions))

    def train_pairs(self, features: Features, captions: Captions, chosen: np.ndarray) -> DualEncoder:
        """Photos and their captions; `captions` is indexed like `features`."""
        steps, rate = self._settings.steps, self._settings.rate
        self._train("pairs", steps, rate, lambda: self._image_loss(features, captions, chosen))
        return self.network.eval()
