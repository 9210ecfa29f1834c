"""Why an image was found."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.catalog.hits import CaptionView, ImageView, TagView
from indexer.query import All, Any, ImageTerm, Not, Query, TagIs, TextTerm
from indexer.search import reasons
from indexer.search.background import Spread
from indexer.search.reasons import asked_tags, channel_parts, matched_caption, matched_tags, spans, term_parts

DOG, SNOW, GRASS = 1, 2, 3


def shown(tag_id: int, name: str, confidence: float, kind: str = "tagger", rejected: bool = False) -> TagView:
    """One statement about an image."""
    return TagView(tag_id, name, confidence, 0.4 if kind == "tagger" else None, rejected, kind, "small", "1")


def image(tags: list[TagView], captions: list[str]) -> ImageView:
    """An image of which this is said."""
    none = dict.fromkeys(("error_code", "error_message", "taken_at", "title", "description", "place"))
    place = {"latitude": None, "longitude": None}
    return ImageView(
        id=17,
        content_hash=bytes(32),
        state="indexed",
        bytes=1,
        format="jpeg",
        width=1,
        height=1,
        added_at=datetime.now(UTC),
        indexed_at=None,
        tags=tuple(tags),
        captions=tuple(CaptionView(text, "captioner", "small", "1", ()) for text in captions),
        sources=(),
        **none,
        **place,
    )


def marked(caption: str, *texts: str, names: tuple[str, ...] = ()) -> list[str]:
    """The words of a caption that are marked."""
    return [caption[start:end] for start, end in spans(caption, texts, names)]


def test_words_of_the_caption_that_were_asked_for() -> None:
    """In any form, without those that only join others, each where it stands."""
    assert marked("Two dogs run on the grass", "a dog running on a beach") == ["dogs", "run"]
    assert marked("a dog and a dog", "dog") == ["dog", "dog"]
    assert marked("nothing of it", "dog") == []


def test_names_must_stand_together() -> None:
    """Of a tag's name and aliases all words count, in a row; a longer match swallows a shorter one."""
    caption = "a light by the traffic lights"
    assert marked(caption, names=("traffic light",)) == ["traffic lights"]
    assert marked(caption, names=("traffic_light",)) == ["traffic lights"]
    assert marked(caption, "traffic", names=("traffic light", "stop sign")) == ["traffic lights"]
    assert marked("a puppy plays", names=("dog", "puppy")) == ["puppy"]


@settings(deadline=None)
@given(st.text(max_size=60), st.text(max_size=20), st.text(max_size=20))
def test_spans_lie_within_and_apart(caption: str, text: str, name: str) -> None:
    """Whatever is asked, what is marked can be drawn."""
    found = spans(caption, [text], [name])
    assert all(0 <= start < end <= len(caption) for start, end in found)
    assert list(found) == sorted(found)


def test_of_several_captions_the_best_is_shown() -> None:
    """The one with the most words asked for; none if none has any."""
    found = matched_caption(["a dog", "a dog in snow", "snow dog"], ["dog snow"])
    assert found is not None
    assert (found.text, len(found.spans)) == ("a dog in snow", 2)
    assert matched_caption(["a cat"], ["dog"]) is None


def test_channels_add_up_to_the_score() -> None:
    """Each part is weight times standing; a channel without anything stands at the mean and adds nothing."""
    scales = {"image": Spread(0.2, 0.1), "caption": Spread(0.5, 0.2)}
    weights = {"image": 0.8, "caption": 0.2}
    parts = channel_parts({"image": 0.5, "caption": None}, scales, weights, 1.5)
    assert parts["image"].standing == pytest.approx(3)
    assert parts["image"].part == pytest.approx(2.4)
    assert (parts["caption"].part, parts["caption"].standing) == (0, None)
    assert sum(part.part for part in parts.values()) == pytest.approx(3.9)
    assert "tag" not in channel_parts({}, scales, weights)


@settings(deadline=None)
@given(st.integers(1, 5), st.integers(0, 1000))
def test_terms_add_up_to_the_channels(terms: int, seed: int) -> None:
    """Whatever they are weighted, the terms' parts are the score's, exactly shared out."""
    rng = np.random.default_rng(seed)
    weighted = rng.normal(size=(terms, 16))
    shares = weighted / np.linalg.norm(weighted.sum(0))
    embeddings = {name: rng.normal(size=16) for name in ("image", "caption")}
    centres = {name: rng.normal(size=16) for name in embeddings}
    scales = {"image": Spread(0.1, 0.2), "caption": Spread(0.3, 0.1)}
    weights = {"image": 0.8, "caption": 0.2}
    cosines: dict[str, float | None] = {name: float(shares.sum(0) @ row) for name, row in embeddings.items()}
    channels = channel_parts(cosines, scales, weights)
    parts = term_parts(shares, embeddings, scales, weights, centres)
    assert parts.sum() == pytest.approx(sum(part.part for part in channels.values()), abs=1e-6)


def test_the_term_an_image_resembles_gets_the_credit() -> None:
    """Of two terms, the one whose direction the image lies in; a subtracted one that it lies in, the blame."""
    axes = np.eye(3)
    centres = {"image": np.zeros(3)}
    scales, weights = {"image": Spread(0.0, 0.1)}, {"image": 1.0}
    first, second = term_parts(axes[:2] / 2**0.5, {"image": axes[0]}, scales, weights, centres)
    assert first > 5
    assert second == pytest.approx(0)
    less = np.stack([axes[0], -axes[1]]) / 2**0.5
    assert term_parts(less, {"image": axes[1]}, scales, weights, centres)[1] < -5


def test_which_tags_a_filter_asks_for() -> None:
    """Also those of alternatives, not those excluded."""
    asked = All((TagIs("dog", tag_id=DOG), Any((TagIs("snow", tag_id=SNOW), Not(TagIs("x", tag_id=9))))))
    assert asked_tags(asked) == (DOG, SNOW)
    assert asked_tags(Not(TagIs("grass", tag_id=GRASS))) == ()


def test_the_surest_statement_speaks_for_a_tag() -> None:
    """A person's before a machine's, however sure; what was rejected or not asked is left out."""
    tags = [
        shown(DOG, "dog", 0.9),
        shown(DOG, "dog", 0.8, "person"),
        shown(SNOW, "snow", 0.7),
        shown(SNOW, "snow", 0.75),
        shown(GRASS, "grass", 1.0, "person", rejected=True),
        shown(9, "sky", 0.9),
    ]
    found = matched_tags(tags, {DOG, SNOW, GRASS})
    assert [(tag.name, tag.confidence, tag.kind) for tag in found] == [
        ("dog", 0.8, "person"),
        ("snow", 0.75, "tagger"),
    ]
    assert found[1].threshold == 0.4


def test_reasons_of_a_hit() -> None:
    """Tags of the filter and tags named in the text, caption words of wanted texts and of tags, also by alias."""
    view = image([shown(DOG, "dog", 0.9), shown(GRASS, "grass", 0.5)], ["a puppy on green grass, no snow"])
    query = Query(
        (TextTerm("playing on grass"), TextTerm("snow", -1.0), ImageTerm(3)), TagIs("dog", tag_id=DOG)
    )
    why = reasons.of_hit(view, query, named=[GRASS], aliases={DOG: ["puppy"]})
    assert [tag.name for tag in why.tags] == ["dog", "grass"]
    assert why.caption is not None
    assert [why.caption.text[a:b] for a, b in why.caption.spans] == ["puppy", "grass"]
    assert reasons.of_filter(view, query).channels == {}
