"""Named models, ready to run."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict
from weakref import WeakValueDictionary

import torch
from torch import nn

from indexer.checkpoints import ModelSpec, build, read_spec, version_of, weights_version
from indexer.errors import CheckpointError, UnknownModel
from indexer.images import InputSpec
from indexer.modeling.clip import DualEncoder, OpenClip
from indexer.modeling.inference import Precision, checked_precision, prepare
from indexer.modeling.ram import Ram
from indexer.modeling.tag2text import Tag2Text
from indexer.modeling.wordpiece import WordPiece
from indexer.open_set.own_tags import read_sets
from indexer.predictors.captioner import SEARCH, Captioner
from indexer.predictors.embedder import Embedder, OpenClipTowers, SmallTowers
from indexer.predictors.identity import ModelIdentity
from indexer.predictors.tagger import Tagger
from indexer.predictors.vision import Eyes, eyes_of, resolve_device
from indexer.vocabulary import load_vocabulary

_networks: WeakValueDictionary[tuple[str, str, Precision], nn.Module] = WeakValueDictionary()


class Options(TypedDict):
    """How models are loaded, the same for all of one process; see `load_tagger`."""

    device: str
    installed: Path | None
    precision: Precision


def options(device: str, installed: Path | None, precision: str) -> Options:
    """Options from settings, checked.

    Args:
        device: "auto", "cpu", "cuda", ...
        installed: folder of imported and pulled models.
        precision: "exact" or "bf16".

    Raises:
        ConfigurationError: a device this machine does not have, a precision nobody knows.
    """
    return Options(device=resolve_device(device), installed=installed, precision=checked_precision(precision))


def load_tagger(
    name: str = "small",
    device: str = "cpu",
    installed: Path | None = None,
    precision: Precision = "exact",
    own_tags: Sequence[str] = (),
) -> Tagger:
    """A bundled tagger, or one of the folder `installed`, ready to run; with these sets of one's own tags as well.

    Raises:
        UnknownModel: listing the known names, or how to get a published model.
        CheckpointError: weights that do not fit.
        ConfigurationError: own tags it does not have or cannot have, or of different text encoders.
    """
    spec, folder = read_spec("tagger", name, installed)
    sets = read_sets(folder, own_tags)
    network, eyes = _load(spec, folder, device, precision)
    if not isinstance(network, Ram | Tag2Text):
        raise CheckpointError(f"{folder}: {spec.architecture!r} does not tag")
    vocabulary = load_vocabulary(folder / (spec.vocabulary or "vocabulary.json"))
    identity, exact = _identity(spec, folder, precision), precision == "exact"
    tagger = Tagger(network, eyes, identity, spec.input, vocabulary, spec.calibration, exact=exact)
    for own in sets:
        tagger = tagger.with_tags(own.vocabulary, own.label_embed)
    return tagger


def load_captioner(
    name: str = "small", device: str = "cpu", installed: Path | None = None, precision: Precision = "exact"
) -> Captioner:
    """A captioner, ready to run; arguments and errors as of `load_tagger`."""
    spec, folder = read_spec("captioner", name, installed)
    network, eyes = _load(spec, folder, device, precision)
    if not isinstance(network, Tag2Text):
        raise CheckpointError(f"{folder}: {spec.architecture!r} does not caption")
    vocabulary = load_vocabulary(folder / (spec.vocabulary or "vocabulary.json"))
    tokenizer = WordPiece.load(folder / (spec.tokenizer or "tokenizer.txt"))
    identity = _identity(spec, folder, precision)
    search = spec.search or SEARCH
    return Captioner(network, eyes, identity, spec.input, vocabulary, tokenizer, spec.calibration, search)


def load_embedder(
    name: str = "small", device: str = "cpu", installed: Path | None = None, precision: Precision = "exact"
) -> Embedder:
    """An embedder, or an OpenCLIP one as "<model>/<pretrained>"; arguments and errors as of `load_tagger`."""
    if "/" in name:
        return _load_open_clip(name, device)
    spec, folder = read_spec("embedder", name, installed)
    network, eyes = _load(spec, folder, device, precision)
    if not isinstance(network, DualEncoder):
        raise CheckpointError(f"{folder}: {spec.architecture!r} does not embed")
    tokenizer = WordPiece.load(folder / (spec.tokenizer or "tokenizer.txt"))
    towers = SmallTowers(network, eyes, tokenizer, device)
    return Embedder(towers, _identity(spec, folder, precision), spec.input, network.config.dimension)


def _identity(spec: ModelSpec, folder: Path, precision: Precision) -> ModelIdentity:
    version = version_of(spec, folder)
    return ModelIdentity(spec.kind, spec.name, version if precision == "exact" else f"{version}+{precision}")


def _load(spec: ModelSpec, folder: Path, device: str, precision: Precision) -> tuple[nn.Module, Eyes]:
    """The network, once in memory however many predictors speak through it, and its eyes."""
    version = version_of(spec, folder)
    key = (version, device, precision)
    network = _networks.get(key)
    if network is None:
        _networks[key] = network = build(spec, folder)
    shared = len(spec.weights) > 1
    backbone = weights_version((folder / spec.weights[0],)) if shared else version
    eyes = eyes_of(network, spec, backbone, device, precision)
    prepare(network, device, precision)
    return network, eyes


def _load_open_clip(name: str, device: str) -> Embedder:
    """`pretrained` is one of OpenCLIP's tags (its library fetches the weights) or the path of a weights file."""
    import open_clip

    architecture, pretrained = name.split("/", 1)
    is_file = Path(pretrained).is_file()
    if architecture not in open_clip.list_models() or not (
        is_file or pretrained in open_clip.list_pretrained_tags_by_model(architecture)
    ):
        raise UnknownModel(
            f"OpenCLIP has no {name!r}: `open_clip.list_pretrained()` lists every model and tag"
        )
    model, _, _ = open_clip.create_model_and_transforms(architecture, pretrained=pretrained)
    visual = model.visual
    size = visual.image_size[0] if isinstance(visual.image_size, tuple) else visual.image_size
    network = OpenClip(model.eval(), open_clip.get_tokenizer(architecture))
    towers = OpenClipTowers(network, visual.image_mean, visual.image_std, device)
    version = weights_version((Path(pretrained),)) if is_file else _state_version(model)
    dimension = int(open_clip.get_model_config(architecture)["embed_dim"])
    identity = ModelIdentity("embedder", name, version)
    return Embedder(towers, identity, InputSpec(size, "crop", "bicubic"), dimension)


def _state_version(module: nn.Module) -> str:
    """A version for weights that came without a file of ours: SHA-256 over their bytes, in key order."""
    import hashlib

    digest = hashlib.sha256()
    for key, value in sorted(module.state_dict().items()):
        digest.update(key.encode())
        digest.update(value.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:12]
