"""Every setting, with one prefix. A variable `SIGHTLINE_X__Y` sets field `y` of group `x`.

Nothing needs to be set: without URLs, the servers are started privately under `home`. What should not stand in an
environment may lie in a file: `SIGHTLINE_X_FILE` names a file that holds the value of `SIGHTLINE_X`.
Read by roots only (command line, worker, web server, migrations); everything else takes arguments.
"""

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, SecretStr
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from indexer.errors import ConfigurationError


class ImageLimits(BaseModel):
    """What one file may cost before it is refused by name."""

    max_bytes: Annotated[int, Field(gt=0, description="largest file accepted, in bytes")] = 100 * 2**20
    max_pixels: Annotated[int, Field(gt=0, description="largest image decoded, in pixels")] = 150_000_000
    timeout_s: Annotated[
        float,
        Field(gt=0, description="processor seconds one decode may take; three times as long by the clock"),
    ] = 10.0
    max_memory_bytes: Annotated[int, Field(gt=0, description="most memory one decode may take, in bytes")] = (
        2**30
    )


class Worker(BaseModel):
    """How a worker spends its machine."""

    batch_size: Annotated[int, Field(gt=0, description="images a model sees at once")] = 16
    decoders: Annotated[
        int, Field(ge=0, description="decoding processes; 0 means one per core, at most 8")
    ] = 0
    prepare_ahead: Annotated[
        int,
        Field(gt=0, description="images that may lie decoded for other workers, about half a megabyte each"),
    ] = 2_000
    batch_timeout_s: Annotated[
        float, Field(gt=0, description="seconds after which a batch the models do not finish ends the worker")
    ] = 600.0
    max_memory_bytes: Annotated[
        int, Field(ge=0, description="memory at which a worker ends after the work at hand; 0: no limit")
    ] = 0
    unload_after_s: Annotated[
        float, Field(ge=0, description="seconds after which unused models are let go of; 0: never")
    ] = 0.0
    backfill_share: Annotated[
        float,
        Field(gt=0, le=1, description="how much of its time a worker may spend on a change of model, 0 to 1"),
    ] = 0.8
    metrics_host: Annotated[str, Field(description="address a worker's metrics and health answer on")] = (
        "127.0.0.1"
    )
    metrics_port: Annotated[
        int, Field(ge=0, le=65535, description="port of a worker's metrics and health; 0: none")
    ] = 0


class Fetch(BaseModel):
    """What is fetched from addresses, and what that may cost."""

    timeout_s: Annotated[float, Field(gt=0, description="seconds one fetch may take in all")] = 30.0
    max_redirects: Annotated[int, Field(ge=0, le=20, description="redirects followed for one picture")] = 5
    networks: Annotated[
        str, Field(description="networks fetched from though they are not public, separated by commas")
    ] = ""
    stores: Annotated[
        str,
        Field(description="object stores that may be fetched from, s3://bucket/prefix, with commas between"),
    ] = ""
    slots: Annotated[int, Field(gt=0, le=64, description="fetches at once in one worker")] = 4


class Logs(BaseModel):
    """How log lines are written."""

    format: Annotated[
        Literal["text", "json"], Field(description="text: lines to read; json: an object a line, to collect")
    ] = "text"
    level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"] | None,
        Field(
            description="the least important line written; none: INFO, but WARNING of a server writing text"
        ),
    ] = None


class Search(BaseModel):
    """What searching may cost."""

    memory_bytes: Annotated[
        int,
        Field(
            ge=0, description="embeddings kept in memory while they fit, in bytes; 0: none, Milvus searches"
        ),
    ] = 2**30


class Access(BaseModel):
    """Who comes in, how often, and with how much."""

    names: Annotated[
        str, Field(description="host names the web server is reached by besides its own, separated by commas")
    ] = ""
    session_secret: Annotated[
        SecretStr | None,
        Field(description="signs browsers' sessions, the same for all servers; none: one kept under home"),
    ] = None
    session_s: Annotated[int, Field(gt=0, description="seconds after which a browser signs in again")] = (
        7 * 24 * 3600
    )
    requests_per_minute: Annotated[
        int, Field(ge=0, description="requests one key may make in a minute; 0: any number")
    ] = 12_000
    max_request_bytes: Annotated[
        int, Field(ge=2**20, description="largest request body, all its files together, in bytes")
    ] = 2**30

    @property
    def host_names(self) -> tuple[str, ...]:
        """The names in `names`."""
        return tuple(name.strip() for name in self.names.split(",") if name.strip())


class Settings(BaseSettings):
    """Sightline's settings; each is an environment variable with the prefix `SIGHTLINE_`."""

    model_config = SettingsConfigDict(
        env_prefix="SIGHTLINE_", env_nested_delimiter="__", frozen=True, extra="ignore"
    )

    home: Annotated[Path, Field(description="where the private servers keep their data")] = (
        Path.home() / ".sightline"
    )
    postgres_url: Annotated[
        SecretStr | None, Field(description="an existing PostgreSQL; none: a private one")
    ] = None
    redis_url: Annotated[SecretStr | None, Field(description="an existing Redis; none: a private one")] = None
    milvus_url: Annotated[
        str | None, Field(description="an existing Milvus; none: a private Milvus Lite")
    ] = None
    milvus_token: Annotated[SecretStr | None, Field(description="token or user:password for Milvus")] = None
    storage_url: Annotated[
        str | None, Field(description="folder or fsspec URL for originals and thumbnails; none: under home")
    ] = None
    tagger: Annotated[str, Field(description="model that tags")] = "small"
    captioner: Annotated[str, Field(description="model that captions")] = "small"
    embedder: Annotated[str, Field(description="model that embeds images and texts")] = "small"
    own_tags: Annotated[
        str, Field(description="sets of tags of your own the tagger looks for too, separated by commas")
    ] = ""
    models: Annotated[
        Path | None,
        Field(description="where pulled and imported models lie; none: in the Hugging Face cache"),
    ] = None
    device: Annotated[str, Field(description="auto, cpu, cuda, cuda:1, mps")] = "auto"
    precision: Annotated[
        str, Field(description="how models calculate: exact (float32) or bf16, faster and nearly the same")
    ] = "exact"
    host: Annotated[str, Field(description="address the web server listens on")] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535, description="port of the web server")] = 8420
    images: ImageLimits = ImageLimits()
    worker: Worker = Worker()
    fetch: Fetch = Fetch()
    search: Search = Search()
    logs: Logs = Logs()
    access: Access = Access()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then variables, then files that variables name, then what the library reads besides."""
        named_files = NamedFiles(settings_cls)
        return init_settings, env_settings, named_files, dotenv_settings, file_secret_settings

    @property
    def own_tag_sets(self) -> tuple[str, ...]:
        """The names in `own_tags`."""
        return tuple(name.strip() for name in self.own_tags.split(",") if name.strip())

    @property
    def chosen_models(self) -> dict[Literal["tagger", "captioner", "embedder"], str]:
        """The name of the model that does each kind of work."""
        return {"tagger": self.tagger, "captioner": self.captioner, "embedder": self.embedder}

    @property
    def storage(self) -> str:
        """Where originals and thumbnails live: the configured URL, or a folder under `home`."""
        return self.storage_url or str(self.home / "store")

    @property
    def models_home(self) -> Path:
        """Where installed models lie, a folder each: `models`, or a folder in the Hugging Face cache, found as its
        own library finds it (HF_HOME, XDG_CACHE_HOME, ~/.cache), so that one variable moves every download.
        """
        if self.models is not None:
            return self.models.expanduser()
        cache_home = os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))
        hub_home = os.environ.get("HF_HOME") or str(Path(cache_home) / "huggingface")
        return Path(os.path.expandvars(hub_home)).expanduser() / "sightline"


class NamedFiles(EnvSettingsSource):
    """Reads `SIGHTLINE_X_FILE` as the value of `SIGHTLINE_X`: the file's text without the line's end.

    Raises:
        ConfigurationError: the file cannot be read, or the value is given both ways.
    """

    def _load_env_vars(self) -> Mapping[str, str | None]:
        given = super()._load_env_vars()
        files = {name.removesuffix("_file"): path for name, path in given.items() if _names_file(name)}
        for name in files:
            if name in given:
                raise ConfigurationError(f"Both {name.upper()} and {name.upper()}_FILE are set; keep one.")
        return {name: _content(name, path) for name, path in files.items() if path}


def _names_file(variable: str) -> bool:
    return variable.startswith("sightline_") and variable.endswith("_file")


def _content(name: str, path: str) -> str:
    try:
        return Path(path).read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{name.upper()}_FILE names {path}, which cannot be read: {error}"
        ) from error


@cache
def get_settings() -> Settings:
    """The process's settings, read once from the environment."""
    return Settings()
