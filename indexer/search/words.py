"""Words of queries and captions: where they stand, and which are forms of one another."""

import re
from dataclasses import dataclass
from functools import lru_cache

import snowballstemmer

# A sign of Chinese or Japanese writing is a word of its own; elsewhere letters and digits between other signs are.
_SIGN = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_SIGN}]|[^\W_{_SIGN}]+(?:['\u2019][^\W_{_SIGN}]+)*")
# Plurals that no ending tells; the four that captions are full of.
_IRREGULAR = {"men": "man", "women": "woman", "children": "child", "people": "person"}
# They join others and mean little alone. English: other languages lose nothing but sharpness.
_JOINING = (
    "a an the this that these those it its his her their he she they him them who which what i you we my your our"
    " of in on at to from by for with without into onto over under up down out off near next behind between through"
    " and or but as while than is are was were be been being am has have had do does did there some"
)
_FUNCTION_WORDS = frozenset(_JOINING.split())


@dataclass(frozen=True)
class Word:
    """One word: what its forms share, and its characters in the text."""

    stem: str
    start: int
    end: int
    means_something: bool = True


def words(text: str) -> tuple[Word, ...]:
    """The words of a text, in order."""
    return tuple(
        Word(stem(match[0]), match.start(), match.end(), match[0].lower() not in _FUNCTION_WORDS)
        for match in _WORD.finditer(text)
    )


def content_words(text: str) -> tuple[Word, ...]:
    """Its words less those that only join others; all of them if there are no others."""
    every = words(text)
    return tuple(word for word in every if word.means_something) or every


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """What "dogs" and "dog", "running" and "runs" have in common ("An algorithm for suffix stripping", Porter 1980,
    in its second version).
    """
    plain = word.casefold().replace("\u2019", "'")
    plain = _IRREGULAR.get(plain, plain)
    # A stemmer holds the word it works on: one a call, so that threads do not meet in it.
    return str(snowballstemmer.stemmer("english").stemWord(plain))
