"""The image backbone of every model here: Swin Transformer ("Hierarchical Vision Transformer using Shifted
Windows", Liu et al., ICCV 2021), with an optional convolutional stem in place of the patch embedding ("Early
Convolutions Help Transformers See Better", Xiao et al., NeurIPS 2021).

timm has the same network, under the same names, and the tests compare with it; but importing timm takes four
times as long as importing torch, on every search from the command line.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


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


class PatchEmbedding(nn.Module):
    """(B, 3, H, W) -> (B, H / patch, W / patch, C): one strided convolution and LayerNorm."""

    def __init__(self, patch_size: int, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch_size, patch_size)
        self.norm = nn.LayerNorm(width)

    def forward(self, pixels: Tensor) -> Tensor:
        """Channels last."""
        embedded: Tensor = self.norm(self.proj(pixels).permute(0, 2, 3, 1))
        return embedded


def windows_of(features: Tensor, size: int) -> Tensor:
    """(B, H, W, C) -> (B * windows, size * size, C), windows row-major."""
    batch, height, width, channels = features.shape
    cut = features.view(batch, height // size, size, width // size, size, channels)
    return cut.transpose(2, 3).reshape(-1, size * size, channels)


def joined(windows: Tensor, size: int, height: int, width: int) -> Tensor:
    """The inverse of `windows_of`: (B, H, W, C)."""
    channels = windows.shape[-1]
    cut = windows.view(-1, height // size, width // size, size, size, channels)
    return cut.transpose(2, 3).reshape(-1, height, width, channels)


def relative_positions(size: int) -> Tensor:
    """(size^2, size^2) numbers of the relative position of every pair of tokens in a window."""
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    places = torch.stack([rows.flatten(), columns.flatten()])
    offsets = places[:, :, None] - places[:, None, :] + size - 1
    return offsets[0] * (2 * size - 1) + offsets[1]


def shift_mask(side: int, window: int, shift: int) -> Tensor:
    """(windows, window^2, window^2): -100 between tokens that only shifting has put into one window."""
    strips = torch.zeros(side, dtype=torch.long)
    strips[side - window : side - shift], strips[side - shift :] = 1, 2
    regions = windows_of((strips[:, None] * 3 + strips[None])[None, :, :, None], window)[..., 0]
    return (regions[:, None, :] != regions[:, :, None]).float() * -100


class WindowAttention(nn.Module):
    """Self-attention inside windows of `size` x `size` tokens, with a learned bias a relative position."""

    relative_position_index: Tensor

    def __init__(self, width: int, heads: int, size: int) -> None:
        super().__init__()
        self.heads = heads
        self.relative_position_bias_table = nn.Parameter(torch.empty((2 * size - 1) ** 2, heads))
        self.register_buffer("relative_position_index", relative_positions(size), persistent=False)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def _bias(self, mask: Tensor | None, windows: int) -> Tensor:
        """(1 or B * windows, heads, L, L), in the table's type."""
        bias = self.relative_position_bias_table[self.relative_position_index].permute(2, 0, 1)[None]
        if mask is None:
            return bias
        return (bias + mask[:, None]).repeat(windows // len(mask), 1, 1, 1)

    def forward(self, windows: Tensor, mask: Tensor | None) -> Tensor:
        """(B * windows, L, C) -> the same; `mask` as from `shift_mask`."""
        count, length, width = windows.shape
        qkv = self.qkv(windows).view(count, length, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        bias = self._bias(mask, count).to(query.dtype)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        attended: Tensor = self.proj(mixed.transpose(1, 2).reshape(count, length, width))
        return attended


class Mlp(nn.Module):
    """Two layers with exact GELU between."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, features: Tensor) -> Tensor:
        """(..., C) -> (..., C)."""
        changed: Tensor = self.fc2(F.gelu(self.fc1(features)))
        return changed


class Block(nn.Module):
    """Window attention and MLP, pre-norm; every second block shifts its windows by half."""

    attn_mask: Tensor | None

    def __init__(self, width: int, heads: int, side: int, window: int, shifted: bool, drop: float) -> None:
        super().__init__()
        self.window = min(window, side)
        self.shift = self.window // 2 if shifted and side > window else 0
        self.drop = drop
        self.norm1 = nn.LayerNorm(width)
        self.attn = WindowAttention(width, heads, self.window)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = Mlp(width)
        mask = shift_mask(side, self.window, self.shift) if self.shift else None
        self.register_buffer("attn_mask", mask, persistent=False)

    def _attended(self, features: Tensor) -> Tensor:
        _, height, width, _ = features.shape
        shifted = features.roll((-self.shift, -self.shift), (1, 2)) if self.shift else features
        windows = self.attn(windows_of(shifted, self.window), self.attn_mask)
        merged = joined(windows, self.window, height, width)
        return merged.roll((self.shift, self.shift), (1, 2)) if self.shift else merged

    def _kept(self, update: Tensor) -> Tensor:
        """Stochastic depth ("Deep Networks with Stochastic Depth", Huang et al., 2016) while training."""
        if not self.training or self.drop == 0:
            return update
        alive = torch.rand(len(update), 1, 1, 1, device=update.device) >= self.drop
        return update * alive.to(update.dtype) / (1 - self.drop)

    def forward(self, features: Tensor) -> Tensor:
        """(B, H, W, C) -> the same."""
        features = features + self._kept(self._attended(self.norm1(features)))
        return features + self._kept(self.mlp(self.norm2(features)))


class PatchMerging(nn.Module):
    """(B, H, W, C) -> (B, H / 2, W / 2, 2C): four neighbours become one."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * width)
        self.reduction = nn.Linear(4 * width, 2 * width, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """Neighbours in the order (even row, even column), (odd, even), (even, odd), (odd, odd)."""
        batch, height, width, channels = features.shape
        cut = features.view(batch, height // 2, 2, width // 2, 2, channels)
        merged: Tensor = self.reduction(self.norm(cut.permute(0, 1, 3, 4, 2, 5).flatten(3)))
        return merged


class Stage(nn.Module):
    """Blocks at one resolution, after halving it (but for the first stage)."""

    def __init__(self, config: SwinConfig, number: int, drops: Sequence[float]) -> None:
        super().__init__()
        width = config.embed_dim * 2**number
        side = config.image_size // config.patch_size // 2**number
        self.downsample = PatchMerging(width // 2) if number else nn.Identity()
        heads, window = config.num_heads[number], config.window_size
        self.blocks = nn.Sequential(
            *(Block(width, heads, side, window, index % 2 == 1, drop) for index, drop in enumerate(drops))
        )

    def forward(self, features: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H / 2, W / 2, 2C), or the same size in the first stage."""
        changed: Tensor = self.blocks(self.downsample(features))
        return changed


class SwinBackbone(nn.Module):
    """Pixels to tokens: normalised (B, 3, S, S) -> (B, 1 + grid * grid, width), the mean token first."""

    def __init__(self, config: SwinConfig) -> None:
        super().__init__()
        self.config = config
        self.patch_embed: nn.Module = PatchEmbedding(config.patch_size, config.embed_dim)
        drops = torch.linspace(0, config.drop_path, sum(config.depths)).split(list(config.depths))
        self.layers = nn.Sequential(
            *(Stage(config, number, part.tolist()) for number, part in enumerate(drops))
        )
        self.norm = nn.LayerNorm(config.width)
        self.apply(_initialise)
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


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, WindowAttention):
        nn.init.trunc_normal_(module.relative_position_bias_table, std=0.02)
