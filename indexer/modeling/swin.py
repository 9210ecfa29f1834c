"""The image backbone of every model here: Swin Transformer ("Hierarchical Vision Transformer using Shifted
Windows", Liu et al., ICCV 2021), with an optional convolutional stem in place of the patch embedding ("Early
Convolutions Help Transformers See Better", Xiao et al., NeurIPS 2021).

timm has the same network, under the same names, and the tests compare with it; but importing timm takes four
times as long as importing torch, on every search from the command line.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from indexer.modeling.linear import Linear


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

    def freeze(self) -> None:
        """Weights as they are read, for inference: loading may have laid them out otherwise."""
        self.to(memory_format=torch.channels_last)

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


def window_order(side: int, window: int, shift: int) -> Tensor:
    """(side^2,) row-major numbers of the tokens of a side x side map, rolled up and left by `shift`, in the order
    of its windows, and of the tokens in each.
    """
    numbers = torch.arange(side * side, device="cpu").view(side, side).roll((-shift, -shift), (0, 1))
    cut = numbers.view(side // window, window, side // window, window)
    return cut.transpose(1, 2).flatten()


def relative_positions(size: int) -> Tensor:
    """(size^2, size^2) numbers of the relative position of every pair of tokens in a window."""
    along = torch.arange(size, device="cpu")  # real numbers even in a skeleton on the meta device
    rows, columns = torch.meshgrid(along, along, indexing="ij")
    places = torch.stack([rows.flatten(), columns.flatten()])
    offsets = places[:, :, None] - places[:, None, :] + size - 1
    return offsets[0] * (2 * size - 1) + offsets[1]


def shift_mask(side: int, window: int, shift: int) -> Tensor:
    """(windows, window^2, window^2): -100 between tokens that only shifting has put into one window."""
    strips = torch.zeros(side, dtype=torch.long, device="cpu")
    strips[side - window : side - shift], strips[side - shift :] = 1, 2
    regions = (strips[:, None] * 3 + strips[None]).flatten()[window_order(side, window, 0)]
    regions = regions.view(-1, window * window)
    return (regions[:, None, :] != regions[:, :, None]).float() * -100


def attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
    """Attention of (B * windows, heads, L, d) under (1 or windows, heads, L, L) added to the scores.

    Image by image where the windows differ: repeating their biases for a batch would take more memory than all
    else together.
    """
    if len(bias) == 1:
        return F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
    images = zip(query.split(len(bias)), key.split(len(bias)), value.split(len(bias)), strict=True)
    return torch.cat([F.scaled_dot_product_attention(*image, attn_mask=bias) for image in images])


class WindowAttention(nn.Module):
    """Self-attention inside windows of `size` x `size` tokens, with a learned bias a relative position.

    `mask`, where given, is (windows, size^2, size^2) as from `shift_mask`.
    """

    relative_position_index: Tensor
    mask: Tensor | None
    _frozen_bias: Tensor | None = None

    def __init__(self, width: int, heads: int, size: int, mask: Tensor | None) -> None:
        super().__init__()
        self.heads = heads
        self.relative_position_bias_table = nn.Parameter(torch.empty((2 * size - 1) ** 2, heads))
        self.register_buffer("relative_position_index", relative_positions(size), persistent=False)
        self.register_buffer("mask", mask, persistent=False)
        self.qkv = Linear(width, 3 * width)
        self.proj = Linear(width, width)

    def bias(self) -> Tensor:
        """(1 or windows, heads, L, L), added to the scores."""
        bias = self.relative_position_bias_table[self.relative_position_index].permute(2, 0, 1)[None]
        return bias if self.mask is None else bias + self.mask[:, None]

    def freeze(self) -> None:
        """Compute the bias once, for inference."""
        self._frozen_bias = self.bias().detach().contiguous()  # attention copies any other layout

    def forward(self, windows: Tensor) -> Tensor:
        """(B * windows, L, C) -> the same. Scores are float32, whatever the products are."""
        bias = self.bias() if self._frozen_bias is None else self._frozen_bias
        count, length, width = windows.shape
        qkv = self.qkv(windows).view(count, length, 3, self.heads, width // self.heads)
        query, key, value = qkv.to(bias.dtype).permute(2, 0, 3, 1, 4)
        mixed = attend(query, key, value, bias)
        attended: Tensor = self.proj(mixed.transpose(1, 2).reshape(count, length, width))
        return attended


class Mlp(nn.Module):
    """Two layers with exact GELU between."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = Linear(width, 4 * width)
        self.fc2 = Linear(4 * width, width)

    def forward(self, features: Tensor) -> Tensor:
        """(..., C) -> (..., C)."""
        changed: Tensor = self.fc2(self.fc1(features, "gelu"))
        return changed


class Block(nn.Module):
    """Window attention and MLP, pre-norm; every second block shifts its windows by half."""

    def __init__(self, width: int, heads: int, side: int, window: int, shifted: bool, drop: float) -> None:
        super().__init__()
        window = min(window, side)
        shift = window // 2 if shifted and side > window else 0
        self.drop = drop
        self.order = window_order(side, window, shift)
        self.length = window * window
        self.norm1 = nn.LayerNorm(width)
        self.attn = WindowAttention(width, heads, window, shift_mask(side, window, shift) if shift else None)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = Mlp(width)

    def _kept(self, update: Tensor) -> Tensor:
        """Stochastic depth ("Deep Networks with Stochastic Depth", Huang et al., 2016) while training."""
        if not self.training or self.drop == 0:
            return update
        alive = torch.rand(len(update), 1, 1, device=update.device) >= self.drop
        return update * alive.to(update.dtype) / (1 - self.drop)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, N, C) tokens in this block's window order -> the same."""
        windows = self.norm1(tokens).view(-1, self.length, tokens.shape[-1])
        tokens = tokens + self._kept(self.attn(windows).view(tokens.shape))
        return tokens + self._kept(self.mlp(self.norm2(tokens)))


class PatchMerging(nn.Module):
    """(B, H, W, C) -> (B, H / 2, W / 2, 2C): four neighbours become one."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * width)
        self.reduction = Linear(4 * width, 2 * width, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """Neighbours in the order (even row, even column), (odd, even), (even, odd), (odd, odd)."""
        batch, height, width, channels = features.shape
        cut = features.view(batch, height // 2, 2, width // 2, 2, channels)
        merged: Tensor = self.reduction(self.norm(cut.permute(0, 1, 3, 4, 2, 5).flatten(3))).to(
            features.dtype
        )
        return merged


class Stage(nn.Module):
    """Blocks at one resolution, after halving it (but for the first stage).

    Tokens stay in window order from block to block, so that moving them costs one gather a block, not four copies.
    """

    moves: Tensor

    def __init__(self, config: SwinConfig, number: int, drops: Sequence[float]) -> None:
        super().__init__()
        width = config.embed_dim * 2**number
        side = config.image_size // config.patch_size // 2**number
        self.downsample = PatchMerging(width // 2) if number else nn.Identity()
        heads, window = config.num_heads[number], config.window_size
        self.blocks = nn.Sequential(
            *(Block(width, heads, side, window, index % 2 == 1, drop) for index, drop in enumerate(drops))
        )
        self.register_buffer("moves", _moves([block.order for block in self._blocks()]), persistent=False)

    def _blocks(self) -> list[Block]:
        return [block for block in self.blocks if isinstance(block, Block)]

    def forward(self, features: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H / 2, W / 2, 2C), or the same size in the first stage."""
        features = self.downsample(features)
        tokens = features.flatten(1, 2)
        for move, block in zip(self.moves, self._blocks(), strict=False):
            tokens = block(_moved(tokens, move))
        return _moved(tokens, self.moves[-1]).view(features.shape)


def _moves(orders: Sequence[Tensor]) -> Tensor:
    """(blocks + 1, N): how to gather tokens from row-major into the first block's order, from each block's order
    into the next one's, and from the last back to row-major.
    """
    rows = torch.arange(len(orders[0]), device="cpu")
    path = [rows, *orders, rows]
    return torch.stack([before.argsort()[after] for before, after in pairwise(path)])


def _moved(tokens: Tensor, move: Tensor) -> Tensor:
    """(B, N, C) tokens gathered along N; one gather of rows over the whole batch is the fastest there is."""
    batch, count, width = tokens.shape
    rows = (torch.arange(batch, device=move.device)[:, None] * count + move).flatten()
    return tokens.reshape(-1, width).index_select(0, rows).view(batch, count, width)


class SwinBackbone(nn.Module):
    """Pixels to tokens: normalised (B, 3, S, S) -> (B, 1 + grid * grid, width), the mean token first."""

    def __init__(self, config: SwinConfig) -> None:
        super().__init__()
        self.config = config
        self.patch_embed: nn.Module = PatchEmbedding(config.patch_size, config.embed_dim)
        self.layers = nn.Sequential(
            *(Stage(config, number, drops) for number, drops in enumerate(_drop_rates(config)))
        )
        self.norm = nn.LayerNorm(config.width)
        self.apply(_initialise)
        if config.stem:
            self.patch_embed = ConvStem(config.stem).to(memory_format=torch.channels_last)

    def keep_exact(self) -> None:
        """On a processor, before conversion to a faster type: the first stage and the mergings stay in float32.

        What a merging reads and writes is the residual stream itself, and what the first stage gets wrong is carried
        through all others. That is a tenth of its products; the error of Tag2Text's logits gets a quarter smaller.
        """
        if self.norm.weight.device.type != "cpu":
            return
        merging = [module for module in self.layers.modules() if isinstance(module, PatchMerging)]
        for layer in (layer for part in (self.layers[0], *merging) for layer in part.modules()):
            if isinstance(layer, Linear):
                layer.convert(torch.float32)

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


def _drop_rates(config: SwinConfig) -> list[list[float]]:
    """Stochastic depth of every block of every stage: from 0 in the first to `drop_path` in the last."""
    total, rates = sum(config.depths), []
    for number, depth in enumerate(config.depths):
        first = sum(config.depths[:number])
        rates.append([config.drop_path * (first + block) / max(total - 1, 1) for block in range(depth)])
    return rates


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, WindowAttention):
        nn.init.trunc_normal_(module.relative_position_bias_table, std=0.02)
