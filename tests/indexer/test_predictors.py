"""The bundled models as the pipeline and the API use them."""

import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data as photographs

from indexer import predictors
from indexer.errors import ConfigurationError, UnknownModel
from indexer.images import InputSpec, Limits, decode
from indexer.predictors import Captioner, Embedder, Tagger


def as_pixels(picture: np.ndarray, spec: InputSpec) -> np.ndarray:
    """What the pipeline would give a model of this picture."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return decode(file.getvalue(), [spec], Limits()).inputs[0]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    return predictors.load_tagger("small", "cpu")


@pytest.fixture(scope="module")
def captioner() -> Captioner:
    return predictors.load_captioner("small", "cpu")


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return predictors.load_embedder("small", "cpu")


@pytest.fixture(scope="module")
def pixels(tagger: Tagger) -> np.ndarray:
    """Four photographs from scikit-image's wheel, (4, S, S, 3)."""
    pictures = (photographs.astronaut(), photographs.chelsea(), photographs.coffee(), photographs.rocket())
    return np.stack([as_pixels(picture, tagger.input) for picture in pictures])


def test_tags_pass_their_thresholds(tagger: Tagger, pixels: np.ndarray) -> None:
    """Every tag reported is over its threshold, a probability, of the vocabulary, and in order."""
    for scores in tagger.tag(pixels):
        assert [s.confidence for s in scores] == sorted((s.confidence for s in scores), reverse=True)
        for score in scores:
            assert score.threshold < score.confidence <= 1
            assert score.tag in tagger.vocabulary


def test_tags_alone_and_together(tagger: Tagger, pixels: np.ndarray) -> None:
    """A batch gives each image what it gets alone."""
    alone = np.concatenate([tagger.confidences(pixels[n : n + 1]) for n in range(len(pixels))])
    np.testing.assert_allclose(tagger.confidences(pixels), alone, atol=1e-5)


def test_captions_alone_and_together(captioner: Captioner, pixels: np.ndarray) -> None:
    """A batch gives each image the caption it gets alone."""
    assert captioner.caption(pixels) == [captioner.caption(pixels[n : n + 1])[0] for n in range(len(pixels))]


def test_captions_differ(captioner: Captioner, pixels: np.ndarray) -> None:
    """Different photographs are described differently, in words."""
    captions = captioner.caption(pixels)
    assert len(set(captions)) == len(captions)
    assert all(len(caption.split()) >= 3 for caption in captions)


def test_tags_guide_the_caption(captioner: Captioner, pixels: np.ndarray) -> None:
    """What a person says is in the picture changes what is written of it."""
    picture = pixels[:1]
    guided = captioner.caption(picture, [["dog", "snow"]])[0]
    assert guided != captioner.caption(picture, [["man", "bicycle"]])[0]


def test_captions_need_a_list_an_image(captioner: Captioner, pixels: np.ndarray) -> None:
    """Too few tag lists are refused."""
    with pytest.raises(ValueError, match="one list an image"):
        captioner.caption(pixels, [["dog"]])


def test_embeddings_are_unit_vectors(embedder: Embedder, pixels: np.ndarray) -> None:
    """Images and texts: float32, of the promised dimension, of length one."""
    for embeddings in (embedder.embed_images(pixels), embedder.embed_texts(["a dog", "snow " * 100, ""])):
        assert embeddings.dtype == np.float32
        assert embeddings.shape[1] == embedder.dimension
        np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-4)


def test_embeddings_alone_and_together(embedder: Embedder, pixels: np.ndarray) -> None:
    """A batch gives the same embeddings, whatever else is in it."""
    alone = np.concatenate([embedder.embed_images(pixels[n : n + 1]) for n in range(len(pixels))])
    np.testing.assert_allclose(embedder.embed_images(pixels), alone, atol=1e-5)
    texts = ["a dog", "a man riding a bicycle on a long road by the sea"]
    np.testing.assert_allclose(embedder.embed_texts(texts)[:1], embedder.embed_texts(texts[:1]), atol=1e-5)


def test_nothing_in_nothing_out(tagger: Tagger, captioner: Captioner, embedder: Embedder) -> None:
    """Empty batches are fine."""
    none = np.zeros((0, tagger.input.size, tagger.input.size, 3), np.uint8)
    assert tagger.tag(none) == []
    assert captioner.caption(none) == []
    assert embedder.embed_images(none).shape == (0, embedder.dimension)
    assert embedder.embed_texts([]).shape == (0, embedder.dimension)


@pytest.mark.parametrize("wrong", [np.zeros((1, 5, 5, 3), np.uint8), np.zeros((1, 192, 192, 3), np.float32)])
def test_wrong_pixels_are_refused(tagger: Tagger, wrong: np.ndarray) -> None:
    """Another size or type names what is expected."""
    with pytest.raises(ValueError, match=r"not \(batch, 192, 192, 3\) uint8"):
        tagger.tag(wrong)


def test_identities(tagger: Tagger, captioner: Captioner, embedder: Embedder) -> None:
    """Kind, name and twelve hex digits."""
    for model, kind in ((tagger, "tagger"), (captioner, "captioner"), (embedder, "embedder")):
        assert (model.identity.kind, model.identity.name) == (kind, "small")
        assert len(bytes.fromhex(model.identity.version)) == 6


@pytest.mark.parametrize(
    "load", [predictors.load_tagger, predictors.load_captioner, predictors.load_embedder]
)
def test_unknown_names(load: type) -> None:
    """Unknown models are refused with the known ones."""
    with pytest.raises(UnknownModel, match="small"):
        load("enormous", "cpu")


def test_unknown_open_clip_model() -> None:
    """A slash means OpenCLIP; what it does not have is refused before anything is fetched."""
    with pytest.raises(UnknownModel, match="list_pretrained"):
        predictors.load_embedder("ViT-Z-99/nobody", "cpu")


def test_devices() -> None:
    """Automatic choice names a device that exists; an impossible one says what to do."""
    assert predictors.resolve_device("auto") in {"cpu", "cuda", "mps"}
    assert predictors.resolve_device("cpu") == "cpu"
    with pytest.raises(ConfigurationError, match="try auto or cpu"):
        predictors.resolve_device("abacus")


def test_one_batch_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Predictors over one backbone file share it, and its answer to the very same array; not to an equal one."""
    tagger, embedder = predictors.load_tagger(), predictors.load_embedder()
    pixels = np.random.default_rng(0).integers(0, 255, (2, 192, 192, 3), dtype=np.uint8)
    first = embedder.embed_images(pixels)
    seen = []
    backbone = tagger._eyes.backbone
    handle = backbone.register_forward_pre_hook(lambda *_: seen.append(1))
    tagger.tag(pixels)
    assert not seen
    assert np.allclose(embedder.embed_images(pixels.copy()), first, atol=1e-5)
    handle.remove()
    assert len(seen) == 1


def test_threads_do_not_take_each_others_batch(tagger: Tagger) -> None:
    """What one thread looks at does not make another look again at what it has seen."""
    first, second = (
        np.random.default_rng(seed).integers(0, 255, (2, 192, 192, 3), dtype=np.uint8) for seed in (1, 2)
    )
    tagger.tag(first)
    with ThreadPoolExecutor(1) as other:
        elsewhere = other.submit(tagger.tag, second).result()
    seen: list[int] = []
    handle = tagger._eyes.backbone.register_forward_pre_hook(lambda *_: seen.append(1))
    tagger.tag(first)
    assert not seen
    assert tagger.tag(second) == elsewhere
    handle.remove()
    assert len(seen) == 1
