"""A file of tags: names, and where wanted thresholds and written descriptions.

Three forms: plain text, one name a line; JSON, `[{"name": "drone", "threshold": 0.6, "descriptions": ["..."]}]`; and
the JSON RAM++'s authors write, `[{"drone": ["a description", "..."]}]`.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from indexer.errors import VocabularyError
from indexer.vocabulary import canonical

_KEYS = {"name", "threshold", "descriptions"}
_LONGEST_NAME = 200


@dataclass(frozen=True)
class NamedTag:
    """One tag. `where` says where in the file it stands, for people. No threshold: the one for all."""

    name: str
    where: str
    threshold: float | None = None
    descriptions: tuple[str, ...] = ()


def read_names(file: Path) -> list[NamedTag]:
    """The tags of a file, in its order.

    Raises:
        VocabularyError: naming the line or entry, and what to do about it.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise VocabularyError(
            f"{file} cannot be read as text ({error}): save it as UTF-8, one tag a line"
        ) from error
    tags = list(_from_json(file, text) if text.lstrip().startswith(("[", "{")) else _from_lines(text))
    if not tags:
        raise VocabularyError(f"{file} names no tags: write one a line")
    _check(file, tags)
    return tags


def check_descriptions(tags: Sequence[NamedTag], needed: int, tagger: str) -> None:
    """Raise VocabularyError unless every tag has as many descriptions as the tagger weighs."""
    for tag in tags:
        if len(tag.descriptions) != needed:
            has = f"has {len(tag.descriptions)}" if tag.descriptions else "has none"
            raise VocabularyError(
                f"{tagger} weighs {needed} written descriptions of each tag; {tag.name!r} ({tag.where}) {has}. Write"
                f' them as JSON, [{{"name": "{tag.name}", "descriptions": ["...", ...]}}], or add the names to ram,'
                " which needs no descriptions."
            )


def _from_lines(text: str) -> Iterator[NamedTag]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield NamedTag(line.strip(), f"line {number}")


def _from_json(file: Path, text: str) -> Iterator[NamedTag]:
    try:
        loaded = json.loads(text)
    except ValueError as error:
        raise VocabularyError(f"{file} looks like JSON but is not ({error}): mend it") from error
    if not isinstance(loaded, list):
        raise VocabularyError(f'{file} must be a list of tags: [{{"name": "drone"}}, ...]')
    for number, entry in enumerate(loaded, 1):
        yield _from_entry(file, entry, f"entry {number}")


def _from_entry(file: Path, entry: Any, where: str) -> NamedTag:
    if isinstance(entry, str):
        return NamedTag(entry.strip(), where)
    if not isinstance(entry, Mapping):
        raise VocabularyError(f'{file}, {where}: {entry!r} is no tag. Write "drone" or {{"name": "drone"}}.')
    if "name" not in entry and len(entry) == 1:  # {"drone": ["a description", ...]}
        ((name, descriptions),) = entry.items()
        entry = {"name": name, "descriptions": descriptions}
    if unknown := sorted(set(entry) - _KEYS):
        raise VocabularyError(
            f"{file}, {where}: {unknown[0]!r} is not read. Known: {', '.join(sorted(_KEYS))}."
        )
    name, threshold, descriptions = entry.get("name"), entry.get("threshold"), entry.get("descriptions", [])
    if not isinstance(name, str):
        raise VocabularyError(f'{file}, {where}: no name. Write {{"name": "drone"}}.')
    is_number = isinstance(threshold, int | float) and not isinstance(threshold, bool)
    if threshold is not None and not (is_number and 0 <= threshold <= 1):
        raise VocabularyError(
            f"{file}, {where}: threshold {threshold!r} of {name!r} is no number from 0 to 1"
        )
    texts = descriptions if isinstance(descriptions, list) else [descriptions]
    written = tuple(text for text in texts if isinstance(text, str) and text.strip())
    if not isinstance(descriptions, list) or len(written) != len(texts):
        raise VocabularyError(
            f"{file}, {where}: the descriptions of {name!r} must be a list of texts, none empty"
        )
    return NamedTag(name.strip(), where, None if threshold is None else float(threshold), written)


def _check(file: Path, tags: Sequence[NamedTag]) -> None:
    """Names that are none, and names that stand twice."""
    first: dict[str, NamedTag] = {}
    for tag in tags:
        key = canonical(tag.name)
        if not any(char.isalnum() for char in key):
            raise VocabularyError(
                f"{file}, {tag.where}: {tag.name!r} is no name. Write a word, or remove it."
            )
        if len(tag.name) > _LONGEST_NAME:
            raise VocabularyError(
                f"{file}, {tag.where}: {tag.name[:40]!r}... is {len(tag.name)} letters long. Write one tag a line."
            )
        if key in first:
            raise VocabularyError(
                f"{file} names {tag.name!r} twice ({first[key].where} and {tag.where}): remove one. Case and _ make no"
                " difference."
            )
        first[key] = tag
