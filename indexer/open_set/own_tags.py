"""Label embeddings of one's own tags: made once with a text encoder, kept beside the tagger they are for."""

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from indexer.errors import CheckpointError, ConfigurationError, VocabularyError
from indexer.open_set.names import NamedTag
from indexer.open_set.prompts import prompts
from indexer.vocabulary import Vocabulary, load_vocabulary, save_vocabulary

FOLDER = "own_tags"
_EMBEDDINGS, _VOCABULARY, _SOURCE = "label_embed.safetensors", "vocabulary.json", "source.json"
# Published model -> the text encoder its label embeddings were made with.
_ENCODERS = {"ram": "ViT-B-16/openai", "ram_plus": "ViT-B-16/openai"}
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class TextEncoder(Protocol):
    """What is needed of an embedder."""

    dimension: int

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Strings -> (N, dimension) float32, L2-normalised."""
        ...


@dataclass(frozen=True)
class OwnTags:
    """One set of tags. `label_embed` is (tags * descriptions, width) float32, a tag's descriptions together.

    `text_encoder` is the name and version of what made them. `source` records the rest, for people.
    """

    name: str
    vocabulary: Vocabulary
    label_embed: np.ndarray
    descriptions: int
    text_encoder: tuple[str, str]
    source: Mapping[str, str] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """See `tags_version`."""
        return tags_version(self.vocabulary, self.label_embed)


def tags_version(vocabulary: Vocabulary, label_embed: np.ndarray) -> str:
    """Eight hex digits that change when a name, a threshold or an embedding does."""
    digest = hashlib.sha256(json.dumps([vocabulary.tags, vocabulary.thresholds]).encode())
    digest.update(np.ascontiguousarray(label_embed, np.float32).tobytes())
    return digest.hexdigest()[:8]


def embed_names(
    tags: Sequence[NamedTag], encoder: TextEncoder, advance: Callable[[int], object] = lambda _count: None
) -> np.ndarray:
    """(tags, width) float32, as RAM's own: every prompt's embedding of length one, and their mean again."""
    rows = []
    for tag in tags:
        mean = encoder.embed_texts(prompts(tag.name)).mean(0)
        rows.append(mean / np.linalg.norm(mean))
        advance(1)
    return np.stack(rows).astype(np.float32)


def embed_descriptions(
    tags: Sequence[NamedTag], encoder: TextEncoder, advance: Callable[[int], object] = lambda _count: None
) -> np.ndarray:
    """(tags * descriptions, width) float32, as RAM++'s own: each of length one, not averaged."""
    parts = []
    for tag in tags:
        parts.append(encoder.embed_texts(tag.descriptions))
        advance(1)
    return np.concatenate(parts).astype(np.float32)


def save(own: OwnTags, tagger: Path) -> Path:
    """Write a set into the tagger's folder, in place of one of the same name; returns where it lies.

    Raises:
        ConfigurationError: a name that would be no good folder name.
    """
    folder = _folder(tagger, own.name)
    partial = folder.with_name(f".partial-{own.name}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    save_file({"label_embed": np.ascontiguousarray(own.label_embed, np.float32)}, partial / _EMBEDDINGS)
    save_vocabulary(own.vocabulary, partial / _VOCABULARY)
    record = {
        "descriptions": own.descriptions,
        "text_encoder": {"name": own.text_encoder[0], "version": own.text_encoder[1]},
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        **own.source,
    }
    (partial / _SOURCE).write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return folder


def load(tagger: Path, name: str) -> OwnTags:
    """A set of the tagger in this folder.

    Raises:
        ConfigurationError: there is none of this name; lists those there are.
        CheckpointError: files that are damaged or do not fit each other.
    """
    folder = _folder(tagger, name)
    if name not in names_of(tagger):
        known = ", ".join(names_of(tagger)) or "none"
        raise ConfigurationError(
            f"{tagger.name!r} has no tags of your own called {name!r}. There are: {known};"
            f" `sightline vocabulary add {name} FILE --tagger {tagger.name}` adds some."
        )
    try:
        record = json.loads((folder / _SOURCE).read_text(encoding="utf-8"))
        made_by = record.pop("text_encoder")
        own = OwnTags(
            name,
            load_vocabulary(folder / _VOCABULARY),
            load_file(folder / _EMBEDDINGS)["label_embed"],
            int(record.pop("descriptions")),
            (str(made_by["name"]), str(made_by["version"])),
            record,
        )
    except (OSError, ValueError, KeyError, TypeError, SafetensorError, VocabularyError) as error:
        raise CheckpointError(
            f"The tags in {folder} cannot be read ({error}): add them again, or remove them with"
            f" `sightline vocabulary remove {name} --tagger {tagger.name}`."
        ) from error
    if len(own.label_embed) != len(own.vocabulary) * own.descriptions:
        raise CheckpointError(
            f"{folder} has {len(own.label_embed)} embeddings for {len(own.vocabulary)} tags: add them again."
        )
    return own


def names_of(tagger: Path) -> list[str]:
    """The sets of the tagger in this folder."""
    return sorted(file.parent.name for file in (tagger / FOLDER).glob(f"[!.]*/{_SOURCE}"))


def remove(tagger: Path, name: str) -> None:
    """Delete a set. Raises ConfigurationError where there is none of this name."""
    if name not in names_of(tagger):
        known = ", ".join(names_of(tagger)) or "none"
        raise ConfigurationError(
            f"{tagger.name!r} has no tags of your own called {name!r}. There are: {known}."
        )
    shutil.rmtree(_folder(tagger, name))


def required_encoder(tagger: Path) -> str:
    """The text encoder that the label embeddings of the tagger in this folder come from, as OpenCLIP names it.

    Raises:
        ConfigurationError: a tagger whose tags are fixed.
    """
    source = tagger / _SOURCE
    model = json.loads(source.read_text(encoding="utf-8")).get("model") if source.is_file() else None
    if model in _ENCODERS:
        return _ENCODERS[model]
    raise ConfigurationError(
        f"The tags of {tagger.name!r} are fixed: it learned each of them by itself, not from a text encoder that could"
        " word new ones. Tags of your own need ram or ram_plus: `sightline models pull ram` brings it."
    )


def check_encoder(tagger: Path, encoder: str) -> None:
    """Raise ConfigurationError unless `encoder` is the one required, or its weights from a file.

    OpenCLIP knows by the name "openai" that these weights want another activation; of a file it has to be told, by the
    architecture's name.
    """
    required = required_encoder(tagger)
    architecture = required.split("/")[0]
    if encoder != required and not encoder.startswith(f"{architecture}-quickgelu/"):
        raise ConfigurationError(
            f"{tagger.name!r} was trained with {required}; embeddings of {encoder} would mean nothing to it. Use"
            f" {required}, or its weights from a file: {architecture}-quickgelu/FILE."
        )


def read_sets(tagger: Path, names: Sequence[str]) -> list[OwnTags]:
    """Several sets of one tagger.

    Raises:
        ConfigurationError: fixed tags, unknown names, or embeddings of different text encoders, which lie in
            different spaces.
        CheckpointError: damaged files.
    """
    if not names:
        return []
    required_encoder(tagger)
    sets = [load(tagger, name) for name in dict.fromkeys(names)]
    for own in sets:
        check_encoder(tagger, own.text_encoder[0])
        if own.text_encoder[1] != sets[0].text_encoder[1]:
            raise ConfigurationError(
                f"The tags {sets[0].name!r} were embedded with {'@'.join(sets[0].text_encoder)}, {own.name!r} with"
                f" {'@'.join(own.text_encoder)}: add one of them again, so that both are of one text encoder."
            )
    return sets


def check_name(name: str) -> None:
    """Raise ConfigurationError for a name that would be no good folder name."""
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"{name!r} cannot name a set of tags: use lower-case letters, digits, dots, - and _."
        )


def _folder(tagger: Path, name: str) -> Path:
    check_name(name)
    return tagger / FOLDER / name
