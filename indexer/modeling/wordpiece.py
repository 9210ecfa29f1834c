"""BERT's uncased WordPiece tokenizer, for any vocabulary of one token a line (line number = id)."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

LONGEST_WORD = 100
_CJK = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)
_CLEAN_UP = (
    (" .", "."),
    (" ?", "?"),
    (" !", "!"),
    (" ,", ","),
    (" ' ", "'"),
    (" n't", "n't"),
    (" 'm", "'m"),
    (" 's", "'s"),
    (" 've", "'ve"),
    (" 're", "'re"),
)


def _is_cjk(char: str) -> bool:
    return any(first <= ord(char) <= last for first, last in _CJK)


def _is_punctuation(char: str) -> bool:
    symbol = (
        33 <= ord(char) <= 47 or 58 <= ord(char) <= 64 or 91 <= ord(char) <= 96 or 123 <= ord(char) <= 126
    )
    return symbol or unicodedata.category(char).startswith("P")


def _is_dropped(char: str) -> bool:
    if char in "\t\n\r":
        return False
    return char in "\x00\ufffd" or unicodedata.category(char) in ("Cc", "Cf")


def split_words(text: str) -> list[str]:
    """Lower-case, without accents; every punctuation and CJK character is a word of its own."""
    text = "".join(char for char in text if not _is_dropped(char))
    text = unicodedata.normalize("NFD", text.lower())
    kept = (char for char in text if unicodedata.category(char) != "Mn")
    return "".join(f" {c} " if _is_cjk(c) or _is_punctuation(c) else c for c in kept).split()


class WordPiece:
    """Text to token ids and back.

    `[DEC]` and `[ENC]`, which begin a caption and a tag list in Tag2Text, are appended where the vocabulary lacks
    them, as its authors did.
    """

    def __init__(self, tokens: Sequence[str]) -> None:
        self.tokens = list(tokens)
        self.tokens += [extra for extra in ("[DEC]", "[ENC]") if extra not in set(tokens)]
        self._ids = {token: number for number, token in enumerate(self.tokens)}
        self.pad, self.unknown = self._ids["[PAD]"], self._ids["[UNK]"]
        self.begin, self.end = self._ids["[CLS]"], self._ids["[SEP]"]
        self.decode_begin, self.encode_begin = self._ids["[DEC]"], self._ids["[ENC]"]
        self._special = {self.pad, self.begin, self.end, self.decode_begin, self.encode_begin}

    @classmethod
    def load(cls, file: Path) -> "WordPiece":
        """Read a vocabulary file."""
        return cls(file.read_text(encoding="utf-8").rstrip("\n").split("\n"))

    def __len__(self) -> int:
        return len(self.tokens)

    def _pieces(self, word: str) -> list[int]:
        if len(word) > LONGEST_WORD:
            return [self.unknown]
        ids, start = [], 0
        while start < len(word):
            prefix = "##" if start else ""
            ends = range(len(word), start, -1)
            end = next((end for end in ends if prefix + word[start:end] in self._ids), None)
            if end is None:
                return [self.unknown]
            ids.append(self._ids[prefix + word[start:end]])
            start = end
        return ids

    def encode(self, text: str) -> list[int]:
        """Token ids without special tokens: greedy longest match from the left in every word."""
        return [piece for word in split_words(text) for piece in self._pieces(word)]

    def encode_padded(self, text: str, length: int, first: int | None = None) -> tuple[list[int], list[int]]:
        """Exactly `length` ids and their attention mask: [CLS] (or `first`), pieces, [SEP], padding."""
        start = self.begin if first is None else first
        ids = [start, *self.encode(text)[: length - 2], self.end]
        padding = length - len(ids)
        return ids + [self.pad] * padding, [1] * len(ids) + [0] * padding

    def decode(self, ids: Iterable[int]) -> str:
        """Text without special tokens; spaces before punctuation are removed."""
        words = " ".join(self.tokens[number] for number in ids if number not in self._special)
        text = words.replace(" ##", "").strip()
        for spaced, joined in _CLEAN_UP:
            text = text.replace(spaced, joined)
        return text


def build_tokens(texts: Iterable[str], min_count: int, size: int) -> list[str]:
    """A small vocabulary for `texts`: special tokens, common suffixes, all their characters, frequent words.

    Every word of the texts can be spelled, so [UNK] is left to characters never seen.
    """
    counts: dict[str, int] = {}
    for text in texts:
        for word in split_words(text):
            counts[word] = counts.get(word, 0) + 1
    characters = sorted({char for word in counts for char in word})
    suffixes = ["##s", "##es", "##ed", "##ing", "##er", "##ers", "##ly", "##man", "##y", "##d"]
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[DEC]", "[ENC]"]
    frequent = sorted((word for word, n in counts.items() if n >= min_count), key=lambda w: (-counts[w], w))
    spelled = [*special, *characters, *(f"##{char}" for char in characters), *suffixes]
    words = [word for word in frequent if re.fullmatch(r"..+", word)]
    return list(dict.fromkeys([*spelled, *words]))[:size]
