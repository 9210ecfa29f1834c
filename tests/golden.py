"""Checkpoints in the layout RAM, RAM++ and Tag2Text are released in, filled with reproducible numbers.

What the released networks answered on such numbers is recorded beside the rule that makes them, in a folder that is
not part of this project: SIGHTLINE_TEST_DATA, or `shared` beside the repository. Whoever needs it skips without it.

    python -m tests.golden FOLDER [ram ram_plus tag2text] [--tiny]

writes FOLDER/<model>.pth.
"""

import argparse
import importlib.util
import json
import os
import re
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, get_args

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from indexer.modeling.beam import BeamConfig
from indexer.modeling.swin import relative_positions, shift_mask

Model = Literal["ram", "ram_plus", "tag2text"]
MODELS: tuple[Model, ...] = get_args(Model)
DATA = Path(os.environ.get("SIGHTLINE_TEST_DATA", Path(__file__).parents[2] / "shared"))
GOLDEN, TINY = DATA / "golden", DATA / "golden" / "tiny"
needs_golden = pytest.mark.skipif(
    not TINY.is_dir(), reason=f"no golden outputs in {GOLDEN}: set SIGHTLINE_TEST_DATA"
)

WINDOW = 12  # tokens along a side of every attention window of the three models, the shrunken ones too
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
_TINY_EOS_BONUS = 1.2
_CHUNK = 1 << 18  # numbers made at a time by one thread; its temporaries stay near the cores


@cache
def rule(tiny: bool = False) -> ModuleType:
    """The module that says which number stands where, set for the full-size or the shrunken networks."""
    found = importlib.util.spec_from_file_location("golden_rule", GOLDEN / "rule.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    if tiny:
        module.EOS_BONUS = _TINY_EOS_BONUS
    return module


def described_keys(model: Model, tiny: bool = False) -> dict[str, dict[str, Any]]:
    """Released name -> shape, dtype and kind (param or buffer), in the released order."""
    folder = TINY if tiny else GOLDEN
    keys: dict[str, dict[str, Any]] = json.loads((folder / f"state_dict_{model}.json").read_text())["keys"]
    return keys


def learned(entries: Mapping[str, tuple[int, ...]], tiny: bool = False) -> dict[str, Tensor]:
    """The rule's float32 numbers for these released names and shapes. Names that are tied share one tensor.

    numpy lets go of the interpreter while it computes, so threads fill different parts of the arrays.
    """
    law = rule(tiny)
    owners = {law.canonical(key): shape for key, shape in entries.items()}
    arrays = {key: np.empty(shape, np.float32) for key, shape in owners.items()}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        parts = [
            pool.submit(_fill, law, key, array, start)
            for key, array in arrays.items()
            for start in range(0, array.size, _CHUNK)
        ]
        for part in parts:
            part.result()
    tensors = {key: torch.from_numpy(array) for key, array in arrays.items()}
    return {key: tensors[law.canonical(key)] for key in entries}


def _fill(law: ModuleType, key: str, array: np.ndarray, start: int) -> None:
    """One chunk of what `law.value` gives, bit for bit, without its large temporaries."""
    if array.size <= _CHUNK:
        array[...] = law.value(key, array.shape)
        return
    mean, std = law.mean_std(key, array.shape)
    part = array.reshape(-1)[start : start + _CHUNK]
    np.add(mean, std * law.noise(key, part.size, start), out=part, casting="same_kind")


def defined(key: str, shape: tuple[int, ...]) -> Tensor:
    """A buffer as the architecture defines it; raises KeyError for one that is not known here."""
    if key.endswith("relative_position_index"):
        return relative_positions(WINDOW)
    if key.endswith("attn_mask"):
        return shift_mask(WINDOW * round(shape[0] ** 0.5), WINDOW, WINDOW // 2)
    if key.endswith("position_ids"):
        return torch.arange(shape[1])[None]
    raise KeyError(f"no rule for the buffer {key}")


def released_state(model: Model, tiny: bool = False) -> dict[str, Tensor]:
    """Every tensor of a released state dict, under its released name, in its order, tied ones sharing storage."""
    keys = described_keys(model, tiny)
    shapes = {key: tuple(entry["shape"]) for key, entry in keys.items()}
    filled = learned({key: shapes[key] for key, entry in keys.items() if entry["kind"] == "param"}, tiny)
    state = {key: filled[key] if key in filled else defined(key, shapes[key]) for key in keys}
    for key, entry in keys.items():
        assert state[key].shape == shapes[key], key
        assert state[key].dtype == getattr(torch, entry["dtype"]), key
    return state


def write_checkpoint(
    model: Model, file: Path, tiny: bool = False, changed: Mapping[str, Tensor | None] | None = None
) -> Path:
    """Write `file` as the training script of the released models would; returns it.

    Args:
        changed: tensors to put in place of, or beside, the rule's; None leaves a key out.
    """
    state: dict[str, Tensor | None] = {**released_state(model, tiny), **(changed or {})}
    kept = {key: value for key, value in state.items() if value is not None}
    config = {"image_size": 384, "vit": "swin_b" if model == "tag2text" else "swin_l", "batch_size": 52}
    torch.save({"model": kept, "config": config, "epoch": 0}, file)
    return file


def own_name(key: str) -> str:
    """A released name as our modules have it: a downsample belongs to the start of the next stage."""
    return re.sub(r"layers\.(\d)\.downsample", lambda found: f"layers.{int(found[1]) + 1}.downsample", key)


def own_weights(model: Model, wanted: Collection[str], tiny: bool = False) -> dict[str, Tensor]:
    """The learned tensors among `wanted`, under the names our modules use."""
    shapes = {
        key: tuple(entry["shape"])
        for key, entry in described_keys(model, tiny).items()
        if entry["kind"] == "param" and own_name(key) in wanted
    }
    return {own_name(key): value for key, value in learned(shapes, tiny).items()}


def resized(image: str) -> np.ndarray:
    """(384, 384, 3) uint8 RGB of one of the golden images, as resized for the recorded answers."""
    with Image.open(GOLDEN / "resized" / f"{image}.png") as opened:
        return np.asarray(opened.convert("RGB"))


def pixels(image: str) -> Tensor:
    """(1, 3, 384, 384), normalised as the released models want it."""
    array = (resized(image).astype(np.float32) / 255 - MEAN) / STD
    return torch.from_numpy(array.astype(np.float32)).permute(2, 0, 1)[None]


def search_of(settings: Mapping[str, Any], normalisation: Literal["prompt", "generated"]) -> BeamConfig:
    """Our search for the keyword arguments recorded beside a golden caption."""
    return BeamConfig(
        settings["num_beams"],
        settings["max_length"],
        settings["min_length"],
        settings["repetition_penalty"],
        normalisation,
    )


def main() -> None:
    """Write checkpoints for trials and benchmarks."""
    parser = argparse.ArgumentParser(prog="python -m tests.golden", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("models", nargs="*", choices=[*MODELS, []], default=[])
    parser.add_argument("--tiny", action="store_true", help="the shrunken networks, a few megabytes")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for model in options.models or MODELS:
        write_checkpoint(model, options.folder / f"{model}.pth", options.tiny)


if __name__ == "__main__":
    main()
