"""Stage four: Tag2Text over the frozen backbone.

First language alone: the decoder writes Flickr30k captions from the tags parsed out of them, with a blank image
(the guidance Tag2Text is trained with). Then photos: tags and captions together, tags as noisy as they will be.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from indexer.modeling.tag2text import Tag2Text
from indexer.modeling.wordpiece import WordPiece
from indexer.training.distill import Labels
from indexer.training.export import tag2text_config
from indexer.training.features import Features
from indexer.training.loop import Average, Schedule, optimizer_for, take_step
from indexer.training.losses import asymmetric
from indexer.training.tagger import some_tags
from indexer.training.text import TagParser

IGNORED = -100
BLANK_SHARE = 0.1  # of photo batches still written from tags alone, so that a person's tags keep their say


@dataclass(frozen=True)
class CaptionerSettings:
    """Everything that decides the outcome besides data and backbone."""

    seed: int = 0
    text_steps: int = 420
    steps: int = 450
    asked: int = 96
    images: int = 48
    captions: int = 3
    rate: float = 1.5e-3
    weight_decay: float = 0.05
    smoothing: float = 0.1
    drop_tag: float = 0.25
    add_tag: float = 0.3
    tag_weight: float = 0.1
    average: float = 0.995
    length: int = 24


class Sentences:
    """Tokenised captions and the tags parsed from each, several a photo."""

    def __init__(
        self, captions: Sequence[Sequence[str]], parser: TagParser, tokenizer: WordPiece, length: int
    ) -> None:
        self._start, self._end = tokenizer.decode_begin, tokenizer.end
        self.ids = [[self._sentence(tokenizer.encode(text), length) for text in texts] for texts in captions]
        self.tags = [[parser(text) for text in texts] for texts in captions]

    def _sentence(self, pieces: list[int], length: int) -> list[int]:
        return [self._start, *pieces[: length - 2], self._end]

    def __len__(self) -> int:
        return len(self.ids)


def padded(rows: Sequence[Sequence[int]], fill: int) -> Tensor:
    """(B, longest) int64."""
    longest = max(len(row) for row in rows)
    return torch.tensor([[*row, *([fill] * (longest - len(row)))] for row in rows])


class Guide:
    """Chooses the tags a caption is written from: its own, or those several captions of the photo agree on."""

    def __init__(self, tags: Sequence[str], settings: CaptionerSettings, rng: np.random.Generator) -> None:
        self._tags, self._settings, self._rng = tags, settings, rng

    def __call__(self, parsed: Sequence[Sequence[str]], chosen: np.ndarray) -> list[str]:
        """Tags for the `chosen` captions of one photo, some left out and some wrong, as recognised tags are."""
        mentions: dict[str, int] = {}
        for number, tags in enumerate(parsed):
            for tag in tags:
                mentions[tag] = (
                    mentions.get(tag, 0) + 1 + 4 * int(self._rng.random() < 0.3 and number in chosen)
                )
        agreed = [tag for tag, count in mentions.items() if count >= 2]
        kept = [tag for tag in agreed if self._rng.random() > self._settings.drop_tag]
        if self._rng.random() < self._settings.add_tag:
            kept.append(self._tags[int(self._rng.integers(len(self._tags)))])
        self._rng.shuffle(kept)
        return kept


class CaptionerRun:
    """Both phases, sharing network and random numbers."""

    def __init__(
        self,
        tags: Sequence[str],
        tokenizer: WordPiece,
        settings: CaptionerSettings,
        report: Callable[[str], None],
    ) -> None:
        torch.manual_seed(settings.seed)
        self.network = Tag2Text(tag2text_config(len(tags), tokenizer)).train()
        self._settings, self._report, self._tokenizer = settings, report, tokenizer
        self._rng = np.random.default_rng(settings.seed)
        self._guide = Guide(tags, settings, self._rng)
        for module in self.network.modules():
            if isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=0.04)
        nn.init.normal_(self.network.fc.W, std=0.05)
        nn.init.constant_(self.network.fc.b, -3.0)
        names = ("tagging_head", "label_embed", "fc", "tag_encoder", "text_decoder")
        self._heads = nn.ModuleDict({name: getattr(self.network, name) for name in names})

    def state(self) -> dict[str, Tensor]:
        """The heads' weights, for a later run to start from."""
        return dict(self._heads.state_dict())

    def start_from(self, state: dict[str, Tensor]) -> None:
        """Continue from another run's heads."""
        self._heads.load_state_dict(state)

    def _sentences(self, sentences: Sentences, photos: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
        """Tag ids with mask (B, T) of each photo, and (B * captions, T) sentence ids padded with -100."""
        guides, rows = [], []
        for photo in photos:
            texts = sentences.ids[photo]
            chosen = self._rng.choice(
                len(texts), self._settings.captions, replace=len(texts) < self._settings.captions
            )
            guides.append(" | ".join(self._guide(sentences.tags[photo], chosen)))
            rows += [texts[int(c)] for c in chosen]
        length = self.network.config.tag_tokens
        encoded = [self._tokenizer.encode_padded(g, length, self._tokenizer.encode_begin) for g in guides]
        ids, masks = (torch.tensor(part) for part in zip(*encoded, strict=True))
        return ids, masks, padded(rows, IGNORED)

    def _caption_loss(self, image_tokens: Tensor, sentences: Sentences, photos: np.ndarray) -> Tensor:
        ids, mask, captions = self._sentences(sentences, photos)
        encoded = self.network.encode_tags(ids, mask, image_tokens)
        states = self.network.text_decoder.hidden(captions[:, :-1].clamp(min=0), encoded)
        answers = captions[:, 1:]
        logits = self.network.text_decoder.logits(states[answers != IGNORED])
        return F.cross_entropy(
            logits.float(), answers[answers != IGNORED], label_smoothing=self._settings.smoothing
        )

    def _blank(self, images: int) -> Tensor:
        return torch.zeros(images, 1, self.network.config.swin.width)

    def _train(self, name: str, steps: int, loss_of: Callable[[], Tensor]) -> None:
        settings = self._settings
        optimizer = optimizer_for(self._heads, settings.rate, settings.weight_decay)
        average, schedule = Average(self._heads, settings.average), Schedule(steps, settings.rate)
        total = 0.0
        for step in range(steps):
            with torch.autocast("cpu", torch.bfloat16):
                loss = loss_of()
            take_step(loss, self._heads, optimizer, schedule.rate(step / steps))
            average.update(self._heads, step)
            total += float(loss.detach())
            if step % 50 == 49:
                self._report(f"captioner ({name}): step {step + 1} of {steps}  loss {total / 50:.3f}")
                total = 0.0
        self._heads.load_state_dict(average.values)

    def train_text(self, sentences: Sentences) -> None:
        """Captions from tags, without photos."""

        def loss() -> Tensor:
            photos = self._rng.choice(len(sentences), self._settings.images, replace=False)
            return self._caption_loss(self._blank(len(photos)), sentences, photos)

        self._train("text", self._settings.text_steps, loss)

    def train_photos(
        self, features: Features, labels: Labels, sentences: Sentences, chosen: np.ndarray
    ) -> Tag2Text:
        """Tags of all `chosen` photos, captions of those that have some; `sentences` is indexed like `features`."""
        described = np.array([photo for photo in chosen if sentences.ids[photo]])

        def loss() -> Tensor:
            photos = self._rng.choice(described, self._settings.images, replace=False)
            tokens = features.pick(photos, self._rng)
            seen = self._blank(len(photos)) if self._rng.random() < BLANK_SHARE else tokens
            return self._caption_loss(seen, sentences, photos) + self._tag_loss(features, labels, chosen)

        self._train("photos", self._settings.steps, loss)
        return self.network.eval()

    def _tag_loss(self, features: Features, labels: Labels, chosen: np.ndarray) -> Tensor:
        photos = self._rng.choice(chosen, self._settings.images, replace=False)
        asked = some_tags(labels, self._settings.asked, self._rng)
        logits = self.network.tag_logits(features.pick(photos, self._rng), asked)
        return self._settings.tag_weight * asymmetric(logits, *labels.of(photos, asked), gamma_neg=2.0)
