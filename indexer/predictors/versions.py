"""Models as the catalogue knows them: by name and version.

The version says all that may change an answer: the weights, the precision they are multiplied in, the tags of one's
own beside a tagger's. So it alone decides how a model is loaded, whatever this machine's settings say.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, overload

from indexer.checkpoints import read_spec, version_of
from indexer.errors import ModelMissing, SightlineError, UnknownModel
from indexer.modeling.inference import Precision
from indexer.open_set import own_tags
from indexer.predictors.captioner import Captioner
from indexer.predictors.embedder import Embedder
from indexer.predictors.identity import ModelIdentity
from indexer.predictors.loading import Options, load_captioner, load_embedder, load_tagger
from indexer.predictors.tagger import Tagger
from indexer.published import Kind

Predictor = Tagger | Captioner | Embedder
_TAGS = "tags."


def identify(kind: Kind, name: str, how: Options, sets: Sequence[str] = ()) -> ModelIdentity:
    """Who a model loaded so would be; its weights are read only where they came from OpenCLIP.

    Args:
        kind: what it does.
        name: its name.
        how: device, folder of installed models, precision.
        sets: a tagger's sets of one's own tags.

    Raises:
        UnknownModel, ConfigurationError, CheckpointError: as of `load_tagger`.
    """
    if "/" in name:
        return load_embedder(name, **how).identity
    spec, folder = read_spec(kind, name, how["installed"])
    precision = how["precision"]
    parts = [version_of(spec, folder), *([] if precision == "exact" else [precision])]
    if kind == "tagger":
        parts += [f"{_TAGS}{own.version}" for own in own_tags.read_sets(folder, sets)]
    return ModelIdentity(kind, spec.name, "+".join(parts))


@overload
def load_version(
    kind: Literal["tagger"], name: str, version: str, device: str, installed: Path | None
) -> Tagger: ...
@overload
def load_version(
    kind: Literal["captioner"], name: str, version: str, device: str, installed: Path | None
) -> Captioner: ...
@overload
def load_version(
    kind: Literal["embedder"], name: str, version: str, device: str, installed: Path | None
) -> Embedder: ...
@overload
def load_version(kind: Kind, name: str, version: str, device: str, installed: Path | None) -> Predictor: ...
def load_version(kind: Kind, name: str, version: str, device: str, installed: Path | None) -> Predictor:
    """The model the catalogue calls so, ready to run on `device`.

    Raises:
        ModelMissing: it is not on this machine, or another version of it is; the message says what to do.
        CheckpointError: its files are damaged.
    """
    try:
        model = _load(kind, name, version, device, installed)
    except UnknownModel as error:
        raise ModelMissing(f"{error} {_otherwise(kind)}") from error
    if model.identity.version != version:
        raise ModelMissing(
            f"The {kind} {name!r} on this machine is another version ({model.identity.version}) than the one the"
            f" library goes by ({version}): bring that one here. {_otherwise(kind)}"
        )
    return model


def _load(kind: Kind, name: str, version: str, device: str, installed: Path | None) -> Predictor:
    _, *how = version.split("+")
    precision: Precision = "bf16" if "bf16" in how else "exact"
    if kind == "captioner":
        return load_captioner(name, device, installed, precision)
    if kind == "embedder":
        return load_embedder(name, device, installed, precision)
    wanted = [part.removeprefix(_TAGS) for part in how if part.startswith(_TAGS)]
    sets = _sets(name, wanted, installed) if wanted else []
    return load_tagger(name, device, installed, precision, sets)


def _sets(tagger: str, wanted: Sequence[str], installed: Path | None) -> list[str]:
    """The names of the sets of one's own tags of these versions."""
    _, folder = read_spec("tagger", tagger, installed)
    found: dict[str, str] = {}
    for name in own_tags.names_of(folder):
        try:
            found[own_tags.load(folder, name).version] = name
        except SightlineError:  # a damaged set matters only where it is asked for
            continue
    missing = [version for version in wanted if version not in found]
    if missing:
        raise UnknownModel(
            f"The tagger {tagger!r} on this machine lacks a set of your own tags that the library goes by (version"
            f" {missing[0]}): add it here as it was, `sightline vocabulary add NAME FILE --tagger {tagger}`."
        )
    return [found[version] for version in wanted]


def _otherwise(kind: Kind) -> str:
    return (
        f"It is this library's {kind}. Or change the library to a model that is here:"
        f" `sightline reindex --{kind} NAME`."
    )
