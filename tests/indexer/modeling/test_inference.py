"""Networks made ready to answer give the answers they gave before."""

import pytest
import torch

from indexer.errors import ConfigurationError
from indexer.modeling.inference import checked_precision, prepare
from indexer.modeling.ram import Ram
from indexer.modeling.tag2text import Tag2Text
from tests.released import network


@pytest.fixture(scope="module")
def pixels() -> torch.Tensor:
    return torch.randn(3, 3, 384, 384, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("family", ["ram", "ram_plus"])
@pytest.mark.parametrize(("precision", "tolerance"), [("exact", 1e-5), ("bf16", 0.05)])
def test_ram_answers_as_before(family: str, precision: str, tolerance: float, pixels: torch.Tensor) -> None:
    """Absorbed attention, kept labels and packed layers change the order of sums, not the sums."""
    model = network(family)  # type: ignore[arg-type]
    assert isinstance(model, Ram)
    with torch.inference_mode():
        before = model(pixels)
        prepare(model, "cpu", checked_precision(precision))
        assert (model(pixels).float() - before).abs().max() < tolerance * max(1, float(before.std()))


def test_an_exact_head_is_kept_beside_the_faster_one(pixels: torch.Tensor) -> None:
    """Asked exactly, a bfloat16 network answers from its tokens as a float32 one would."""
    faster, plain = network("ram"), network("ram")
    assert isinstance(faster, Ram)
    assert isinstance(plain, Ram)
    prepare(faster, "cpu", "bf16")
    with torch.inference_mode():
        tokens = plain.image_tokens(pixels)
        assert torch.allclose(faster.logits(tokens, exact=True), plain.logits(tokens), atol=1e-5)
        assert not torch.allclose(faster.logits(tokens).float(), plain.logits(tokens), atol=1e-5)


@pytest.mark.parametrize(("precision", "tolerance"), [("exact", 1e-5), ("bf16", 0.05)])
def test_tag2text_reads_as_before(precision: str, tolerance: float, pixels: torch.Tensor) -> None:
    """Tags, encoded tag text, and the decoder's next words, with its weights shared between head and encoder."""
    model = network("tag2text")
    assert isinstance(model, Tag2Text)
    ids, mask = torch.tensor([[4, 5, 6, 0]] * 3), torch.tensor([[1, 1, 1, 0]] * 3)

    def answers() -> list[torch.Tensor]:
        tokens = model.visual_encoder(pixels)
        encoded = model.encode_tags(ids, mask, tokens)
        states = model.text_decoder.hidden(ids[:, :2], encoded)
        return [model.tag_logits(tokens), encoded, model.text_decoder.logits(states)]

    with torch.inference_mode():
        before = answers()
        prepare(model, "cpu", checked_precision(precision))
        for now, then in zip(answers(), before, strict=True):
            assert (now.float() - then).abs().max() < tolerance * max(1, float(then.std()))


def test_an_unknown_precision_is_refused_with_the_known_ones() -> None:
    """By name."""
    with pytest.raises(ConfigurationError, match=r"fp4.*exact, bf16"):
        checked_precision("fp4")
