"""From pixels to image tokens: normalisation and the backbone, shared by the predictors that use the same one."""

import threading
from collections.abc import Sequence
from weakref import WeakValueDictionary

import numpy as np
import torch
from torch import Tensor, nn

from indexer.checkpoints import ModelSpec
from indexer.errors import ConfigurationError
from indexer.images import InputSpec
from indexer.stage_clock import stage

CPU_PIXELS = 2 * 384 * 384  # measured: two images of the published models; more leave the cache


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

    The last batch's tokens are kept for each thread, so three predictors that are given the very same array (not an
    equal one; arrays must not be written to between calls) cost one pass of the backbone.
    """

    def __init__(self, backbone: nn.Module, normalise: Normaliser) -> None:
        self.backbone = backbone
        self._normalise = normalise
        self._kept = threading.local()

    def tokens(self, pixels: np.ndarray) -> Tensor:
        """(B, S, S, 3) uint8 -> (B, 1 + L, width), the mean token first."""
        last: tuple[np.ndarray, Tensor] | None = getattr(self._kept, "last", None)
        if last is None or last[0] is not pixels:
            with stage("backbone"):
                last = (pixels, torch.cat([self._read(part) for part in self._parts(pixels)]))
            self._kept.last = last
        return last[1]

    def _parts(self, pixels: np.ndarray) -> list[np.ndarray]:
        """On a processor a few images at a time, whose activations stay in its cache; else all together."""
        fitting = max(CPU_PIXELS // (pixels.shape[1] * pixels.shape[2]), 1)
        size = fitting if self._normalise.mean.device.type == "cpu" else len(pixels)
        return [pixels[start : start + size] for start in range(0, len(pixels), max(size, 1))]

    def _read(self, pixels: np.ndarray) -> Tensor:
        tokens: Tensor = self.backbone(self._normalise(pixels))
        return tokens


_eyes: WeakValueDictionary[tuple[object, ...], Eyes] = WeakValueDictionary()


def eyes_of(network: nn.Module, spec: ModelSpec, weights: str, device: str, precision: str) -> Eyes:
    """The eyes of a network with a `visual_encoder`; the same for all whose first weights file is `weights`."""
    key = (weights, device, precision, spec.mean, spec.std)
    eyes = _eyes.get(key)
    if eyes is None:
        normalise = Normaliser(spec.mean, spec.std).to(device)
        _eyes[key] = eyes = Eyes(network.get_submodule("visual_encoder"), normalise)
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
