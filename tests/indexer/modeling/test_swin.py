"""Our Swin against timm's, weight for weight."""

import pytest
import torch
from timm.models.swin_transformer import SwinTransformer

from indexer.modeling.inference import prepare
from indexer.modeling.swin import SwinBackbone, SwinConfig, window_order

SHAPES = [
    SwinConfig(64, 4, 16, (2, 2), (2, 4), 4),
    SwinConfig(96, 4, 8, (2, 2, 2), (2, 4, 4), 6),
    SwinConfig(64, 4, 8, (2, 3, 2), (2, 2, 4), 4),
]


@pytest.mark.parametrize("config", SHAPES, ids=str)
def test_same_tokens_as_timm(config: SwinConfig) -> None:
    """The same names, the same numbers: shifted windows, masks and windows larger than the map included."""
    torch.manual_seed(0)
    ours = SwinBackbone(config).eval()
    theirs = SwinTransformer(
        img_size=config.image_size,
        patch_size=config.patch_size,
        embed_dim=config.embed_dim,
        depths=config.depths,
        num_heads=config.num_heads,
        window_size=config.window_size,
        num_classes=0,
    ).eval()
    for parameter in ours.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    theirs.load_state_dict(ours.state_dict(), strict=True)
    pixels = torch.randn(2, 3, config.image_size, config.image_size)
    with torch.inference_mode():
        expected = theirs.forward_features(pixels).flatten(1, 2)
        tokens = ours(pixels)
    scale = expected.std()
    assert tokens.shape == (2, 1 + config.grid**2, config.width)
    assert torch.allclose(tokens[:, 1:] / scale, expected / scale, atol=1e-5)
    assert torch.allclose(tokens[:, 0], tokens[:, 1:].mean(1), atol=1e-6)


def test_window_order_cuts_the_rolled_map() -> None:
    """Each token once; windows row-major, tokens row-major in each, the map rolled first."""
    tokens = torch.arange(36).view(6, 6)
    plain = window_order(6, 3, 0).view(4, 3, 3)
    assert torch.equal(plain[1], tokens[:3, 3:])
    assert torch.equal(window_order(6, 3, 1).view(4, 3, 3)[0], tokens[1:4, 1:4])
    assert window_order(6, 3, 1).sort().values.tolist() == list(range(36))


def test_stochastic_depth_only_while_training() -> None:
    """Two passes agree in evaluation and differ in training."""
    network = SwinBackbone(SwinConfig(32, 4, 8, (2, 2), (2, 2), 4, drop_path=0.9))
    pixels = torch.randn(4, 3, 32, 32)
    assert not torch.equal(network.train()(pixels), network.train()(pixels))
    assert torch.equal(network.eval()(pixels), network.eval()(pixels))


def test_a_faster_type_leaves_the_first_stage_and_the_mergings_exact() -> None:
    """What goes into a merging, and what comes out of it, differs only by what the blocks before it made of it."""
    torch.manual_seed(0)
    pixels = torch.randn(2, 3, 96, 96)
    backbone = SwinBackbone(SHAPES[1]).eval()
    for parameter in backbone.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    merging = backbone.layers[2].downsample
    features = torch.randn(2, 12, 12, 16)
    with torch.inference_mode():
        before, merged = backbone.stages(pixels), merging(features)
        for _ in range(2):  # as for predictors that share a network
            prepare(backbone, "cpu", "bf16")
        now = backbone.stages(pixels)
        assert torch.allclose(now[0], before[0], atol=1e-4 * float(before[0].std()))
        assert torch.allclose(merging(features), merged, atol=1e-4 * float(merged.std()))
        assert not torch.allclose(now[1], before[1], atol=1e-4 * float(before[1].std()))
