"""Caption language: the small token vocabulary, and tags read from captions."""

import re
import string
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from indexer.modeling.wordpiece import build_tokens

CAPTIONS_FILE = Path("text") / "flickr30k_captions.txt"
CAPTIONS_PER_PHOTO = 5
IRREGULAR = {
    "men": "man",
    "women": "woman",
    "children": "child",
    "people": "person",
    "ran": "run",
    "sat": "sit",
    "stood": "stand",
    "rode": "ride",
    "swam": "swim",
    "wore": "wear",
    "leaves": "leaf",
}


def read_captions(data: Path) -> list[list[str]]:
    """Flickr30k captions, one list of five a photo."""
    lines = (data / CAPTIONS_FILE).read_text(encoding="utf-8").splitlines()
    starts = range(0, len(lines) - CAPTIONS_PER_PHOTO + 1, CAPTIONS_PER_PHOTO)
    return [[tidy(line) for line in lines[start : start + CAPTIONS_PER_PHOTO]] for start in starts]


def tidy(caption: str) -> str:
    """Lower case, no final full stop: how captions are learned and written."""
    return re.sub(r"\s*\.\s*$", "", " ".join(caption.lower().split()))


def write_vocabulary(captions: Iterable[str], file: Path, size: int = 4096) -> None:
    """Choose the tokens for these captions and store one a line."""
    alphabet = " ".join(string.ascii_lowercase + string.digits + string.punctuation)
    tokens = build_tokens([*captions, alphabet], min_count=8, size=size)
    file.write_text("\n".join(tokens) + "\n", encoding="utf-8")


def _stems(word: str) -> Iterable[str]:
    """The word and what it may be an inflection of, likeliest first."""
    yield IRREGULAR.get(word, word)
    for suffix, replacements in (
        ("ies", ("y",)),
        ("es", ("", "e")),
        ("s", ("",)),
        ("ing", ("", "e")),
        ("ed", ("", "e")),
        ("er", ("", "e")),
    ):
        if word.endswith(suffix) and len(word) > len(suffix) + 2:
            stem = word[: -len(suffix)]
            yield from (stem + end for end in replacements)
            if stem[-1:] == stem[-2:-1]:
                yield stem[:-1]


class TagParser:
    """Finds the tags of a vocabulary in captions, as Tag2Text's training data was made: by their words."""

    def __init__(self, tags: Sequence[str]) -> None:
        self._single = {tag for tag in tags if " " not in tag}
        self._phrases = [tag for tag in tags if " " in tag]

    def __call__(self, caption: str) -> list[str]:
        """Tags in the order of the caption, each once; phrases first."""
        words = re.findall(r"[a-z0-9'-]+", caption.lower())
        stems = [next((s for s in _stems(word) if s in self._single), None) for word in words]
        joined = f" {' '.join(words)} "
        phrases = [tag for tag in self._phrases if f" {tag} " in joined or f" {tag}s " in joined]
        return list(dict.fromkeys([*phrases, *(stem for stem in stems if stem is not None)]))


def frequent_tags(tag_lists: Iterable[Sequence[str]], at_least: int) -> list[str]:
    """Tags with enough examples to learn, alphabetically."""
    counts = Counter(tag for tags in tag_lists for tag in tags)
    return sorted(tag for tag, count in counts.items() if count >= at_least)
