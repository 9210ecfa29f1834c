"""Batches of pixels in, plain values out: Tagger, Captioner, Embedder.

Importing this loads torch, so only workers, the API and training do. Predictors are not thread-safe to move or
change, but may be called from several threads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from weakref import WeakValueDictionary

import numpy as np
import torch
from torch import Tensor, nn

from indexer.checkpoints import Kind, ModelSpec, build, known_models, read_spec, weights_version
from indexer.errors import ConfigurationError, UnknownModel
from indexer.images import InputSpec
from indexer.modeling.beam import BeamConfig
from indexer.modeling.clip import DualEncoder, OpenClip
from indexer.modeling.ram import Ram
from indexer.modeling.tag2text import Tag2Text
from indexer.modeling.wordpiece import WordPiece
from indexer.vocabulary import Vocabulary, load_vocabulary

SEARCH = BeamConfig(beams=3, max_length=24, min_length=5)
TEXT_BATCH = 256


@dataclass(frozen=True)
class ModelIdentity:
    """Which model said something. `version` is the first 12 hex digits of its weights' SHA-256."""

    kind: Kind
    name: str
    version: str


@dataclass(frozen=True)
class TagScore:
    """One tag with the confidence (0 to 1) it was given and the threshold it passed."""

    tag: str
    confidence: float
    threshold: float


class Normaliser(nn.Module):
    """(B, H, W, 3) uint8 RGB -> (B, 3, H, W) float32 with the statistics the network was trained on."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1) * 255, persistent=False)

    def forward(self, pixels: np.ndarray) -> Tensor:
        """Copy to the constants' device and normalise."""
        batch = torch.from_numpy(np.ascontiguousarray(pixels)).to(self.mean.device)
        return (batch.permute(0, 3, 1, 2).float() - self.mean) / self.std


class Eyes:
    """A backbone with its normalisation, shared by the predictors whose weights name the same file.

    The last batch's tokens are kept, so three predictors that are given the very same array (not an equal
    one; arrays must not be written to between calls) cost one pass of the backbone.
    """

    def __init__(self, backbone: nn.Module, normalise: Normaliser) -> None:
        self.backbone = backbone
        self._normalise = normalise
        self._last: tuple[np.ndarray, Tensor] | None = None

    def tokens(self, pixels: np.ndarray) -> Tensor:
        """(B, S, S, 3) uint8 -> (B, 1 + L, width), the mean token first."""
        last = self._last  # read once: other threads may replace it
        if last is None or last[0] is not pixels:
            last = (pixels, self.backbone(self._normalise(pixels)))
            self._last = last
        return last[1]


_eyes: WeakValueDictionary[tuple[object, ...], Eyes] = WeakValueDictionary()


def eyes_of(network: nn.Module, spec: ModelSpec, folder: Path, device: str) -> Eyes:
    """The eyes of a network with a `visual_encoder`; the same for all that share its first weights file."""
    key = (weights_version((folder / spec.weights[0],)), device, spec.mean, spec.std)
    eyes = _eyes.get(key) if len(spec.weights) > 1 else None
    if eyes is None:
        normalise = Normaliser(spec.mean, spec.std).to(device)
        eyes = Eyes(network.get_submodule("visual_encoder").to(device), normalise)
        if len(spec.weights) > 1:
            _eyes[key] = eyes
    network.register_module("visual_encoder", eyes.backbone)
    return eyes


def check_pixels(pixels: np.ndarray, spec: InputSpec) -> None:
    """Raise ValueError unless `pixels` is (B, size, size, 3) uint8 as the model's InputSpec says."""
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[1:] != (spec.size, spec.size, 3):
        expected = f"(batch, {spec.size}, {spec.size}, 3) uint8"
        raise ValueError(
            f"pixels are {pixels.shape} {pixels.dtype}, not {expected}: decode with the model's InputSpec"
        )


def resolve_device(device: str) -> str:
    """The device to use: for "auto" the first of cuda, mps and cpu that is there, else the one named, checked.

    Raises:
        ConfigurationError: a device this machine does not have.
    """
    if device == "auto":
        mps = torch.backends.mps.is_available()
        return "cuda" if torch.cuda.is_available() else "mps" if mps else "cpu"
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigurationError(f"Device {device!r} cannot be used ({reason}): try auto or cpu") from error
    return device


class Tagger:
    """Which tags of its vocabulary an image shows."""

    def __init__(
        self,
        network: Ram,
        eyes: Eyes,
        spec: ModelSpec,
        vocabulary: Vocabulary,
        version: str,
        device: str,
    ) -> None:
        self.identity = ModelIdentity("tagger", spec.name, version)
        self.input = spec.input
        self.vocabulary = vocabulary
        self._calibration = spec.calibration
        self._network = network.to(device)
        self._eyes = eyes

    @torch.inference_mode()
    def confidences(self, pixels: np.ndarray) -> np.ndarray:
        """(B, S, S, 3) uint8 -> (B, tags) float32 confidences, 0 to 1, in vocabulary order."""
        check_pixels(pixels, self.input)
        if not len(pixels):
            return np.zeros((0, len(self.vocabulary)), np.float32)
        tokens = self._network.image_proj(self._eyes.tokens(pixels))
        logits = self._network.logits(tokens).float()
        confidences: np.ndarray = (
            torch.sigmoid(logits * self._calibration.scale + self._calibration.bias).cpu().numpy()
        )
        return confidences

    def tag(self, pixels: np.ndarray) -> list[list[TagScore]]:
        """The tags of every image that pass their thresholds, highest confidence first.

        Args:
            pixels: (B, S, S, 3) uint8 RGB, S and fit as in `input`.
        """
        return passing(self.confidences(pixels), self.vocabulary)


def passing(confidences: np.ndarray, vocabulary: Vocabulary) -> list[list[TagScore]]:
    """(B, tags) confidences -> per image those strictly over their thresholds, highest first."""
    thresholds = np.asarray(vocabulary.thresholds, np.float32)
    answers = []
    for row in confidences:
        numbers = sorted(np.flatnonzero(row > thresholds), key=lambda number: -row[number])
        answers.append([TagScore(vocabulary.tags[n], float(row[n]), float(thresholds[n])) for n in numbers])
    return answers


class Captioner:
    """One sentence an image, guided by tags."""

    def __init__(
        self,
        network: Tag2Text,
        eyes: Eyes,
        spec: ModelSpec,
        vocabulary: Vocabulary,
        tokenizer: WordPiece,
        version: str,
        device: str,
        search: BeamConfig = SEARCH,
    ) -> None:
        self.identity = ModelIdentity("captioner", spec.name, version)
        self.input = spec.input
        self.vocabulary = vocabulary
        self.search = search
        self._calibration = spec.calibration
        self._tokenizer = tokenizer
        self._network = network.to(device)
        self._eyes = eyes

    @torch.inference_mode()
    def caption(self, pixels: np.ndarray, tags: Sequence[Sequence[str]] | None = None) -> list[str]:
        """One caption an image, without a final full stop or capital.

        Args:
            pixels: (B, S, S, 3) uint8 RGB, S and fit as in `input`.
            tags: what each image shows, any words; None to be guided by the tags recognised here.
        """
        check_pixels(pixels, self.input)
        if tags is not None and len(tags) != len(pixels):
            raise ValueError(f"{len(pixels)} images but {len(tags)} tag lists: give one list an image")
        if not len(pixels):
            return []
        tokens = self._eyes.tokens(pixels)
        guides = self._recognised(tokens) if tags is None else tags
        ids, mask = self._tag_ids(guides, tokens.device)
        encoded = self._network.encode_tags(ids, mask, tokens)
        captions = self._network.caption_ids(encoded, self.search)
        prompt = len(self._network.config.prompt)
        return [self._tokenizer.decode(caption[prompt:]) for caption, _ in captions]

    def _recognised(self, image_tokens: Tensor) -> list[list[str]]:
        logits = self._network.tag_logits(image_tokens).float()
        confidences = torch.sigmoid(logits * self._calibration.scale + self._calibration.bias).cpu().numpy()
        return [[score.tag for score in scores] for scores in passing(confidences, self.vocabulary)]

    def _tag_ids(self, tags: Sequence[Sequence[str]], device: torch.device) -> tuple[Tensor, Tensor]:
        tokenizer, length = self._tokenizer, self._network.config.tag_tokens
        rows = [tokenizer.encode_padded(" | ".join(row), length, tokenizer.encode_begin) for row in tags]
        ids, masks = zip(*rows, strict=True)
        return torch.tensor(ids, device=device), torch.tensor(masks, device=device)


class TwoTowers(Protocol):
    """What an embedder needs of its network and tokenizer."""

    def images(self, pixels: np.ndarray) -> Tensor:
        """(B, S, S, 3) uint8 -> L2-normalised (B, D)."""
        ...

    def texts(self, texts: Sequence[str]) -> Tensor:
        """Strings -> L2-normalised (N, D)."""
        ...


class SmallTowers:
    """The bundled dual encoder with its tokenizer."""

    def __init__(self, network: DualEncoder, eyes: Eyes, tokenizer: WordPiece, device: str) -> None:
        self._network = network.to(device)
        self._tokenizer = tokenizer
        self._eyes = eyes
        self._device = device

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

    @torch.inference_mode()
    def embed_images(self, pixels: np.ndarray) -> np.ndarray:
        """(B, S, S, 3) uint8 RGB, S and fit as in `input` -> (B, D) float32, L2-normalised."""
        check_pixels(pixels, self.input)
        if not len(pixels):
            return np.zeros((0, self.dimension), np.float32)
        return self._towers.images(pixels).float().cpu().numpy()

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Strings -> (N, D) float32, L2-normalised; long texts are cut to the model's length."""
        parts = [np.zeros((0, self.dimension), np.float32)]
        for start in range(0, len(texts), TEXT_BATCH):
            parts.append(self._towers.texts(texts[start : start + TEXT_BATCH]).float().cpu().numpy())
        return np.concatenate(parts)


def _version(spec: ModelSpec, folder: Path) -> str:
    return weights_version(tuple(folder / name for name in spec.weights))


def load_tagger(name: str = "small", device: str = "cpu") -> Tagger:
    """A bundled tagger, ready to run.

    Raises:
        UnknownModel: listing the known names.
        CheckpointError: weights that do not fit.
    """
    spec, folder = read_spec("tagger", name)
    network = build(spec, folder)
    assert isinstance(network, Ram)
    assert spec.vocabulary is not None
    eyes, vocabulary = eyes_of(network, spec, folder, device), load_vocabulary(folder / spec.vocabulary)
    return Tagger(network, eyes, spec, vocabulary, _version(spec, folder), device)


def load_captioner(name: str = "small", device: str = "cpu") -> Captioner:
    """A bundled captioner, ready to run; raises as `load_tagger`."""
    spec, folder = read_spec("captioner", name)
    network = build(spec, folder)
    assert isinstance(network, Tag2Text)
    assert spec.vocabulary is not None
    assert spec.tokenizer is not None
    vocabulary = load_vocabulary(folder / spec.vocabulary)
    tokenizer = WordPiece.load(folder / spec.tokenizer)
    eyes = eyes_of(network, spec, folder, device)
    return Captioner(network, eyes, spec, vocabulary, tokenizer, _version(spec, folder), device)


def load_embedder(name: str = "small", device: str = "cpu") -> Embedder:
    """A bundled embedder, or an OpenCLIP one as "<model>/<pretrained>"; raises as `load_tagger`."""
    if "/" in name:
        return _load_open_clip(name, device)
    if name not in known_models("embedder"):
        known = ", ".join(known_models("embedder"))
        raise UnknownModel(
            f'No embedder is called {name!r}. Known: {known}, or "<OpenCLIP model>/<pretrained>".'
        )
    spec, folder = read_spec("embedder", name)
    network = build(spec, folder)
    assert isinstance(network, DualEncoder)
    assert spec.tokenizer is not None
    eyes = eyes_of(network, spec, folder, device)
    towers = SmallTowers(network, eyes, WordPiece.load(folder / spec.tokenizer), device)
    identity = ModelIdentity("embedder", spec.name, _version(spec, folder))
    return Embedder(towers, identity, spec.input, network.config.dimension)


def _load_open_clip(name: str, device: str) -> Embedder:
    """`pretrained` is one of OpenCLIP's tags (its library fetches the weights) or the path of a weights file."""
    import open_clip

    architecture, pretrained = name.split("/", 1)
    is_file = Path(pretrained).is_file()
    if architecture not in open_clip.list_models() or not (
        is_file or pretrained in open_clip.list_pretrained_tags_by_model(architecture)
    ):
        raise UnknownModel(
            f"OpenCLIP has no {name!r}: `open_clip.list_pretrained()` lists every model and tag"
        )
    model, _, _ = open_clip.create_model_and_transforms(architecture, pretrained=pretrained)
    visual = model.visual
    size = visual.image_size[0] if isinstance(visual.image_size, tuple) else visual.image_size
    network = OpenClip(model.eval(), open_clip.get_tokenizer(architecture))
    towers = OpenClipTowers(network, visual.image_mean, visual.image_std, device)
    version = weights_version((Path(pretrained),)) if is_file else _state_version(model)
    dimension = int(open_clip.get_model_config(architecture)["embed_dim"])
    identity = ModelIdentity("embedder", name, version)
    return Embedder(towers, identity, InputSpec(size, "crop", "bicubic"), dimension)


def _state_version(module: nn.Module) -> str:
    """A version for weights that came without a file of ours: SHA-256 over their bytes, in key order."""
    import hashlib

    digest = hashlib.sha256()
    for key, value in sorted(module.state_dict().items()):
        digest.update(key.encode())
        digest.update(value.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:12]
