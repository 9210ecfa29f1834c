"""The frozen backbone's tokens of a few views of every photo, so that heads train in minutes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from indexer.modeling.swin import SwinBackbone
from indexer.training.data import PIXELS
from indexer.training.distill import BACKBONE, normalise
from indexer.training.views import ViewPlan, render

BATCH = 64


@dataclass(frozen=True)
class Features:
    """`tokens` is (views, photos, 1 + L, width) float16; view 0 is the untouched photo."""

    tokens: np.ndarray

    def pick(self, photos: np.ndarray, rng: np.random.Generator) -> Tensor:
        """(B, 1 + L, width) float32 of these photos, a random view each."""
        views = rng.integers(len(self.tokens), size=len(photos))
        return torch.from_numpy(self.tokens[views, photos]).float()

    def plain(self, photos: np.ndarray) -> Tensor:
        """(B, 1 + L, width) float32 of the untouched photos."""
        return torch.from_numpy(self.tokens[0, photos]).float()


def frozen_backbone(weights: Mapping[str, Tensor]) -> SwinBackbone:
    """The trained backbone as it is exported: float16-rounded weights, evaluation mode."""
    backbone = SwinBackbone(BACKBONE)
    rounded = {k: v.half().float() if v.is_floating_point() else v for k, v in weights.items()}
    backbone.load_state_dict(rounded)
    return backbone.eval()


@torch.inference_mode()
def backbone_tokens(backbone: SwinBackbone, pixels: np.ndarray) -> np.ndarray:
    """(B, 192, 192, 3) uint8 -> (B, 1 + L, width) float16."""
    with torch.autocast("cpu", torch.bfloat16):
        tokens = backbone(normalise(torch.from_numpy(pixels)))
    return tokens.float().numpy().astype(np.float16)


def cache_features(
    backbone: SwinBackbone,
    pixels: np.ndarray,
    plan: ViewPlan,
    views: int,
    file: Path,
    report: Callable[[str], None],
) -> Features:
    """Compute (or find) the tokens of the first `views` views of every photo."""
    if not file.exists():
        shape = (views, len(pixels), 1 + BACKBONE.grid**2, BACKBONE.width)
        partial = file.with_suffix(".partial.npy")
        tokens = np.lib.format.open_memmap(partial, mode="w+", dtype=np.float16, shape=shape)
        for view in range(views):
            for start in range(0, len(pixels), BATCH):
                rows = range(start, min(start + BATCH, len(pixels)))
                batch = np.stack([render(pixels, row, view, plan, PIXELS) for row in rows])
                tokens[view, start : start + BATCH] = backbone_tokens(backbone, batch)
            report(f"features: view {view + 1} of {views}")
        tokens.flush()
        partial.rename(file)
    return Features(np.load(file, mmap_mode="r"))
