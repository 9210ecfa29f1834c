"""The tags a tagger knows: names, thresholds, names in other languages, aliases."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from rapidfuzz import fuzz, process

from indexer.errors import UnknownTag, VocabularyError

SUGGESTIONS = 3
BETWEEN_TAGS = ",;|"  # what stands between tags in a cell of a table


def canonical(name: str) -> str:
    """The one spelling of a tag: lower case, single spaces, `_` read as a space."""
    return " ".join(name.replace("_", " ").casefold().split())


@dataclass(frozen=True)
class Vocabulary:
    """Tags in the order of the tagger's outputs.

    `thresholds` are confidences, 0 to 1, strictly above which a tag is asserted. `translations` maps a
    language ("zh", "de") to one name a tag, in the same order; `aliases` maps another name to a tag's name.
    Published lists hold a few names twice ("train", the noun and the verb): the first one is found by name,
    all are kept.
    """

    tags: tuple[str, ...]
    thresholds: tuple[float, ...]
    translations: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raise VocabularyError where lists do not fit each other or an alias leads nowhere."""
        columns: dict[str, Sequence[object]] = {"thresholds": self.thresholds, **self.translations}
        for name, column in columns.items():
            if len(column) != len(self.tags):
                raise VocabularyError(
                    f"{len(self.tags)} tags but {len(column)} {name}: give exactly one a tag, in order"
                )
        wrong = [t for t in self.thresholds if not 0 <= t <= 1]
        if wrong:
            raise VocabularyError(f"threshold {wrong[0]} is not a confidence: use a number from 0 to 1")
        lost = sorted(tag for tag in self.aliases.values() if canonical(tag) not in self._tag_numbers)
        if lost:
            raise VocabularyError(
                f"an alias points to {lost[0]!r}, which is not a tag: add the tag or drop the alias"
            )

    def __len__(self) -> int:
        return len(self.tags)

    @cached_property
    def _tag_numbers(self) -> dict[str, int]:
        numbers: dict[str, int] = {}
        for number, tag in enumerate(self.tags):
            numbers.setdefault(canonical(tag), number)
        return numbers

    @cached_property
    def _numbers(self) -> dict[str, int]:
        """Every spelling that finds a tag; names win over aliases, aliases over translations."""
        numbers = dict(self._tag_numbers)
        for alias, tag in self.aliases.items():
            numbers.setdefault(canonical(alias), self._tag_numbers[canonical(tag)])
        for names in self.translations.values():
            for number, name in enumerate(names):
                numbers.setdefault(canonical(name), number)
        return numbers

    def index(self, name: str) -> int:
        """The tag's number, by name, alias or translation; `_`, spaces and case do not matter.

        Raises:
            UnknownTag: with the nearest spellings.
        """
        key = canonical(name)
        if key not in self._numbers:
            near = process.extract(
                key, list(self._numbers), scorer=fuzz.ratio, limit=SUGGESTIONS, score_cutoff=60
            )
            raise UnknownTag(name, [found for found, *_ in near])
        return self._numbers[key]

    def find(self, name: str) -> str:
        """The tag's own name, found as by `index`."""
        return self.tags[self.index(name)]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and canonical(name) in self._numbers

    def translated(self, number: int, language: str) -> str:
        """The tag's name in this language, its own name where there is none."""
        names = self.translations.get(language)
        return names[number] if names and names[number] else self.tags[number]

    def joined(self, more: "Vocabulary") -> "Vocabulary":
        """These tags, then those of `more`; of a name in both, the first one is found."""
        languages = {*self.translations, *more.translations}
        translations = {language: self._names(language) + more._names(language) for language in languages}
        return Vocabulary(
            self.tags + more.tags,
            self.thresholds + more.thresholds,
            translations,
            {**more.aliases, **self.aliases},
        )

    def _names(self, language: str) -> tuple[str, ...]:
        return tuple(self.translated(number, language) for number in range(len(self.tags)))

    def other_names(self) -> Iterator[tuple[str, str, str]]:
        """(tag, language, name) of every alias (language "") and every translation; tags as `thresholds_by_name`."""
        for alias, tag in self.aliases.items():
            yield self.find(tag), "", alias
        for language, names in self.translations.items():
            for number in self._tag_numbers.values():
                if names[number]:
                    yield self.tags[number], language, names[number]

    def thresholds_by_name(self) -> dict[str, float]:
        """Name -> threshold; of a name that occurs twice, the first one's."""
        return {self.tags[number]: self.thresholds[number] for number in self._tag_numbers.values()}


def load_vocabulary(file: Path) -> Vocabulary:
    """Read a vocabulary saved as JSON: tags, thresholds, translations, aliases."""
    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
        translations = {language: tuple(names) for language, names in stored.get("translations", {}).items()}
        return Vocabulary(
            tuple(stored["tags"]),
            tuple(map(float, stored["thresholds"])),
            translations,
            dict(stored.get("aliases", {})),
        )
    except (OSError, KeyError, ValueError) as error:
        raise VocabularyError(
            f"{file} is not a readable vocabulary ({error}): restore or retrain it"
        ) from error


def save_vocabulary(vocabulary: Vocabulary, file: Path) -> None:
    """Write it as JSON, one tag a line so that changes can be read."""
    stored = {
        "tags": vocabulary.tags,
        "thresholds": vocabulary.thresholds,
        "translations": vocabulary.translations,
        "aliases": vocabulary.aliases,
    }
    file.write_text(json.dumps(stored, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
