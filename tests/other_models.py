"""Second models for tests of changing models: the bundled ones with weights a little beside their own."""

from pathlib import Path

import torch

from indexer.checkpoints import ModelSpec, read_spec, read_weights, save_spec, save_weights
from indexer.published import Kind

NAME = "other"
# How far weights stray, in their own standard deviations: other answers, but no noise.
STRAYING: dict[Kind, float] = {"tagger": 0.2, "captioner": 0.1, "embedder": 0.3}


def install_other(home: Path, *kinds: Kind, name: str = NAME, seed: int = 1) -> Path:
    """Install a second tagger, captioner, embedder, or some of them, in the folder `home`, which is returned."""
    folder = home / name
    folder.mkdir(parents=True, exist_ok=True)
    for kind in kinds or STRAYING:
        spec, bundled = read_spec(kind, "small")
        for file in [spec.weights[0], spec.vocabulary, spec.tokenizer]:
            if file and not (folder / file).exists():
                (folder / file).symlink_to(bundled / file)
        _stray(bundled / spec.weights[1], folder / spec.weights[1], STRAYING[kind], seed)
        save_spec(_renamed(spec, name), folder)
    return home


def _stray(source: Path, target: Path, by: float, seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    weights = read_weights((source,))
    for key, tensor in sorted(weights.items()):
        if tensor.is_floating_point() and tensor.ndim > 1:
            noise = torch.randn(tensor.shape, generator=random)
            weights[key] = tensor.float() + by * tensor.float().std() * noise
    save_weights(weights, target)


def _renamed(spec: ModelSpec, name: str) -> ModelSpec:
    return ModelSpec(**{**vars(spec), "name": name})
