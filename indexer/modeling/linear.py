"""Linear layers that can be made ready for inference in float32 or bfloat16.

On a processor the weights are packed for oneDNN: kept in the order its kernels read, with GELU fused into the product
and bfloat16 where the processor has it. That pays in float32 as well, where it is exact: the same products, summed in
another order.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_ROWS = 4096  # the number of rows the packed layout is chosen for; any other number works
_CAN_PACK = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


class Linear(nn.Linear):
    """`nn.Linear` with an optional GELU behind it, convertible for inference."""

    _dtype: torch.dtype | None = None
    _packed: Tensor | None = None
    _packed_bias: Tensor | None = None

    def convert(self, dtype: torch.dtype) -> None:
        """Multiply in `dtype` from now on; packed on a processor. It can neither be trained nor saved then."""
        if self._dtype is not None:
            return
        self._dtype = dtype
        weight, bias = self.weight.detach(), self.bias.detach() if self.bias is not None else None
        if weight.device.type != "cpu" or not _CAN_PACK:
            self.to(dtype)
            return
        self._packed = torch.ops.mkldnn._reorder_linear_weight(weight.to(dtype), _ROWS)
        self._packed_bias = bias.to(dtype) if bias is not None else None
        self.register_parameter("weight", None)
        self.register_parameter("bias", None)

    def forward(self, features: Tensor, activation: Literal["none", "gelu"] = "none") -> Tensor:
        """(..., in) -> (..., out) in this layer's own type, through exact GELU where asked."""
        if self._dtype is not None:
            features = features.to(self._dtype)
        if self._packed is None:
            out = F.linear(features, self.weight, self.bias)
            return F.gelu(out) if activation == "gelu" else out
        algorithm = "none" if activation == "gelu" else ""  # GELU's: "none" is the exact one, by erf
        answer: Tensor = torch.ops.mkldnn._linear_pointwise(
            features, self._packed, self._packed_bias, activation, [], algorithm
        )
        return answer
