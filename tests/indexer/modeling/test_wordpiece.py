"""The tokenizer's rules and the small vocabulary."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.modeling.wordpiece import WordPiece, build_tokens, split_words

WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "a",
    "dog",
    "##s",
    "un",
    "##aff",
    "##able",
    ",",
    "'",
    "|",
    "-",
    "犬",
]


@pytest.fixture(scope="module")
def tokenizer() -> WordPiece:
    return WordPiece(WORDS)


def test_appended_tokens(tokenizer: WordPiece) -> None:
    """[DEC] and [ENC] follow a vocabulary that lacks them, in this order."""
    assert (tokenizer.decode_begin, tokenizer.encode_begin) == (len(WORDS), len(WORDS) + 1)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("A dog", ["a", "dog"]),
        ("DOGS,dog", ["dog", "##s", ",", "dog"]),
        ("unaffable", ["un", "##aff", "##able"]),
        ("unaffible dog", ["[UNK]", "dog"]),
        ("dög", ["dog"]),
        ("犬犬", ["犬", "犬"]),
        ("a" * 101, ["[UNK]"]),
        ("", []),
    ],
)
def test_pieces(tokenizer: WordPiece, text: str, pieces: list[str]) -> None:
    """Lower case, no accents, greedy longest match; what cannot be spelled is one [UNK] a word."""
    assert [tokenizer.tokens[number] for number in tokenizer.encode(text)] == pieces


def test_padding_and_cutting(tokenizer: WordPiece) -> None:
    """Always the asked length, with the end token kept."""
    ids, mask = tokenizer.encode_padded("dog", 6, tokenizer.encode_begin)
    assert ids == [tokenizer.encode_begin, 5, tokenizer.end, 0, 0, 0]
    assert mask == [1, 1, 1, 0, 0, 0]
    ids, mask = tokenizer.encode_padded("dog " * 50, 6)
    assert len(ids) == 6
    assert ids[-1] == tokenizer.end


def test_decoding_joins_and_tidies(tokenizer: WordPiece) -> None:
    """Suffixes join their word, spaces before commas and around apostrophes go, special tokens too."""
    ids = [tokenizer.decode_begin, 5, 6, 10, 4, 5, 11, 6, tokenizer.end, tokenizer.pad]
    assert tokenizer.decode(ids) == "dogs, a dog's"


@given(st.text(max_size=60))
def test_any_text_encodes(text: str) -> None:
    """No text raises, and every id exists."""
    tokenizer = WordPiece(WORDS)
    assert all(0 <= number < len(tokenizer) for number in tokenizer.encode(text))


@given(st.text(alphabet="abcdefgh ,.-'", max_size=60))
def test_built_vocabulary_spells_its_texts(text: str) -> None:
    """A built vocabulary knows every word of its texts, frequent or not."""
    tokenizer = WordPiece(build_tokens([text], min_count=2, size=500))
    assert tokenizer.unknown not in tokenizer.encode(text)
    assert tokenizer.decode(tokenizer.encode(text)).replace(" ", "") == "".join(split_words(text))
