"""Which words made the match."""

from collections.abc import Sequence

import numpy as np
import pytest

from indexer.predictors import Embedder, load_embedder
from indexer.search.word_parts import MOST_WORDS, word_parts


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    """The bundled one."""
    return load_embedder("small", "cpu")


def test_the_word_two_texts_share_counts_most(embedder: Embedder) -> None:
    """Leaving out "snow" takes a text farthest from another about snow."""
    about_snow = embedder.embed_texts(["deep snow on a mountain"])[0]
    parts = word_parts(embedder.embed_texts, "a brown dog in the snow", about_snow)
    assert [part.word for part in parts] == ["brown", "dog", "snow"]
    assert max(parts, key=lambda part: part.part).word == "snow"


def test_parts_are_what_the_cosine_loses(embedder: Embedder) -> None:
    """Each is the difference of two cosines, and stands where its word does."""
    other = embedder.embed_texts(["a child on a swing"])[0]
    text = "children playing"
    parts = word_parts(embedder.embed_texts, text, other)
    rows = embedder.embed_texts([text, "playing", "children"]) @ other
    assert [part.part for part in parts] == pytest.approx((rows[0] - rows[1:]).tolist(), abs=1e-5)
    assert [text[part.start : part.end] for part in parts] == ["children", "playing"]


def test_one_word_is_all_of_it(embedder: Embedder) -> None:
    """Nothing is left without it, so its part is the cosine."""
    other = embedder.embed_texts(["a wave"])[0]
    (part,) = word_parts(embedder.embed_texts, "surfer", other)
    assert part.part == pytest.approx(float(embedder.embed_texts(["surfer"])[0] @ other), abs=1e-5)


def test_long_texts_cost_no_more(embedder: Embedder) -> None:
    """At most so many words are asked about, and a text without any costs one embedding."""
    asked: list[int] = []

    def embed(texts: Sequence[str]) -> np.ndarray:
        asked.append(len(texts))
        return embedder.embed_texts(texts)

    other = embedder.embed_texts(["x"])[0]
    text = " ".join(f"word{n}" for n in range(40))
    assert len(word_parts(embed, text, other)) == MOST_WORDS
    assert word_parts(embed, "of the", other) == ()
    assert asked == [MOST_WORDS + 1, 1]
