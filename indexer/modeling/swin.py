"""The image backbone of every model here: Swin Transformer ("Hierarchical Vision Transformer using Shifted
Windows", Liu et al., ICCV 2021), by timm, with an optional convolutional stem in place of the patch embedding
("Early Convolutions Help Transformers See Better", Xiao et al., NeurIPS 2021).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from timm.models.swin_transformer import SwinTransformer
from torch import Tensor, nn


@dataclass(frozen=True)
class SwinConfig:
    """Shape of one backbone.

    `stem`, where given, is (width, stride) of successive 3x3 convolutions; the strides multiply to `patch_size`
    and the last width is `embed_dim`. Without it the patch embedding is one strided convolution and LayerNorm.
    """

    image_size: int
    patch_size: int
    embed_dim: int
    depths: tuple[int, ...]
    num_heads: tuple[int, ...]
    window_size: int
    stem: tuple[tuple[int, int], ...] = ()
    drop_path: float = 0.1

    @property
    def width(self) -> int:
        """Channels of every output token."""
        return int(self.embed_dim * 2 ** (len(self.depths) - 1))

    @property
    def grid(self) -> int:
        """Output tokens along one side."""
        return int(self.image_size // (self.patch_size * 2 ** (len(self.depths) - 1)))


class ConvStem(nn.Sequential):
    """(B, 3, H, W) -> (B, H / stride, W / stride, C): convolutions, batch norm and ReLU."""

    def __init__(self, layers: Sequence[tuple[int, int]]) -> None:
        modules: list[nn.Module] = []
        channels = 3
        for width, stride in layers:
            modules += [
                nn.Conv2d(channels, width, 3, stride, 1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
            ]
            channels = width
        super().__init__(*modules)

    def forward(self, pixels: Tensor) -> Tensor:
        """Channels-last throughout, which is what CPU convolutions and the Swin blocks both want."""
        features: Tensor = super().forward(pixels.contiguous(memory_format=torch.channels_last))
        return features.permute(0, 2, 3, 1)


class SwinBackbone(SwinTransformer):
    """Pixels to tokens: normalised (B, 3, S, S) -> (B, 1 + grid * grid, width), the mean token first."""

    def __init__(self, config: SwinConfig) -> None:
        super().__init__(
            img_size=config.image_size,
            patch_size=config.patch_size,
            embed_dim=config.embed_dim,
            depths=config.depths,
            num_heads=config.num_heads,
            window_size=config.window_size,
            drop_path_rate=config.drop_path,
            num_classes=0,
        )
        self.config = config
        if config.stem:
            self.patch_embed = ConvStem(config.stem).to(memory_format=torch.channels_last)

    def stages(self, pixels: Tensor) -> list[Tensor]:
        """The (B, side, side, C) map after every stage, the last one normalised."""
        maps, features = [], self.patch_embed(pixels)
        for stage in self.layers:
            features = stage(features)
            maps.append(features)
        maps[-1] = self.norm(maps[-1])
        return maps

    def forward(self, pixels: Tensor) -> Tensor:
        """Tokens in row-major order behind their mean."""
        tokens = self.stages(pixels)[-1].flatten(1, 2)
        return torch.cat([tokens.mean(1, keepdim=True), tokens], dim=1)
