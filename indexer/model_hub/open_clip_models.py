"""Embedders of OpenCLIP, which finds and fetches its models itself, into the Hugging Face cache."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from indexer.errors import DownloadError, UnknownModel
from indexer.model_hub.hub_cache import cached_file
from indexer.published import MODELS

_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
_ASK_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class OpenClipModel:
    """One pretrained model. `repository` is on the Hugging Face Hub, `url` for the few that lie elsewhere."""

    name: str
    architecture: str
    pretrained: str
    repository: str | None
    url: str | None

    @property
    def with_file(self) -> str:
        """The setting for these weights from a file. Of a file, OpenCLIP has to be told by the architecture's name that
        it wants OpenAI's activation; of its own names it knows.
        """
        import open_clip

        config = open_clip.get_pretrained_cfg(self.architecture, self.pretrained)
        quick = f"{self.architecture}-quickgelu"
        needs_quick = config.get("quick_gelu") and quick in open_clip.list_models()
        return f"{quick if needs_quick else self.architecture}/FILE"

    @property
    def cached(self) -> Path | None:
        """The weights, if they are in the Hugging Face cache already."""
        found = (cached_file(self.repository, file) for file in _FILES if self.repository)
        return next((file for file in found if file), None)


@dataclass(frozen=True)
class Facts:
    """What the hub says of a model; None where it does not say, or is not to be reached."""

    licence: str | None = None
    bytes: int | None = None


def find(name: str) -> OpenClipModel:
    """The model called "<model>/<pretrained>".

    Raises:
        UnknownModel: with the nearest names.
    """
    import difflib

    import open_clip

    names = ["/".join(pair) for pair in open_clip.list_pretrained()]
    if name not in names:
        near = ", ".join(difflib.get_close_matches(name, names, n=3, cutoff=0.4)) or "none"
        raise UnknownModel(
            f"OpenCLIP has no {name!r}. Near: {near}."
            " `python -c 'import open_clip; print(open_clip.list_pretrained())'` lists all."
        )
    architecture, pretrained = name.split("/", 1)
    config: dict[str, Any] = open_clip.get_pretrained_cfg(architecture, pretrained)
    repository = str(config.get("hf_hub", "")).strip("/") or None
    return OpenClipModel(name, architecture, pretrained, repository, config.get("url") or None)


def facts(model: OpenClipModel) -> Facts:
    """Licence and size, from our own list or asked of the hub; a hub that does not answer is no error here."""
    if model.name in MODELS:
        return Facts(MODELS[model.name].licence, MODELS[model.name].download_bytes)
    if model.repository is None:
        return Facts()
    from huggingface_hub import HfApi

    try:
        found = HfApi().model_info(model.repository, files_metadata=True, timeout=_ASK_TIMEOUT_S)
    except Exception:  # its network library's errors have no common ancestor of their own
        return Facts()
    sizes = {file.rfilename: file.size for file in found.siblings or ()}
    size = next((sizes[name] for name in _FILES if sizes.get(name)), None)
    return Facts(getattr(found.card_data, "license", None), size)


def fetch(model: OpenClipModel) -> Path:
    """Bring the weights into the cache, by OpenCLIP's own ways; where they lie.

    Raises:
        DownloadError: no network, with the address to bring them from by hand.
    """
    import open_clip
    from huggingface_hub import HfApi

    config = open_clip.get_pretrained_cfg(model.architecture, model.pretrained)
    try:
        if model.repository is not None:  # ask once, where the download itself would ask for a minute
            HfApi().model_info(model.repository, timeout=_ASK_TIMEOUT_S)
        file = Path(open_clip.download_pretrained(config))
        open_clip.get_tokenizer(model.architecture)  # some bring files of their own
    except Exception as error:  # as above
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
        raise DownloadError(f"{model.name} cannot be fetched ({reason}).\n{_by_hand(model)}") from error
    return file


def _by_hand(model: OpenClipModel) -> str:
    if model.repository is None:
        return f"To bring it by hand, fetch {model.url} and set SIGHTLINE_EMBEDDER={model.with_file}."
    return (
        f"To bring it by hand, fetch {_FILES[0]} from https://huggingface.co/{model.repository} on another machine and"
        f" set SIGHTLINE_EMBEDDER={model.with_file}, FILE being its path here; or copy that machine's"
        " ~/.cache/huggingface/hub."
    )
