"""The lists beside a checkpoint: tags, thresholds, names in other languages, word pieces."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from indexer.errors import DownloadError, VocabularyError
from indexer.model_hub.downloads import file_digest
from indexer.published import (
    NEVER,
    TAG2TEXT_DELETED,
    TAG2TEXT_THRESHOLD,
    TAG2TEXT_THRESHOLDS,
    PublishedModel,
    SideFile,
)
from indexer.vocabulary import Vocabulary

Fetch = Callable[[SideFile], Path]


@dataclass(frozen=True)
class Lists:
    """Where each side file was found. `changed` are those that are not the published ones."""

    files: Mapping[str, Path]
    changed: tuple[str, ...]

    def lines(self, side_file: SideFile) -> list[str]:
        """Its lines, without the spaces some of the published ones end in."""
        file = self.files[side_file.name]
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise VocabularyError(f"{file} is not readable as text ({error}): fetch it again") from error
        return [line.strip() for line in text.rstrip("\r\n").split("\n")]


def find(model: PublishedModel, folders: Sequence[Path], fetch: Fetch) -> Lists:
    """Every side file of a model: from the first folder that has it, else by `fetch`.

    Raises:
        DownloadError: naming each file that is missing, its address and where to put it.
    """
    files: dict[str, Path] = {}
    missing: list[tuple[SideFile, str]] = []
    for side_file in model.side_files:
        there = [folder / name for folder in folders for name in side_file.names]
        found = next((path for path in there if path.is_file()), None)
        try:
            files[side_file.name] = found or fetch(side_file)
        except DownloadError as error:
            missing.append((side_file, str(error)))
    if missing:
        raise DownloadError(_bring(missing, folders))
    changed = [one.name for one in model.side_files if file_digest(files[one.name]) != one.sha256]
    return Lists(files, tuple(changed))


def _bring(missing: Sequence[tuple[SideFile, str]], folders: Sequence[Path]) -> str:
    reason = missing[0][1]
    wanted = "\n".join(f"  {one.name} ({one.what})\n    {one.url}" for one, _ in missing)
    places = " or ".join(map(str, dict.fromkeys(folders)))
    return (
        f"Missing beside the checkpoint, and not to be fetched ({reason}):\n{wanted}\n"
        f"Bring them from a machine with a network, put them into {places}, and import again; or name the folder they"
        " are in: `--lists FOLDER`."
    )


def vocabulary(model: PublishedModel, lists: Lists, tags: int) -> Vocabulary:
    """The tags of a checkpoint with `tags` outputs.

    Raises:
        VocabularyError: a list of another length, or lines that are no thresholds.
    """
    assert model.tags is not None
    names = lists.lines(model.tags)
    translations = {language: lists.lines(side_file) for language, side_file in model.names.items()}
    thresholds = _thresholds(model, lists, names)
    for what, column in ({model.tags.name: names, **translations}).items():
        if len(column) != tags:
            raise VocabularyError(
                f"The checkpoint knows {tags} tags, but the list {what} has {len(column)} lines: it belongs to"
                " another checkpoint. Give the folder with its own lists: `--lists FOLDER`."
            )
    return Vocabulary(
        tuple(names), thresholds, {language: tuple(column) for language, column in translations.items()}
    )


def _thresholds(model: PublishedModel, lists: Lists, names: Sequence[str]) -> tuple[float, ...]:
    if model.thresholds is None:
        own = TAG2TEXT_THRESHOLDS | dict.fromkeys(TAG2TEXT_DELETED, NEVER)
        return tuple(own.get(number, TAG2TEXT_THRESHOLD) for number in range(len(names)))
    lines = lists.lines(model.thresholds)
    try:
        thresholds = tuple(map(float, lines))
    except ValueError as error:
        file = lists.files[model.thresholds.name]
        raise VocabularyError(f"{file} is no list of thresholds, one number a line ({error})") from error
    if len(thresholds) != len(names):
        raise VocabularyError(
            f"{len(names)} tags but {len(thresholds)} thresholds: the two lists belong to different checkpoints"
        )
    return thresholds
