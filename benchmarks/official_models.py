"""The official code as its authors' scripts run it, measured, by the Python of an environment of its own.

    cd <this repository> && <its python> -m benchmarks.official_models <its checkout>

It wants transformers 4.25 and timm 0.4.12, which is why it cannot live in one process with ours. Nothing of it is
here but the names it is called by.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import torch

from benchmarks.measured_process import Answer, measured, serve

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Official:
    """One of their models; answers the questions of `benchmarks.models`."""

    model: Any
    images: Any
    device = "cpu"

    def load(self, model: str, checkpoint: str, device: str, tokenizer: str, images: str) -> Answer:
        """Construct and load as `inference_<model>.py` does; `tokenizer` is a name or a folder with vocab.txt."""
        from ram import models

        self.device = device
        self._name = model

        def construct() -> Answer:
            swin = "swin_b" if model == "tag2text" else "swin_l"
            build = getattr(models, model)
            network = build(pretrained=checkpoint, image_size=384, vit=swin, text_encoder_type=tokenizer)
            self.model = network.eval().to(device)
            return {}

        answer = measured(construct, device)
        self.images = self._normalised(np.load(images))
        return answer

    def _normalised(self, pixels: np.ndarray) -> torch.Tensor:
        """(N, 384, 384, 3) uint8 -> what their transform makes of images of this size."""
        scaled = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
        return ((scaled - mean) / std).contiguous().to(self.device)

    def run(self, task: str, batch: int, start: int) -> Answer:
        """`tags`, `captions` (their loop, image by image) or `batched captions` of images from number `start`."""
        chosen = (torch.arange(batch) + start) % len(self.images)
        images = self.images[chosen.to(self.images.device)]
        work = {"tags": self._tags, "captions": self._captions, "batched captions": self._batched}[task]
        with torch.no_grad():
            return measured(lambda: work(images), self.device)

    def _tags(self, images: torch.Tensor) -> Answer:
        if self._name == "tag2text":
            return self._tag2text_tags(images)
        names = self.model.generate_tag(images)[0]
        return {"tags": [row.split(" | ") if row else [] for row in names]}

    def _tag2text_tags(self, images: torch.Tensor) -> Answer:
        """Their `batch_inference.py` is the only script that tags without a caption; the same calls."""
        tokens = self.model.visual_encoder(images)
        answers, _ = self.model.tagging_head(
            encoder_embeds=self.model.label_embed.weight.unsqueeze(0).repeat(len(images), 1, 1),
            encoder_hidden_states=tokens,
            encoder_attention_mask=torch.ones(tokens.shape[:-1], dtype=torch.long, device=tokens.device),
            return_dict=False,
            mode="tagging",
        )
        fired = torch.sigmoid(self.model.fc(answers)).cpu() > self.model.class_threshold
        fired[:, self.model.delete_tag_index] = False
        return {"tags": [self.model.tag_list[row.numpy()].tolist() for row in fired]}

    def _captions(self, images: torch.Tensor) -> Answer:
        from ram import inference_tag2text

        return {"captions": [inference_tag2text(image[None], self.model)[2] for image in images]}

    def _batched(self, images: torch.Tensor) -> Answer:
        captions = self.model.generate(images, tag_input=None, max_length=50, return_tag_predict=True)[0]
        return {"captions": captions}

    def about(self) -> Answer:
        """Versions, and whether their captions of a batch belong to the images they are given for."""
        import timm
        import transformers

        major, minor = (int(part) for part in transformers.__version__.split(".")[:2])
        return {
            "python": sys.version.split()[0],
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "timm": timm.__version__,
            "batches_captions": (major, minor) < (4, 27),
        }


def main() -> None:
    sys.path.insert(0, sys.argv[1])
    official = Official()
    serve({"load": official.load, "run": official.run, "about": official.about})


if __name__ == "__main__":
    main()
