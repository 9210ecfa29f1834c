"""Embedder: images and texts as points of one space."""

import threading
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from indexer.images import InputSpec
from indexer.modeling.clip import DualEncoder, OpenClip
from indexer.modeling.inference import weight_count
from indexer.modeling.wordpiece import WordPiece
from indexer.predictors.identity import ModelIdentity
from indexer.predictors.vision import Eyes, Normaliser, check_pixels
from indexer.stage_clock import stage

TEXT_BATCH = 256


class TwoTowers(Protocol):
    """What an embedder needs of its network and tokenizer."""

    @property
    def weight_count(self) -> int:
        """Numbers in the network's weights."""
        ...

    def images(self, pixels: np.ndarray) -> Tensor:
        """(B, S, S, 3) uint8 -> L2-normalised (B, D)."""
        ...

    def texts(self, texts: Sequence[str]) -> Tensor:
        """Strings -> L2-normalised (N, D)."""
        ...


class SmallTowers:
    """The bundled dual encoder with its tokenizer."""

    def __init__(self, network: DualEncoder, eyes: Eyes, tokenizer: WordPiece, device: str) -> None:
        self._network = network
        self._tokenizer = tokenizer
        self._eyes = eyes
        self._device = device

    @property
    def weight_count(self) -> int:
        """See TwoTowers."""
        return weight_count(self._network)

    def images(self, pixels: np.ndarray) -> Tensor:
        """See TwoTowers."""
        return self._network.embed_tokens(self._eyes.tokens(pixels))

    def texts(self, texts: Sequence[str]) -> Tensor:
        """See TwoTowers."""
        length = self._network.config.text_tokens
        ids, masks = zip(*(self._tokenizer.encode_padded(text, length) for text in texts), strict=True)
        return self._network.encode_text(
            torch.tensor(ids, device=self._device), torch.tensor(masks, device=self._device)
        )


class OpenClipTowers:
    """A published OpenCLIP model."""

    def __init__(self, network: OpenClip, mean: Sequence[float], std: Sequence[float], device: str) -> None:
        self._network = network.to(device)
        self._normalise = Normaliser(mean, std).to(device)
        self._device = device

    @property
    def weight_count(self) -> int:
        """See TwoTowers."""
        return weight_count(self._network)

    def images(self, pixels: np.ndarray) -> Tensor:
        """See TwoTowers."""
        return self._network.encode_image(self._normalise(pixels))

    def texts(self, texts: Sequence[str]) -> Tensor:
        """See TwoTowers."""
        return self._network.encode_text(self._network.tokenizer(list(texts)).to(self._device))


class Embedder:
    """Images and texts as points of one space: the inner product says how well they fit."""

    def __init__(self, towers: TwoTowers, identity: ModelIdentity, spec: InputSpec, dimension: int) -> None:
        self.identity = identity
        self.input = spec
        self.dimension = dimension
        self._towers = towers
        self._turn = threading.Lock()

    @property
    def weight_count(self) -> int:
        """Numbers in the network's weights, those of both towers."""
        return self._towers.weight_count

    @torch.inference_mode()
    def embed_images(self, pixels: np.ndarray) -> np.ndarray:
        """(B, S, S, 3) uint8 RGB, S and fit as in `input` -> (B, D) float32, L2-normalised."""
        check_pixels(pixels, self.input)
        if not len(pixels):
            return np.zeros((0, self.dimension), np.float32)
        with stage("embed"):
            return self._towers.images(pixels).float().cpu().numpy()

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Strings -> (N, D) float32, L2-normalised; long texts are cut to the model's length.

        One caller after the other: side by side, forty short texts cost three times the processor time.
        """
        parts = [np.zeros((0, self.dimension), np.float32)]
        with stage("embed"), self._turn:
            for start in range(0, len(texts), TEXT_BATCH):
                parts.append(self._towers.texts(texts[start : start + TEXT_BATCH]).float().cpu().numpy())
        return np.concatenate(parts)
