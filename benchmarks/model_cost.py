"""What a model has to compute, counted from its configuration, and what this machine can compute, measured."""

import time
from dataclasses import dataclass

import torch

from indexer.modeling.bert import BertConfig
from indexer.modeling.ram import RamConfig
from indexer.modeling.swin import SwinConfig
from indexer.modeling.tag2text import Tag2TextConfig

GEMM_SIDE = {"cpu": 2048, "cuda": 8192}
GEMM_REPEATS = 12


@dataclass(frozen=True)
class Cost:
    """Floating point operations (a multiplication and its addition are two) of one image, by part.

    `tagger` is as published, from the backbone's tokens to logits; `own_tagger` is the same answer as computed here.
    """

    backbone: int
    tagger: int
    own_tagger: int
    tag_encoder: int = 0
    decoder_token: int = 0


def linear(rows: int, width: int, out: int) -> int:
    """(rows, width) times (width, out)."""
    return 2 * rows * width * out


def attention(queries: int, keys: int, width: int) -> int:
    """Scores and the weighted sum."""
    return 2 * linear(queries, width, keys)


def swin(config: SwinConfig) -> int:
    """The backbone of one image."""
    side, width, window = config.image_size // config.patch_size, config.embed_dim, config.window_size**2
    total = linear(side * side, 3 * config.patch_size**2, width)
    for stage, depth in enumerate(config.depths):
        if stage:
            side, width = side // 2, width * 2
            total += linear(side * side, 2 * width, width)
        tokens = side * side
        block = linear(tokens, width, 4 * width) + attention(tokens, window, width)
        total += depth * (block + 2 * linear(tokens, width, 4 * width))
    return total


def bert(config: BertConfig, rows: int, context_rows: int) -> int:
    """A stack over `rows` tokens that reads `context_rows` others, whose keys and values are computed here."""
    hidden = config.hidden
    layer = 2 * linear(rows, hidden, config.intermediate)
    if config.self_attention:
        layer += 4 * linear(rows, hidden, hidden) + attention(rows, rows, hidden)
    if config.context:
        layer += 2 * linear(rows, hidden, hidden) + attention(rows, context_rows, hidden)
        layer += 2 * linear(context_rows, config.context, hidden)
    return config.layers * layer


def absorbed_head(config: BertConfig, rows: int, context_rows: int) -> int:
    """The tag decoder of `indexer.modeling.tag_decoder`: query and output projections act on the image's tokens."""
    hidden, per_head = config.hidden, context_rows * config.heads
    layer = 2 * linear(rows, hidden, per_head) + 2 * linear(rows, hidden, config.intermediate)
    layer += 2 * linear(context_rows, config.context, hidden) + 2 * linear(context_rows, hidden, hidden)
    return config.layers * layer


def cost(config: RamConfig | Tag2TextConfig) -> Cost:
    """Count one image's work."""
    tokens, tags, hidden = config.swin.grid**2 + 1, config.tags, config.head.hidden
    tagger = bert(config.head, tags, tokens) + linear(tags, hidden, 1)
    own = absorbed_head(config.head, tags, tokens) + linear(tags, hidden, 1)
    if isinstance(config, Tag2TextConfig):
        guide = bert(config.tag_encoder, config.tag_tokens, tokens)
        return Cost(swin(config.swin), tagger, own, guide, _decoder_token(config))
    projected = linear(tokens, config.swin.width, config.projection)
    labels = linear(tags, config.label_width, hidden)
    weighed = own_weighed = 0
    if config.descriptions > 1:  # similarity, then the weighted sum, of every tag's descriptions
        rows = tags * config.descriptions
        weighed = 2 * linear(rows, config.label_width, 1)
        own_weighed = linear(rows, config.label_width, 1) + linear(rows, hidden, 1)
    return Cost(swin(config.swin), tagger + projected + labels + weighed, own + projected + own_weighed)


def _decoder_token(config: Tag2TextConfig) -> int:
    """One more token of one beam: keys and values of what was there before are kept."""
    decoder = config.decoder
    kept = decoder.layers * 2 * linear(config.tag_tokens, decoder.context, decoder.hidden)
    stack = bert(decoder, 1, config.tag_tokens) - kept
    return stack + linear(1, decoder.hidden, decoder.hidden + decoder.vocabulary)


def gemm_peaks(device: str) -> dict[str, float]:
    """Best FLOP/s of one large matrix product, by type; float32 by the faster of the libraries torch can use."""
    kind = device.split(":", 1)[0]
    side = GEMM_SIDE.get(kind, 2048)
    peaks = {"float32": max(_gemm(device, side, torch.float32, how) for how in ("highest", "medium"))}
    if kind == "cuda":  # "medium" would mean TF32 there, which is not exact
        peaks["float32"] = _gemm(device, side, torch.float32, "highest")
        peaks["tf32"] = _gemm(device, side, torch.float32, "high")
        peaks["float16"] = _gemm(device, side, torch.float16, "highest")
    peaks["bfloat16"] = _gemm(device, side, torch.bfloat16, "highest")
    return peaks


@torch.inference_mode()
def _gemm(device: str, side: int, dtype: torch.dtype, precision: str) -> float:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    left = torch.randn(side, side, device=device).to(dtype)
    right = torch.randn(side, side, device=device).to(dtype)
    best = float("inf")
    for _ in range(GEMM_REPEATS):
        started = time.perf_counter()
        torch.nn.functional.linear(left, right)
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - started)
    torch.set_float32_matmul_precision(before)
    return 2 * side**3 / best
