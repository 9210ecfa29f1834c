"""Tagger: pixels to the tags an image shows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from indexer.checkpoints import Calibration
from indexer.errors import ConfigurationError
from indexer.images import InputSpec
from indexer.modeling.inference import weight_count
from indexer.modeling.ram import Labels, Ram
from indexer.modeling.tag2text import Tag2Text
from indexer.open_set.own_tags import tags_version
from indexer.predictors.heat import heat_of
from indexer.predictors.identity import ModelIdentity
from indexer.predictors.vision import Eyes, check_pixels
from indexer.stage_clock import stage
from indexer.vocabulary import Vocabulary, canonical

BORDER = 0.05  # in logits; bfloat16 moves a tag's logit by a tenth of this


@dataclass(frozen=True)
class TagScore:
    """One tag with the confidence (0 to 1) it was given and the threshold it passed."""

    tag: str
    confidence: float
    threshold: float


class Tagger:
    """Which tags of its vocabulary an image shows."""

    def __init__(
        self,
        network: Ram | Tag2Text,
        eyes: Eyes,
        identity: ModelIdentity,
        spec: InputSpec,
        vocabulary: Vocabulary,
        calibration: Calibration,
        labels: Labels | None = None,
        exact: bool = True,
    ) -> None:
        """`exact` says that the network calculates in float32; else tags near their thresholds are asked again."""
        self.identity = identity
        self.input = spec
        self.vocabulary = vocabulary
        self._calibration = calibration
        self._network = network
        self._eyes = eyes
        self._labels = labels
        self._exact = exact

    @property
    def weight_count(self) -> int:
        """Numbers in the network's weights, the backbone's included."""
        return weight_count(self._network)

    def with_tags(self, more: Vocabulary, label_embed: np.ndarray) -> "Tagger":
        """A tagger that knows these tags as well as its own; its identity says so, with a version of the tags.

        Args:
            more: the new tags with their thresholds.
            label_embed: (tags, label width) float32 embeddings for RAM, (tags * 51, label width) for RAM++, each
                tag's descriptions together.

        Raises:
            ConfigurationError: a model with a closed vocabulary, or embeddings that are not such.
        """
        network = self._network
        if not isinstance(network, Ram):
            raise ConfigurationError(
                f"The tags of {self.identity.name!r} are fixed: tags of your own need ram or ram_plus"
            )
        shape = (len(more) * network.config.descriptions, network.config.label_width)
        if label_embed.shape != shape:
            raise ConfigurationError(
                f"{self.identity.name!r} wants embeddings of shape {shape} for {len(more)} tags, not"
                f" {label_embed.shape}: make them for this tagger"
            )
        with torch.inference_mode():
            embedded = torch.from_numpy(label_embed).to(network.wordvec_proj.weight.device)
            labels = (self._labels or network.own_labels()).joined(network.labels(embedded))
        version = f"{self.identity.version}+tags.{tags_version(more, label_embed)}"
        return Tagger(
            network,
            self._eyes,
            replace(self.identity, version=version),
            self.input,
            self.vocabulary.joined(more),
            self._calibration,
            labels,
            self._exact,
        )

    @torch.inference_mode()
    def look(self, pixels: np.ndarray) -> np.ndarray:
        """(B, S, S, 3) uint8 -> (B, 1 + L, C) float32 image tokens: all that tagging needs of an image, to keep."""
        check_pixels(pixels, self.input)
        return self._tokens(pixels).float().cpu().numpy()

    @torch.inference_mode()
    def confidences(self, pixels: np.ndarray) -> np.ndarray:
        """(B, S, S, 3) uint8 -> (B, tags) float32 confidences, 0 to 1, in vocabulary order."""
        check_pixels(pixels, self.input)
        if not len(pixels):
            return np.zeros((0, len(self.vocabulary)), np.float32)
        return self._confidences(self._tokens(pixels))

    @torch.inference_mode()
    def confidences_of(self, tokens: np.ndarray) -> np.ndarray:
        """(B, 1 + L, C) kept image tokens, as from `look` -> (B, tags) confidences: those of a full run."""
        device = next(self._network.parameters()).device
        return self._confidences(torch.from_numpy(np.asarray(tokens, np.float32)).to(device))

    def tag(self, pixels: np.ndarray) -> list[list[TagScore]]:
        """The tags of every image that pass their thresholds, highest confidence first.

        Args:
            pixels: (B, S, S, 3) uint8 RGB, S and fit as in `input`.
        """
        return passing(self.confidences(pixels), self.vocabulary)

    @torch.inference_mode()
    def heat(self, pixels: np.ndarray, tags: Sequence[str]) -> np.ndarray:
        """Where each tag was seen in one image, see `heat_of`: (tags, rows, columns) float32, 0 to 1.

        Args:
            pixels: (S, S, 3) uint8 RGB, S and fit as in `input`.
            tags: names, aliases or translations.

        Raises:
            UnknownTag: this tagger does not know the tag.
        """
        numbers = [self.vocabulary.index(tag) for tag in tags]
        check_pixels(pixels[None], self.input)
        tokens = self._tokens(pixels[None])
        chosen = torch.tensor(numbers, dtype=torch.int64, device=tokens.device)
        return heat_of(lambda hidden: self._without(tokens, chosen, hidden), tokens.shape[1] - 1)

    def _without(self, tokens: Tensor, chosen: Tensor, hidden: np.ndarray) -> np.ndarray:
        """(tags, P) logits of the tag numbers `chosen` with tokens hidden, (P, 1 + L) bool."""
        masks = torch.from_numpy(hidden).to(tokens.device)
        if isinstance(self._network, Tag2Text):
            logits = self._network.logits_without(tokens, chosen, masks)
        else:
            labels = (self._labels or self._network.own_labels()).chosen(chosen)
            logits = self._network.logits_without(tokens, labels, masks)
        without: np.ndarray = logits.float().cpu().numpy()
        return without

    def _tokens(self, pixels: np.ndarray) -> Tensor:
        tokens = self._eyes.tokens(pixels)
        if isinstance(self._network, Ram):
            tokens = self._network.image_proj(tokens)
        return tokens

    def _confidences(self, tokens: Tensor) -> np.ndarray:
        with stage("tag"):
            scores = self._asked(tokens).float()
            if not self._exact:
                self._ask_again(tokens, scores)
            scaled = scores * self._calibration.scale + self._calibration.bias
            confidences: np.ndarray = torch.sigmoid(scaled).cpu().numpy()
        return confidences

    def _asked(self, tokens: Tensor, chosen: Tensor | None = None, exact: bool = False) -> Tensor:
        """(B, tags) logits, or only of the tag numbers `chosen`."""
        if isinstance(self._network, Tag2Text):
            return self._network.tag_logits(tokens, chosen, exact)
        labels = self._labels or self._network.own_labels()
        return self._network.logits(tokens, labels if chosen is None else labels.chosen(chosen), exact)

    def _ask_again(self, tokens: Tensor, scores: Tensor) -> None:
        """Replace the logits within `BORDER` of their thresholds by exact ones: tags do not see each other, so a
        few can be asked alone, and those few are all that a faster type can get wrong here.
        """
        thresholds = torch.tensor(self.vocabulary.thresholds, device=scores.device)
        limits = (torch.logit(thresholds) - self._calibration.bias) / self._calibration.scale
        for image, row in enumerate(scores):
            near = ((row - limits).abs() < BORDER).nonzero()[:, 0]
            if len(near):
                row[near] = self._asked(tokens[image : image + 1], near, exact=True)[0].float()


def passing(confidences: np.ndarray, vocabulary: Vocabulary) -> list[list[TagScore]]:
    """(B, tags) confidences -> per image those strictly over their thresholds, highest first.

    Of tags that share a name ("train", the noun and the verb), the more confident one speaks.
    """
    thresholds = np.asarray(vocabulary.thresholds, np.float32)
    return [_passing(row, thresholds, vocabulary.tags) for row in confidences]


def _passing(row: np.ndarray, thresholds: np.ndarray, tags: Sequence[str]) -> list[TagScore]:
    numbers = sorted(np.flatnonzero(row > thresholds).tolist(), key=lambda number: -row[number])
    best: dict[str, TagScore] = {}
    for number in numbers:
        score = TagScore(tags[number], float(row[number]), float(thresholds[number]))
        best.setdefault(canonical(score.tag), score)
    return list(best.values())
