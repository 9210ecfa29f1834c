"""How a further model looks at images, and where what it says is kept."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
from sqlalchemy.orm import Session

from indexer.catalog import annotations, filling, models, shelf
from indexer.images import InputSpec

if TYPE_CHECKING:
    from indexer.predictors import Captioner, Embedder, Tagger

# The embedder in effect, and its row.
InEffect = Callable[[], tuple[int, "Embedder"]]


@dataclass(frozen=True)
class Needed:
    """What there is to look at: images by their pixels, captions by caption id, and the tags to caption by."""

    pictures: Sequence[int]
    captions: Mapping[int, str] = field(default_factory=dict)
    guides: Mapping[int, Sequence[str]] = field(default_factory=dict)


class Filling(Protocol):
    """One further model at work. `look` is asked with no transaction open."""

    @property
    def input(self) -> InputSpec:
        """How it wants pixels."""
        ...

    def needed(self, session: Session, image_ids: Sequence[int], /) -> Needed:
        """What it has still to look at of these images."""
        ...

    def look(self, needed: Needed, pixels: Mapping[int, np.ndarray], /) -> Callable[[Session], None]:
        """Look at all that is needed and has pixels, (S, S, 3) uint8 by image; keeps what it found when called."""
        ...


@dataclass(frozen=True)
class EmbedderFilling:
    """Embeddings lie beside those of other embedders."""

    model: "Embedder"
    annotator_id: int

    @property
    def input(self) -> InputSpec:
        """See Filling."""
        return self.model.input

    def needed(self, session: Session, image_ids: Sequence[int]) -> Needed:
        """See Filling."""
        return Needed(
            filling.unembedded_images(session, self.annotator_id, image_ids),
            filling.unembedded_captions(session, self.annotator_id, image_ids),
        )

    def look(self, needed: Needed, pixels: Mapping[int, np.ndarray]) -> Callable[[Session], None]:
        """See Filling."""
        found: dict[int, bytes] = {}
        if pixels:
            found = _packed(pixels, self.model.embed_images(np.stack(list(pixels.values()))))
        captions = _embedded(self.model, needed.captions)

        def keep(session: Session) -> None:
            filling.save_image_embeddings(session, self.annotator_id, found)
            filling.save_caption_embeddings(session, self.annotator_id, needed.captions, captions)

        return keep


@dataclass(frozen=True)
class TaggerFilling:
    """Tags lie on the shelf; where the tagger is in effect already, they are shown at once."""

    model: "Tagger"
    annotator_id: int

    @property
    def input(self) -> InputSpec:
        """See Filling."""
        return self.model.input

    def needed(self, _session: Session, image_ids: Sequence[int]) -> Needed:
        """See Filling."""
        return Needed(image_ids)

    def look(self, _needed: Needed, pixels: Mapping[int, np.ndarray]) -> Callable[[Session], None]:
        """See Filling."""
        rows = self.model.tag(np.stack(list(pixels.values()))) if pixels else []
        said = {i: [(tag.tag, tag.confidence) for tag in row] for i, row in zip(pixels, rows, strict=True)}

        def keep(session: Session) -> None:
            shelf.put_tags(session, self.annotator_id, said)
            if models.in_effect(session)["tagger"].annotator_id == self.annotator_id:
                shelf.swap(session, "tagger", list(said))

        return keep


@dataclass(frozen=True)
class CaptionerFilling:
    """Captions, guided by the tags in effect, lie on the shelf with their embedding by the embedder in effect."""

    model: "Captioner"
    annotator_id: int
    embedder: InEffect

    @property
    def input(self) -> InputSpec:
        """See Filling."""
        return self.model.input

    def needed(self, session: Session, image_ids: Sequence[int]) -> Needed:
        """See Filling. In effect, it is only asked for images it has no caption of, and all captions are embedded."""
        rows = models.in_effect(session)
        guides = filling.tags_of(session, rows["tagger"].annotator_id, image_ids)
        if rows["captioner"].annotator_id != self.annotator_id:
            return Needed(image_ids, guides=guides)
        captions = filling.unembedded_captions(session, rows["embedder"].annotator_id, image_ids)
        return Needed(filling.uncaptioned(session, self.annotator_id, image_ids), captions, guides)

    def look(self, needed: Needed, pixels: Mapping[int, np.ndarray]) -> Callable[[Session], None]:
        """See Filling."""
        embedder_id, embedder = self.embedder()
        guides = [list(needed.guides.get(i, ())) for i in pixels]
        texts = self.model.caption(np.stack(list(pixels.values())), guides) if pixels else []
        packed = annotations.pack(embedder.embed_texts(texts))
        said = {
            i: shelf.CaptionSaid(text, guide, embedder_id, embedding)
            for i, text, guide, embedding in zip(pixels, texts, guides, packed, strict=True)
        }
        captions = _embedded(embedder, needed.captions)

        def keep(session: Session) -> None:
            shelf.put_captions(session, self.annotator_id, said)
            if models.in_effect(session)["captioner"].annotator_id == self.annotator_id:
                shelf.swap(session, "captioner", list(said))
            filling.save_caption_embeddings(session, embedder_id, needed.captions, captions)

        return keep


def _packed(keys: Mapping[int, object], embeddings: np.ndarray) -> dict[int, bytes]:
    return dict(zip(keys, annotations.pack(embeddings), strict=True))


def _embedded(embedder: "Embedder", texts: Mapping[int, str]) -> dict[int, bytes]:
    return _packed(texts, embedder.embed_texts(list(texts.values())))
