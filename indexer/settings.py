"""Every setting, with one prefix. A variable `SIGHTLINE_X__Y` sets field `y` of group `x`.

Nothing needs to be set: without URLs, the servers are started privately under `home`.
Read by roots only (command line, worker, web server, migrations); everything else takes arguments.
"""

import os
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


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
    task_size: Annotated[int, Field(gt=0, description="images one queued task carries")] = 64
    decoders: Annotated[
        int, Field(ge=0, description="decoding processes; 0 means one per core, at most 8")
    ] = 0
    metrics_host: Annotated[str, Field(description="address a worker's metrics and health answer on")] = (
        "127.0.0.1"
    )
    metrics_port: Annotated[
        int, Field(ge=0, le=65535, description="port of a worker's metrics and health; 0: none")
    ] = 0


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
    search: Search = Search()
    logs: Logs = Logs()

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


@cache
def get_settings() -> Settings:
    """The process's settings, read once from the environment."""
    return Settings()
