"""Tags are answered the same however attention is arranged and images are put together; hidden tokens are not there."""

import pytest
import torch
from torch import Tensor

from indexer.modeling import tag_decoder
from indexer.modeling.bert import BertConfig
from indexer.modeling.inference import Precision, prepare
from indexer.modeling.ram import Ram
from indexer.modeling.tag_decoder import TagDecoder
from tests import released

TOKENS = 10
IMAGES, HIDDEN = 5, 64
CONFIG = BertConfig(
    hidden=HIDDEN, heads=4, intermediate=96, layers=2, context=48, self_attention=False, dropout=0.0
)


def decoder_of(precision: Precision | None) -> TagDecoder:
    """A small one with random weights, as trained or made ready for inference."""
    network = released.network("ram")
    assert isinstance(network, Ram)
    if precision:
        prepare(network, "cpu", precision)
    return network.tagging_head


def plainly(decoder: TagDecoder, queries: Tensor, tokens: Tensor) -> Tensor:
    """Attention as it is written down, softmax(Q K) V, one layer after the other."""
    for layer in decoder.encoder.layers():
        own = layer.crossattention.self
        query, (key, value) = own.split(own.query(queries[None])), own.key_values(tokens)
        looks = (query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5).softmax(-1)
        attended = (looks @ value).transpose(1, 2).flatten(2)
        seen = layer.crossattention.output(attended, queries[None])
        queries = layer.output(layer.intermediate(seen), seen)[0]
    return queries


@pytest.mark.parametrize("precision", [None, "exact", "bf16"])
@torch.inference_mode()
def test_hidden_tokens_are_as_if_they_were_not_there(precision: Precision | None) -> None:
    """Each query answers as by plain attention to the tokens left to it, in float32 whatever the precision."""
    torch.manual_seed(3)
    queries, tokens = torch.randn(4, released.WIDTH), torch.randn(1, TOKENS, released.HEAD.context)
    hidden = torch.rand(4, TOKENS) < 0.4
    hidden[0] = False
    hidden[3] = True
    hidden[3, 6] = False
    found = decoder_of(precision).answers_without(queries, tokens, hidden)
    reference = decoder_of(None)
    expected = [plainly(reference, queries[n : n + 1], tokens[:, ~row])[0] for n, row in enumerate(hidden)]
    torch.testing.assert_close(found, torch.stack(expected), atol=1e-5, rtol=1e-4)


@torch.inference_mode()
def test_nothing_hidden_is_the_usual_answer() -> None:
    """The way that hides tokens and the fast way are one computation."""
    torch.manual_seed(4)
    decoder = decoder_of("exact")
    queries, tokens = torch.randn(5, released.WIDTH), torch.randn(1, TOKENS, released.HEAD.context)
    nothing = torch.zeros(5, TOKENS, dtype=torch.bool)
    torch.testing.assert_close(decoder.answers_without(queries, tokens, nothing), decoder(queries, tokens)[0])


@pytest.fixture(scope="module")
def image_tokens() -> Tensor:
    return torch.randn(IMAGES, TOKENS, CONFIG.context, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def decoder() -> TagDecoder:
    torch.manual_seed(2)
    return TagDecoder(CONFIG).eval()


@pytest.mark.parametrize("own", [False, True], ids=["shared queries", "queries of each image"])
@pytest.mark.parametrize("images_at_once", [1, 2, 8])
@pytest.mark.parametrize("tags", [2, 50])
def test_a_frozen_decoder_answers_as_before(
    tags: int,
    images_at_once: int,
    own: bool,
    decoder: TagDecoder,
    image_tokens: Tensor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Few tags and many, images one by one and together, with queries of their own and without."""
    monkeypatch.setattr(tag_decoder, "CPU_ANSWERS", images_at_once * tags * HIDDEN)
    queries = torch.randn(*((IMAGES,) if own else ()), tags, HIDDEN)
    with torch.inference_mode():
        before = decoder(queries, image_tokens)
        decoder.freeze()
        assert torch.allclose(decoder(queries, image_tokens), before, atol=1e-5)


def test_weights_are_multiplied_together_for_many_tags_only(
    decoder: TagDecoder, image_tokens: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where few ask, projecting them takes fewer products than projecting what they are answered from."""
    decoder.freeze()
    absorbed: list[int] = []
    answers = TagDecoder._answers

    def counted(self: TagDecoder, queries: Tensor, images: Tensor) -> Tensor:
        absorbed.append(queries.shape[-2])
        return answers(self, queries, images)

    monkeypatch.setattr(TagDecoder, "_answers", counted)
    with torch.inference_mode():
        for tags in (2, 18, 19, 50):  # 10 tokens x 64 products a token; 64 - 3 x 10 saved a tag
            decoder(torch.randn(tags, HIDDEN), image_tokens)
    assert absorbed == [19, 50]
