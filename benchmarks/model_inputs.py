"""What `benchmarks.models` feeds both sides: photographs, checkpoints, tag lists, a tokenizer."""

import os
import shutil
from pathlib import Path

import numpy as np

from benchmarks.measured_process import ROOT
from indexer.cli.demo import bundled_photographs
from indexer.images import InputSpec, Limits, decode
from indexer.model_hub.home import Home
from indexer.model_hub.installing import install, understand
from indexer.model_hub.pulling import side_file_fetcher
from indexer.published import BERT_TOKENS, MODELS
from indexer.settings import Settings

INPUT = InputSpec(384, "squash", "bilinear")
TEST_DATA = Path(os.environ.get("SIGHTLINE_TEST_DATA", ROOT.parent / "shared"))
VAL = TEST_DATA / "photos" / "flickr8k" / "val"


def images(count: int, photos: Path | None, file: Path) -> tuple[int, str]:
    """Write (N, 384, 384, 3) uint8, resized as indexing does; returns N, at most `count`, and what they are."""
    folder = photos or VAL
    paths = sorted(folder.rglob("*.jpg"))[:count] if folder.is_dir() else bundled_photographs()[:count]
    if not folder.is_dir():
        print(f"No {folder}: the {len(paths)} photographs inside installed libraries instead.")
    limits = Limits()
    np.save(file, np.stack([decode(path.read_bytes(), [INPUT], limits).inputs[0] for path in paths]))
    kind = "photographs" if photos or not folder.is_dir() else "photographs of Flickr8k's validation part"
    return len(paths), f"{len(paths)} {kind}"


def checkpoint(model: str, folder: Path | None) -> Path | None:
    """The released file, under our name for the model or the authors'."""
    names = (f"{model}.pth", MODELS[model].file)
    return next((folder / name for name in names if (folder / name).is_file()), None) if folder else None


def installed(model: str, checkpoints: Path | None, lists: Path | None) -> Path | None:
    """The models home that has this model, installed into `checkpoints`/installed if need be; None, said, if not."""
    home = Home(checkpoints / "installed" if checkpoints else Settings().models_home)
    file = checkpoint(model, checkpoints)
    if file is not None:
        folders = [folder for folder in (lists, file.parent) if folder]
        install(understand(file, model), home, side_file_fetcher(home), folders)
    if home.of(model).is_dir():
        return home.folder
    print(
        f"No weights for {model}, left out. Bring them: `sightline models pull {model}`; or put"
        f" {MODELS[model].file} into a folder and give --checkpoints; or, to measure speed alone, make some from"
        " numbers: `python -m tests.golden FOLDER`."
    )
    return None


def tokenizer(checkpoints: Path, lists: Path | None, scratch: Path) -> str:
    """A folder for the official code's tokenizer, or the name it would download by itself."""
    for folder in filter(None, (lists, checkpoints)):
        for name in BERT_TOKENS.names:
            if (folder / name).is_file():
                (scratch / "tokenizer").mkdir(exist_ok=True)
                shutil.copyfile(folder / name, scratch / "tokenizer" / "vocab.txt")
                return str(scratch / "tokenizer")
    return "bert-base-uncased"


def into_page_cache(file: Path) -> None:
    """Read it once, so that loading is compared and not the disk."""
    with file.open("rb") as opened:
        while opened.read(1 << 24):
            pass
