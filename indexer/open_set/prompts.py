"""How a tag is worded for CLIP: the prompts RAM's own label embeddings were made from.

The phrases are those of "Open-vocabulary Object Detection via Vision and Language Knowledge Distillation" (ViLD, Gu et
al., ICLR 2022), as RAM's authors use them; "itap" is how people caption "I took a picture".
"""

from collections.abc import Iterator

PROMPTS = 63
_QUALITIES = (
    *("good", "bad", "bright", "dark", "low resolution", "cropped", "close-up", "jpeg corrupted", "blurry"),
    *("pixelated", "black and white"),
)
_LOOKS = ("nice", "cool", "weird", "small", "large", "clean", "dirty", "hard to see")
_KINDS = ("plastic", "toy", "plushie", "cartoon")


def prompts(name: str) -> list[str]:
    """The 63 sentences a tag is embedded in. `name` must not be empty.

    `_` is read as a space and `/` as "or"; the article goes by the first letter as it was written, so that a capital
    vowel gets "a", as in the embeddings the model was trained with.
    """
    thing = name.replace("_", " ").replace("/", " or ").lower().rstrip(".")
    return list(_phrases(thing, "an" if name[0] in "aeiou" else "a"))


def _phrases(thing: str, article: str) -> Iterator[str]:
    for which in (article, "the"):
        yield f"There is {which} {thing} in the scene."
        yield from (f"This is a {quality} photo of {which} {thing}." for quality in _QUALITIES)
    for which in (article, "the", "one"):
        yield f"This is a photo of {which} {thing} in the scene."
    for which in (article, "my", "the"):
        yield f"itap of {which} {thing}."
    for which in (article, "my", "the", "one", "many"):
        yield f"This is a photo of {which} {thing}."
    for which in ("a", "the"):
        yield from (f"This is a photo of {which} {look} {thing}." for look in _LOOKS)
        yield from (f"This is {which} {kind} {thing}." for kind in _KINDS)
        yield f"This is a painting of {which} {thing}."
    for which in ("an", "the"):
        yield f"This is {which} embroidered {thing}."
