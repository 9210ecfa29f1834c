"""Tags are answered the same however their attention is arranged and however images are put together."""

import pytest
import torch
from torch import Tensor

from indexer.modeling import tag_decoder
from indexer.modeling.bert import BertConfig
from indexer.modeling.tag_decoder import TagDecoder

IMAGES, TOKENS, HIDDEN = 5, 7, 64
CONFIG = BertConfig(
    hidden=HIDDEN, heads=4, intermediate=96, layers=2, context=48, self_attention=False, dropout=0.0
)


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
        for tags in (2, 10, 11, 50):  # 7 tokens x 64 products a token; 64 - 3 x 7 saved a tag
            decoder(torch.randn(tags, HIDDEN), image_tokens)
    assert absorbed == [11, 50]
