"""What other programs have already brought into the Hugging Face cache."""

import os
from pathlib import Path

from indexer.published import PublishedModel


def cached_file(repository: str, file: str, revision: str = "main") -> Path | None:
    """A file of a repository, if it is in the cache whole."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repository, file, revision=revision)
    return Path(found) if isinstance(found, str | os.PathLike) and Path(found).is_file() else None


def in_hub_cache(model: PublishedModel) -> Path | None:
    """A published checkpoint, of its pinned revision or the newest."""
    found = (cached_file(model.repository, model.file, revision) for revision in (model.revision, "main"))
    return next((file for file in found if file), None)
