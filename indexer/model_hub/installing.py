"""A released checkpoint into a model of ours: converted once to float32 safetensors, with all it needs beside it.

Safetensors are mapped at start, so that a model of a gigabyte loads in the time its pages take to be read; the
released file, two thirds of it optimizer state, is not needed any more.
"""

import dataclasses
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import torch

from indexer.checkpoints import (
    ModelSpec,
    check_fits,
    save_spec,
    save_weights,
    skeleton,
    weights_version,
)
from indexer.errors import CheckpointError, ConfigurationError, DownloadError, VocabularyError
from indexer.images import InputSpec
from indexer.model_hub import side_files
from indexer.model_hub.downloads import Progress, file_digest, silent
from indexer.model_hub.home import Home
from indexer.model_hub.layout import Converted, convert
from indexer.model_hub.official import read_official
from indexer.model_names import BUNDLED
from indexer.modeling.beam import BeamConfig
from indexer.modeling.tag2text import Tag2TextConfig
from indexer.published import MODELS, Family, PublishedModel
from indexer.vocabulary import Vocabulary, save_vocabulary

WEIGHTS, VOCABULARY, TOKENIZER, SOURCE = (
    "model.safetensors",
    "vocabulary.json",
    "tokenizer.txt",
    "source.json",
)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SEARCH = BeamConfig(beams=3, max_length=50, min_length=10)  # as the released inference script captions
_APPENDED_TOKENS = 2  # [DEC] and [ENC], which the tokenizer adds itself
_FAMILIES: dict[str, Family] = {"ram": "ram", "ram_plus": "ram_plus", "tag2text": "tag2text"}


@dataclasses.dataclass(frozen=True)
class Installed:
    """What an import has made. `remarks` are for the person who asked for it."""

    name: str
    model: PublishedModel
    folder: Path
    remarks: tuple[str, ...] = ()
    is_new: bool = True


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A file that was read and understood, but not yet written anywhere."""

    file: Path
    name: str
    model: PublishedModel
    converted: Converted
    others: tuple[str, ...]


def understand(file: Path, name: str | None = None, ignored: Sequence[str] = ()) -> Checkpoint:
    """Read a released checkpoint and see what it is; nothing is written.

    Args:
        file: as downloaded.
        name: what to install it as; the name of a published model also says which it must be.
        ignored: beginnings of released tensor names to leave out.

    Raises:
        CheckpointError: not such a file, damaged, or another model than the name says.
    """
    if name and (BUNDLED / name).exists():
        raise ConfigurationError(f"{name!r} is the bundled model: choose another name with --name.")
    official = read_official(file)
    try:
        converted = convert(official.tensors, _FAMILIES.get(name or ""), ignored)
    except CheckpointError as error:
        raise CheckpointError(f"{file}: {error}") from error
    checkpoint = Checkpoint(
        file, name or converted.family, MODELS[converted.family], converted, official.others
    )
    try:
        check_fits(skeleton(_specs(checkpoint, "")[0]), converted.tensors)
    except CheckpointError as error:
        raise CheckpointError(
            f"{file}: {error}. Download it again; tensors you know to be needless are left out with --ignore."
        ) from error
    return checkpoint


def install(
    checkpoint: Checkpoint,
    home: Home,
    fetch: side_files.Fetch,
    folders: Sequence[Path] = (),
    progress: Progress = silent,
    sha256: str | None = None,
    address: str | None = None,
) -> Installed:
    """Write the model into its folder, replacing an older one of that name in one step.

    Args:
        checkpoint: from `understand`.
        home: where models lie.
        fetch: brings a side file that is in none of the folders.
        folders: where to look for side files first; then beside the checkpoint, then among earlier downloads.
        progress: shows how far it is.
        sha256: of the checkpoint, where it has been computed already.
        address: where the checkpoint came from, for the record.

    Raises:
        DownloadError: a side file is missing; NoRoom: the disk; VocabularyError: lists of another checkpoint.
    """
    model, file = checkpoint.model, checkpoint.file
    target = home.of(checkpoint.name)
    home.check_room(checkpoint.converted.bytes)
    lists = side_files.find(model, [*folders, file.parent, home.downloads], fetch)
    vocabulary = side_files.vocabulary(model, lists, checkpoint.converted.config.tags)
    tokens = _tokens(checkpoint, lists)
    if sha256 is None:
        with progress(f"Reading {file.name}", file.stat().st_size) as advance:
            sha256 = file_digest(file, advance)
    with home.locked(checkpoint.name):
        if target.exists() and recorded_sha256(target) == sha256:
            return Installed(checkpoint.name, model, target, is_new=False)
        with home.writing(checkpoint.name, checkpoint.converted.bytes) as folder:
            _write(checkpoint, folder, vocabulary, tokens, progress)
            _write_source(checkpoint, folder, lists, sha256, address)
    return Installed(checkpoint.name, model, target, _remarks(checkpoint, lists, sha256))


def recorded_sha256(folder: Path) -> str | None:
    """SHA-256 of the file an installed model was made from; None where the record is gone."""
    try:
        recorded = json.loads((folder / SOURCE).read_text(encoding="utf-8"))["sha256"]
    except (OSError, ValueError, KeyError):
        return None
    return str(recorded)


def check_published(checkpoint: Checkpoint, sha256: str) -> None:
    """Raise DownloadError unless the file is the published one, bit for bit."""
    published = checkpoint.model.sha256
    if published is not None and sha256 != published:
        raise DownloadError(
            f"{checkpoint.file} is not the published {checkpoint.model.file} (SHA-256 {sha256[:16]}…, not"
            f" {published[:16]}…): delete it and pull again. A checkpoint of your own goes in with"
            f" `sightline models import {checkpoint.file}`."
        )


def _tokens(checkpoint: Checkpoint, lists: side_files.Lists) -> list[str] | None:
    """The word pieces, checked against the size of the text embeddings; None for a model that reads no text."""
    tokenizer = checkpoint.model.tokenizer
    if tokenizer is None:
        return None
    tokens = lists.lines(tokenizer)
    config = checkpoint.converted.config
    assert isinstance(config, Tag2TextConfig)
    known = config.tag_encoder.vocabulary
    if len(tokens) + _APPENDED_TOKENS != known:
        raise VocabularyError(
            f"The checkpoint knows {known} word pieces, {_APPENDED_TOKENS} of them added to {tokenizer.what};"
            f" {lists.files[tokenizer.name]} has {len(tokens)}. Fetch {tokenizer.url}."
        )
    return tokens


def _specs(checkpoint: Checkpoint, version: str) -> list[ModelSpec]:
    """One description for each thing the model does; they share the weights."""
    converted, model = checkpoint.converted, checkpoint.model
    return [
        ModelSpec(
            kind,
            checkpoint.name,
            converted.architecture,
            dataclasses.asdict(converted.config),
            (WEIGHTS,),
            InputSpec(converted.config.swin.image_size, "squash", "bilinear"),
            MEAN,
            STD,
            model.licence,
            vocabulary=VOCABULARY,
            tokenizer=TOKENIZER if kind == "captioner" else None,
            search=SEARCH if kind == "captioner" else None,
            version=version,
        )
        for kind in model.kinds
    ]


def _write(
    checkpoint: Checkpoint, folder: Path, vocabulary: Vocabulary, tokens: list[str] | None, progress: Progress
) -> None:
    """Everything but the record of where it came from. Tensors that are float32 already are not copied."""
    with progress(f"Writing {checkpoint.name}", None):
        tensors = {key: value.to(torch.float32) for key, value in checkpoint.converted.tensors.items()}
        save_weights(tensors, folder / WEIGHTS, dtype=None)
        version = weights_version((folder / WEIGHTS,))
    for spec in _specs(checkpoint, version):
        save_spec(spec, folder)
    save_vocabulary(vocabulary, folder / VOCABULARY)
    if tokens is not None:
        (folder / TOKENIZER).write_text("\n".join(tokens) + "\n", encoding="utf-8")


def _write_source(
    checkpoint: Checkpoint, folder: Path, lists: side_files.Lists, sha256: str, address: str | None
) -> None:
    record = {
        "model": checkpoint.model.name,
        "file": checkpoint.file.name,
        "address": address,
        "sha256": sha256,
        "is_published": sha256 == checkpoint.model.sha256,
        "bytes": checkpoint.file.stat().st_size,
        "licence": checkpoint.model.licence,
        "installed": datetime.now(UTC).isoformat(timespec="seconds"),
        "side_files": {name: file_digest(path) for name, path in lists.files.items()},
        "left_out": {reason: len(names) for reason, names in checkpoint.converted.left_out.items()},
        "not_read": list(checkpoint.others),
        "notes": list(checkpoint.converted.notes),
    }
    (folder / SOURCE).write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _remarks(checkpoint: Checkpoint, lists: side_files.Lists, sha256: str) -> tuple[str, ...]:
    remarks = list(checkpoint.converted.notes)
    if sha256 != checkpoint.model.sha256:
        remarks.append(
            f"This is not the published {checkpoint.model.file}, but it fits: every tensor has its place."
        )
    if lists.changed:
        remarks.append(f"Not the published lists, used as they are: {', '.join(lists.changed)}.")
    return tuple(remarks)
