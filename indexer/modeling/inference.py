"""Making a trained network ready to answer: on its device, in its precision, with what no image changes computed once.

"exact" keeps float32 everywhere. "bf16" multiplies matrices in bfloat16 and keeps the rest (the residual stream,
normalisation, attention scores, logits) in float32, and so some products: see each `keep_exact`.
"""

from typing import Literal, Protocol, get_args, runtime_checkable

import torch
from torch import nn

from indexer.errors import ConfigurationError
from indexer.modeling.linear import Linear

Precision = Literal["exact", "bf16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
_TYPES = {"exact": torch.float32, "bf16": torch.bfloat16}


@runtime_checkable
class Freezable(Protocol):
    """A module that can compute something once and for all when its weights are final."""

    def freeze(self) -> None:
        """May be called again; only the first call has to do anything."""
        ...


@runtime_checkable
class ExactInPart(Protocol):
    """A module some of whose products stay in float32 when the others are made in a faster type."""

    def keep_exact(self) -> None:
        """Before conversion; may be called again."""
        ...


def checked_precision(name: str) -> Precision:
    """The precision of this name.

    Raises:
        ConfigurationError: listing the known ones.
    """
    for known in PRECISIONS:
        if name == known:
            return known
    raise ConfigurationError(f"No precision is called {name!r}. Known: {', '.join(PRECISIONS)}.")


def weight_count(network: nn.Module) -> int:
    """How many numbers the network's weights are, those of packed layers included."""
    layers = (module for module in network.modules() if isinstance(module, Linear))
    packed = sum(layer.in_features * layer.out_features for layer in layers if layer.weight is None)
    return packed + sum(weights.numel() for weights in network.parameters())


def prepare(network: nn.Module, device: str, precision: Precision = "exact") -> None:
    """Move the network to `device`, freeze it, convert its linear layers. It can neither be trained nor saved then."""
    network.requires_grad_(False).to(device)
    for module in list(network.modules()):
        if isinstance(module, ExactInPart) and precision != "exact":
            module.keep_exact()
        if isinstance(module, Freezable):
            module.freeze()
    for module in network.modules():
        if isinstance(module, Linear):
            module.convert(_TYPES[precision])
