"""Full-size RAM, RAM++ and Tag2Text against what the official code answered on the same numbers.

Each network is filled in memory, through the same conversion a released file goes through, and asked twice: as it
is, and made ready for inference as every user runs it.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from indexer.checkpoints import ModelSpec, load_strictly, skeleton
from indexer.images import InputSpec
from indexer.model_hub import side_files
from indexer.model_hub.layout import convert
from indexer.modeling.inference import prepare
from indexer.modeling.ram import Labels, Ram
from indexer.modeling.tag2text import Tag2Text
from indexer.modeling.wordpiece import WordPiece
from indexer.published import MODELS
from indexer.vocabulary import Vocabulary
from tests.golden import (
    GOLDEN,
    Model,
    defined,
    described_keys,
    learned,
    needs_golden,
    pixels,
    rule,
    search_of,
)

pytestmark = [needs_golden, pytest.mark.slow, pytest.mark.timeout(600)]

IMAGES = ("photo", "grad_rgb")
PATHS = ("plain", "prepared")
USER_TAGS = "dog | grass | frisbee"
RAM_MODELS: tuple[Model, ...] = ("ram", "ram_plus")
TOLERANCE = 1e-4  # of the spread: what the order of float32 sums leaves
FLOAT16_TOLERANCE = 5e-3  # a token rounded to float16 is off by a 2048th of itself
Answers = dict[str, Any]


def filled(model: Model) -> nn.Module:
    """The network in its full size; what its conversion leaves out has no numbers, so nothing can read them."""
    keys = described_keys(model)
    shapes = {key: tuple(entry["shape"]) for key, entry in keys.items()}
    needless = ("tag_encoder.", "text_decoder.") if model == "ram" else ("-",)
    wanted = {key: shape for key, shape in shapes.items() if not key.startswith(needless)}
    numbers = learned({key: shape for key, shape in wanted.items() if keys[key]["kind"] == "param"})
    buffers = {key: defined(key, shapes[key]) for key in wanted if key not in numbers}
    absent = {key: torch.empty(shapes[key], device="meta") for key in shapes if key not in wanted}
    converted = convert({**numbers, **buffers, **absent}, model)
    plain = json.loads(json.dumps(converted.config, default=vars))  # as it is read from a file
    square, ones = InputSpec(384), (1.0, 1.0, 1.0)
    network = skeleton(
        ModelSpec("tagger", model, converted.architecture, plain, (), square, ones, ones, "none")
    )
    load_strictly(network, converted.tensors)
    return network


@cache
def vocabulary(model: Model) -> Vocabulary:
    """The tags, thresholds and Chinese names that are published with the model."""
    published = MODELS[model]
    lists = side_files.find(published, [GOLDEN / "data"], pytest.fail)
    return side_files.vocabulary(published, lists, len(lists.lines(published.side_files[0])))


@cache
def recorded(model: Model) -> dict[str, Any]:
    """What the official code said, but for its numbers."""
    answers: dict[str, Any] = json.loads((GOLDEN / f"{model}.json").read_text())
    return answers


@cache
def numbers(model: Model) -> dict[str, np.ndarray]:
    """The official code's numbers."""
    with np.load(GOLDEN / f"{model}.npz") as stored:
        return dict(stored)


FEW = 100  # tags: those of one's own, which another way may answer; what is recorded is of the model's


@contextmanager
def watching(network: Ram | Tag2Text, seen: Answers) -> Iterator[None]:
    """Keep what leaves the parts whose official outputs are known, tokens row-major as (B, N, C)."""
    eyes = network.visual_encoder
    parts: dict[str, nn.Module] = {"patch_embed": eyes.patch_embed, "head_out": network.tagging_head}
    for number, stage in enumerate(eyes.layers):
        assert isinstance(stage, nn.Module)
        for index in (0, 1):
            parts[f"stage{number}_block{index}"] = stage.get_submodule(f"blocks.{index}")
        parts[f"stage{number}"] = stage
        if number:
            parts[f"stage{number - 1}"] = stage.get_submodule("downsample")
    parts["head_layer0"] = network.tagging_head.get_submodule("encoder.layer.0")

    def keep(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def hook(part: nn.Module, _inputs: Any, out: Tensor) -> None:
            if name.startswith("head") and out.shape[1] < FEW:
                return
            tokens = out.flatten(1, 2) if out.dim() == 4 else out
            order = getattr(part, "order", None)
            row_major = tokens if order is None else tokens[:, order.argsort()]
            seen.setdefault(name, row_major)

        return hook

    hooks = [part.register_forward_hook(keep(name)) for name, part in parts.items()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def ask_ram(network: Ram, seen: Answers) -> None:
    """Everything recorded of RAM and RAM++."""
    seen["swin"] = network.visual_encoder(torch.cat([pixels(image) for image in IMAGES]))
    seen["image_embeds"] = network.image_proj(seen["swin"])
    seen["logits"] = network.logits(seen["image_embeds"])
    count = network.config.descriptions
    size = 7 * count * 512
    if count == 1:
        embedded = rule().noise("openset.ram.label_embed.7x1", size)
        seen["label_embed_in"] = network.label_embed.detach().expand(len(IMAGES), -1, -1)
    else:
        embedded = rule().noise("openset.ram_plus.label_embed.7x51", size)
        seen["label_embed_in"] = _weighed(network, seen["image_embeds"][:, 0])
    own = torch.from_numpy((embedded.reshape(-1, 512) / np.sqrt(512)).astype(np.float32))
    labels = network.labels(own)
    seen["openset"] = network.logits(seen["image_embeds"], labels)
    beside = labels.joined(network.own_labels().chosen(torch.arange(20)))
    seen["beside"] = network.logits(seen["image_embeds"], beside)
    seen["from_float16"] = network.logits(seen["image_embeds"].half().float(), beside)


def _weighed(network: Ram, mean_tokens: Tensor) -> Tensor:
    """RAM++'s label embeddings weighed by the images, unprojected: what is behind its relu, from both sides."""
    described = network.label_embed.unflatten(0, (-1, network.config.descriptions))
    zero, scale = torch.zeros(512), float(network.reweight_scale.exp())
    sides = (Labels(sign * described, zero, described, scale).queries(mean_tokens) for sign in (1, -1))
    positive, negative = sides
    return positive - negative


def ask_tag2text(network: Tag2Text, seen: Answers) -> None:
    """Everything recorded of Tag2Text; both images are captioned in one batch."""
    seen["image_embeds"] = tokens = network.visual_encoder(torch.cat([pixels(image) for image in IMAGES]))
    seen["logits"] = network.tag_logits(tokens)
    golden = recorded("tag2text")
    seen["tag_encoder_out"] = network.encode_tags(*read(golden["tags"].values()), tokens)
    seen["user.tag_encoder_out"] = network.encode_tags(*read([USER_TAGS] * len(IMAGES)), tokens)
    seen["captions"] = {}
    for setting, caption in golden["captions"][IMAGES[0]].items():
        encoded = seen["user.tag_encoder_out" if setting.startswith("user") else "tag_encoder_out"]
        seen["captions"][setting] = network.caption_ids(encoded, search_of(caption["kw"], "prompt"))
    seen["steps"] = [
        steps(network, encoded[None], golden["captions"][image]["pred_greedy_max50"]["ids"])
        for image, encoded in zip(IMAGES, seen["tag_encoder_out"], strict=True)
    ]
    seen["decoder_prompt_last_logits"] = torch.stack([first[0] for first in seen["steps"]])


@cache
def tokenizer() -> WordPiece:
    """bert-base-uncased's word pieces."""
    return WordPiece.load(GOLDEN / "data" / "bert-base-uncased-vocab.txt")


def read(tags: Iterable[str]) -> tuple[Tensor, Tensor]:
    """Ids and mask of tag strings, (B, 40) each."""
    rows = [tokenizer().encode_padded(text, 40, tokenizer().encode_begin) for text in tags]
    return torch.tensor([ids for ids, _ in rows]), torch.tensor([mask for _, mask in rows])


def steps(network: Tag2Text, encoded: Tensor, ids: list[int]) -> Tensor:
    """(steps, V) logits of every next token of a known caption, decoded token by token."""
    decoder, prompt = network.text_decoder, len(network.config.prompt)
    cache = decoder.new_cache()
    parts = [ids[:prompt], *([token] for token in ids[prompt:-1])]
    states = [decoder.hidden(torch.tensor([part]), encoded, cache)[0, -1] for part in parts]
    return decoder.logits(torch.stack(states))


@pytest.fixture(scope="module", params=[*RAM_MODELS, "tag2text"])
def answers(request: pytest.FixtureRequest) -> tuple[Model, dict[str, Answers]]:
    """One model's answers on both paths. The network itself is gone by then, so that one at a time is in memory."""
    model: Model = request.param
    network = filled(model)
    assert isinstance(network, Ram | Tag2Text)
    both: dict[str, Answers] = {}
    for path in PATHS:
        seen = both[path] = {}
        if path == "prepared":
            prepare(network, "cpu", "exact")
        with torch.inference_mode(), watching(network, seen):
            if isinstance(network, Ram):
                ask_ram(network, seen)
            else:
                ask_tag2text(network, seen)
    return model, both


def part(name: str, whole: Tensor) -> np.ndarray:
    """Of one image's answer, (N, C) or (N,), the corner that was recorded under this name."""
    rows: slice | list[int] = slice(None)
    columns = None
    if name.startswith(("patch", "stage")):
        rows, columns = slice(0, None, max(1, len(whole) // 8)), 32
        return whole[rows][:8, :columns].numpy()
    if name == "swin":
        rows = [0, 1, 2, 72, 144]
    elif name == "label_embed_in":
        rows, columns = [0, 1, 100, 1000, 4584], 64
    elif name.startswith("head"):
        rows, columns = slice(0, None, 500), 64
    elif name.startswith("user"):
        columns = 64
    return (whole[rows] if columns is None else whole[rows, :columns]).numpy()


def deviation(own: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference, in units of the spread of what is expected."""
    assert own.shape == expected.shape
    return float(np.abs(own - expected).max() / expected.std())


@pytest.mark.parametrize("path", PATHS)
def test_numbers(answers: tuple[Model, dict[str, Answers]], path: str) -> None:
    """Tokens, everything recorded on the way to them, logits, tags of one's own: as close as float32 sums can be."""
    model, both = answers
    compared = set()
    for key, expected in numbers(model).items():
        if key.startswith("openset."):
            image, name = key.split(".")[2], "openset"
        else:
            image, _, name = key.removesuffix(".slice").partition(".")
        if name in both[path]:
            compared.add(name)
            own = part(name, both[path][name][IMAGES.index(image)])
            assert deviation(own, expected.reshape(own.shape)) < TOLERANCE, (path, key)
        else:
            assert path == "prepared", f"nothing to compare with {key}"
    assert compared >= {"stage0", "stage3", "image_embeds", "head_out", "logits"}


@pytest.mark.parametrize("path", PATHS)
def test_new_tags_beside_known_ones(answers: tuple[Model, dict[str, Answers]], path: str) -> None:
    """Each gets the logit it gets alone; from tokens kept as float16, nearly."""
    model, both = answers
    if model not in RAM_MODELS:
        assert "beside" not in both[path]
        return
    seen = both[path]
    spread = float(seen["logits"].std())
    expected = torch.cat([seen["openset"], seen["logits"][:, :20]], 1)
    assert float((seen["beside"] - expected).abs().max()) < TOLERANCE * spread
    assert float((seen["from_float16"] - expected).abs().max()) < FLOAT16_TOLERANCE * spread


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("image", IMAGES)
def test_tags(answers: tuple[Model, dict[str, Answers]], path: str, image: str) -> None:
    """The same tags fire, by number and by name, Chinese names too."""
    model, both = answers
    known, golden = vocabulary(model), recorded(model)
    fired = both[path]["logits"][IMAGES.index(image)].sigmoid() > torch.tensor(known.thresholds)
    tags = fired.nonzero().flatten().tolist()
    assert tags == golden["tag_index"][image]
    assert " | ".join(known.tags[tag] for tag in tags) == golden["tags"][image]
    if "tags_chinese" in golden:
        chinese = [name.strip() for name in golden["tags_chinese"][image].split("|")]
        assert [known.translations["zh"][tag] for tag in tags] == chinese


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("image", IMAGES)
def test_captions(answers: tuple[Model, dict[str, Answers]], path: str, image: str) -> None:
    """Tag2Text's captions token for token, in every setting that was tried, and its five best guesses at each step."""
    model, both = answers
    if model != "tag2text":
        assert "captions" not in both[path]
        return
    golden, number = recorded(model), IMAGES.index(image)
    for setting, expected in golden["captions"][image].items():
        ids, score = both[path]["captions"][setting][number]
        assert ids == expected["ids"], setting
        prompt = len("a picture of ")
        assert tokenizer().decode(ids)[prompt:] == expected["text"]
        if expected["score"] is not None:
            assert score == pytest.approx(expected["score"], abs=TOLERANCE)
    for logits, best in zip(both[path]["steps"][number], golden["step_top5"][image], strict=True):
        own = logits[[token for token, _ in best]]
        assert own.tolist() == pytest.approx([score for _, score in best], abs=TOLERANCE)
        assert bool((logits.topk(5).values.flip(0) - own.sort().values).abs().max() < TOLERANCE)


@pytest.mark.parametrize("image", IMAGES)
def test_tag_text(image: str) -> None:
    """The tags the official code read, recognised or a user's, are the forty ids of ours."""
    golden = recorded("tag2text")
    for name, text in {image: golden["tags"][image], f"{image}.user": USER_TAGS}.items():
        ids, mask = read([text])
        assert ids[0].tolist() == golden["enc_ids"][name]["ids"]
        assert mask[0].tolist() == golden["enc_ids"][name]["mask"]
