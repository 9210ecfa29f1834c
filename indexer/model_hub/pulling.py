"""From a published address to an installed model."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from indexer.errors import DownloadError
from indexer.model_hub.downloads import Progress, Refused, download, file_digest, silent
from indexer.model_hub.home import Home, is_full
from indexer.model_hub.hub_cache import in_hub_cache
from indexer.model_hub.installing import Installed, check_published, install, recorded_sha256, understand
from indexer.published import HUB, PublishedModel, SideFile


@dataclass(frozen=True)
class Plan:
    """What pulling a model will do, for a person to agree to. `there` is the checkpoint, if it is on this machine."""

    model: PublishedModel
    home: Home
    there: Path | None

    @property
    def target(self) -> Path:
        """Where the checkpoint comes down to."""
        return self.home.downloads / self.model.file

    @property
    def to_download(self) -> int:
        """Bytes still to come."""
        partial = self.target.with_name(f"{self.target.name}.partial")
        have = partial.stat().st_size if partial.exists() else 0
        return 0 if self.there else max(0, self.model.download_bytes - have)

    @property
    def needed(self) -> int:
        """Bytes of disk it takes at its peak."""
        return self.to_download + self.model.installed_bytes


def plan(model: PublishedModel, home: Home) -> Plan:
    """See what is here already: in our own downloads, or in the Hugging Face cache that other programs fill."""
    ours = home.downloads / model.file
    return Plan(model, home, ours if ours.is_file() else in_hub_cache(model))


def pull(plan: Plan, progress: Progress = silent, keep_download: bool = False) -> Installed:
    """Fetch, check and install; the download is deleted afterwards unless it is to be kept or was not made here.

    Raises:
        DownloadError: no network, or not the published file; says what is missing and how to bring it by hand.
        NoRoom, CheckpointError, VocabularyError: as importing does.
    """
    home, model = plan.home, plan.model
    home.sweep()
    home.check_room(plan.needed)
    with home.locked(f"download-{model.name}"):
        if recorded_sha256(home.of(model.name)) == model.sha256:  # another command was faster
            return Installed(model.name, model, home.of(model.name), is_new=False)
        file, sha256 = _checkpoint_file(plan, progress)
        checkpoint = understand(file, model.name)
        check_published(checkpoint, sha256)
        fetch = side_file_fetcher(home, progress)
        installed = install(checkpoint, home, fetch, progress=progress, sha256=sha256, address=model.urls[0])
        if not keep_download and file.parent == home.downloads:
            file.unlink()
    return installed


def side_file_fetcher(home: Home, progress: Progress = silent) -> Callable[[SideFile], Path]:
    """Brings side files from their pinned addresses into the downloads, once."""

    def fetch(side_file: SideFile) -> Path:
        _check_online()
        url = _on_mirror(side_file.url)
        try:
            return download(url, home.downloads / side_file.name, side_file.sha256, side_file.bytes, progress)
        except OSError as error:
            if is_full(error):
                raise home.no_room(side_file.bytes) from error
            raise

    return fetch


def _checkpoint_file(plan: Plan, progress: Progress) -> tuple[Path, str]:
    """The checkpoint and its SHA-256: what is here already, or what is fetched now."""
    if plan.there is None:
        assert plan.model.sha256 is not None
        return _fetch_checkpoint(plan, progress), plan.model.sha256
    with progress(f"Reading {plan.there.name}", plan.there.stat().st_size) as advance:
        return plan.there, file_digest(plan.there, advance)


def _fetch_checkpoint(plan: Plan, progress: Progress) -> Path:
    """From the pinned revision, or the newest one if that is gone: the SHA-256 is what counts."""
    model, home = plan.model, plan.home
    assert model.sha256 is not None
    try:
        _check_online()
        *earlier, last = map(_on_mirror, model.urls)
        for url in earlier:
            with suppress(Refused):
                return download(url, plan.target, model.sha256, model.download_bytes, progress)
        return download(last, plan.target, model.sha256, model.download_bytes, progress)
    except DownloadError as error:
        raise DownloadError(f"{error}\n{by_hand(model)}") from error
    except OSError as error:
        if is_full(error):
            raise home.no_room(plan.needed) from error
        raise


def by_hand(model: PublishedModel) -> str:
    """How to bring a model to a machine that has no network."""
    lists = "".join(f"\n  {one.url}" for one in model.side_files)
    return (
        f"To bring {model.name} by hand, fetch on another machine\n  {model.urls[0]}{lists}\n"
        f"put all into one folder here, and run `sightline models import FOLDER/{model.file}`. What was downloaded"
        " so far is kept; the same command goes on from there."
    )


def _on_mirror(url: str) -> str:
    """The address at the hub that HF_ENDPOINT names, for what lies on the hub."""
    from huggingface_hub import constants

    return url.replace(HUB, constants.ENDPOINT, 1) if url.startswith(HUB) else url


def _check_online() -> None:
    from huggingface_hub import is_offline_mode

    if is_offline_mode():
        raise DownloadError("HF_HUB_OFFLINE is set: nothing is fetched")
