"""Our side of `benchmarks.models`: installed models through the predictors that indexing uses.

python -m benchmarks.own_models
"""

import importlib.metadata
import platform
from pathlib import Path

import numpy as np
import torch

from benchmarks import model_cost
from benchmarks.measured_process import Answer, measured, serve
from indexer.checkpoints import ARCHITECTURES, from_plain, read_spec
from indexer.modeling.beam import BeamConfig
from indexer.predictors import Captioner, Tagger, load_captioner, load_tagger

CAPTION_SEARCH = BeamConfig(beams=3, max_length=50, min_length=10)  # as the official script asks


class Own:
    """One of our models in one precision."""

    tagger: Tagger
    captioner: Captioner | None = None
    images: np.ndarray
    device = "cpu"

    def load(self, model: str, home: str, device: str, precision: str, images: str) -> Answer:
        """Everything indexing loads, ready to run: weights mapped, converted, packed."""
        self.device, installed = device, Path(home)

        def build() -> Answer:
            self.tagger = load_tagger(model, device, installed=installed, precision=precision)
            if model == "tag2text":
                self.captioner = load_captioner(model, device, installed=installed, precision=precision)
                self.captioner.search = CAPTION_SEARCH
            return {}

        answer = measured(build, device)
        self.images = np.load(images, mmap_mode="r")
        return answer

    def _chosen(self, batch: int, start: int) -> np.ndarray:
        """A new array every time: the predictors look at the very same array only once."""
        return self.images[(np.arange(batch) + start) % len(self.images)]

    def run(self, task: str, batch: int, start: int) -> Answer:
        """`backbone`, `tags` or `captions` of images from number `start`, all of a batch together."""
        pixels = self._chosen(batch, start)
        work = {"backbone": self._backbone, "tags": self._tags, "captions": self._captions}
        return measured(lambda: work[task](pixels), self.device)

    def _backbone(self, pixels: np.ndarray) -> Answer:
        self.tagger.look(pixels)
        return {}

    def _tags(self, pixels: np.ndarray) -> Answer:
        return {"tags": [[score.tag for score in row] for row in self.tagger.tag(pixels)]}

    def _captions(self, pixels: np.ndarray) -> Answer:
        assert self.captioner is not None
        return {"captions": self.captioner.caption(pixels)}

    def confidences(self, batch: int, start: int, file: str) -> Answer:
        """(batch, tags) float32 probabilities of images from number `start`, written to `file`."""
        np.save(file, self.tagger.confidences(self._chosen(batch, start)))
        return {"thresholds": list(self.tagger.vocabulary.thresholds)}

    def cost(self, model: str, home: str) -> Answer:
        """Operations an image costs, by part."""
        spec, _ = read_spec("captioner" if model == "tag2text" else "tagger", model, Path(home))
        config = from_plain(ARCHITECTURES[spec.architecture][0], spec.config)
        return vars(model_cost.cost(config))

    def gemm(self, device: str) -> Answer:
        """FLOP/s of this machine's best large matrix product, by type."""
        return {"peaks": model_cost.gemm_peaks(device)}

    def about(self) -> Answer:
        """What a figure depends on."""
        return {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": importlib.metadata.version("numpy"),
            "threads": torch.get_num_threads(),
            "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        }


def main() -> None:
    own = Own()
    answers = ("load", "run", "confidences", "cost", "gemm", "about")
    serve({name: getattr(own, name) for name in answers})


if __name__ == "__main__":
    main()
