"""Linear layers before and after they are made ready."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from indexer.modeling.linear import Linear


@pytest.mark.parametrize("rows", [1, 3, 500])
@pytest.mark.parametrize("bias", [True, False])
def test_packed_float32_is_the_same_layer(rows: int, bias: bool) -> None:
    """Any number of rows, with and without bias, with and without GELU."""
    torch.manual_seed(0)
    layer, features = Linear(48, 96, bias=bias), torch.randn(2, rows, 48)
    plain, curved = layer(features), layer(features, "gelu")
    assert torch.equal(plain, nn.Linear.forward(layer, features))
    assert torch.equal(curved, F.gelu(plain))
    layer.convert(torch.float32)
    with torch.inference_mode():
        assert torch.allclose(layer(features), plain, atol=1e-5)
        assert torch.allclose(layer(features, "gelu"), curved, atol=1e-5)


def test_bfloat16_answers_in_its_own_type() -> None:
    """Near the float32 answer, whatever type the features come in."""
    torch.manual_seed(0)
    layer, features = Linear(256, 32), torch.randn(5, 256)
    expected = layer(features).detach()
    layer.convert(torch.bfloat16)
    with torch.inference_mode():
        for given in (features, features.bfloat16()):
            answer = layer(given)
            assert answer.dtype == torch.bfloat16
            assert (answer.float() - expected).abs().max() < 0.02


def test_converting_again_changes_nothing() -> None:
    """The first conversion holds: a layer that several networks share is converted once."""
    layer, features = Linear(16, 16), torch.randn(2, 16)
    layer.convert(torch.float32)
    with torch.inference_mode():
        before = layer(features)
        layer.convert(torch.bfloat16)
        assert torch.equal(layer(features), before)
