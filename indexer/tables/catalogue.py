"""The catalogue's tables: Postgres is the truth, everything else is derived from it.

Sized for ten million images and three hundred million image tags: narrow rows, small integer keys
where a row repeats, one covering index per question asked. What a machine, a person and the file
itself say about an image are separate rows, told apart by `annotator_id`, so none can overwrite
another. Deleting an image deletes what was said of it (CASCADE); a tag or an annotator that is still
spoken of cannot be deleted (RESTRICT).
"""

from datetime import datetime

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    DateTime,
    Float,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    SmallInteger,
    Text,
    UniqueConstraint,
    func,
)
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import REAL

from indexer.tables.base import CASCADE, RESTRICT, Base

# The road an image takes. `pending`: registered, nothing known. `annotated`: tags, captions and
# embeddings are in Postgres. `indexed`: they are in Milvus too. `failed`: refused, with the reason.
# `dead`: nothing is wrong with the file as far as is known, but it was tried in vain (a dead letter): retry it.
PENDING, ANNOTATED, INDEXED, FAILED, DEAD = "pending", "annotated", "indexed", "failed", "dead"


class Annotator(Base):
    """Who says something about images: a model at a version, a person, or the file's own metadata."""

    __tablename__ = "annotators"
    __table_args__ = (
        UniqueConstraint("kind", "name", "version"),
        CheckConstraint("kind IN ('tagger', 'captioner', 'embedder', 'person', 'file')", name="kind"),
    )

    id: Mapped[int] = mapped_column(SmallInteger, Identity(), primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    version: Mapped[str] = mapped_column(Text, server_default="")
    # How a model wants its pixels, so that they can be made ready where it is not: InputSpec.name.
    input: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class Image(Base):
    """One image, identified by the SHA-256 of its bytes."""

    __tablename__ = "images"
    __table_args__ = (
        CheckConstraint("octet_length(content_hash) = 32", name="content_hash"),
        CheckConstraint("state IN ('pending', 'annotated', 'indexed', 'failed', 'dead')", name="state"),
        CheckConstraint("(state IN ('failed', 'dead')) = (error_code IS NOT NULL)", name="error"),
        CheckConstraint("bytes >= 0 AND width > 0 AND height > 0", name="size"),
        # What is left to do is found without reading what is done.
        Index("ix_images_unfinished", "id", postgresql_where=sql("state IN ('pending', 'annotated')")),
        Index("ix_images_failed", "id", postgresql_where=sql("state IN ('failed', 'dead')")),
        # Browsing by date or size reads an index from one end.
        Index("ix_images_taken_at", "taken_at", "id", postgresql_where=sql("taken_at IS NOT NULL")),
        Index("ix_images_bytes", "bytes", "id"),
        # By words: `indexer.catalog.titles`.
        Index(
            "ix_images_title",
            sql("title_words(title)"),
            postgresql_using="gin",
            postgresql_where=sql("title IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    content_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    state: Mapped[str] = mapped_column(Text, server_default=PENDING)
    error_code: Mapped[str | None] = mapped_column(Text)
    error_message: Mapped[str | None] = mapped_column(Text)
    bytes: Mapped[int] = mapped_column(BigInteger)
    format: Mapped[str | None] = mapped_column(Text)
    width: Mapped[int | None]
    height: Mapped[int | None]
    # The camera's wall clock: EXIF rarely knows its time zone.
    taken_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=False))
    title: Mapped[str | None] = mapped_column(Text)
    description: Mapped[str | None] = mapped_column(Text)
    place: Mapped[str | None] = mapped_column(Text)
    latitude: Mapped[float | None] = mapped_column(Float)
    longitude: Mapped[float | None] = mapped_column(Float)
    added_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    indexed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class Source(Base):
    """Where an image came from. The same bytes in two places are one image with two sources."""

    __tablename__ = "sources"
    __table_args__ = (
        CheckConstraint("kind IN ('path', 'url', 'upload')", name="kind"),
        # A digest keeps long addresses inside a b-tree row.
        Index("uq_sources_kind_uri", "kind", sql("md5(uri)"), unique=True),
        Index("ix_sources_external_id", "external_id", postgresql_where=sql("external_id IS NOT NULL")),
        # By bytes: only so a beginning is a range of the index.
        Index(
            "ix_sources_sku",
            sql('lower(external_id COLLATE "C")'),
            postgresql_where=sql("external_id IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    image_id: Mapped[int] = mapped_column(ForeignKey("images.id", ondelete=CASCADE), index=True)
    kind: Mapped[str] = mapped_column(Text)
    uri: Mapped[str] = mapped_column(Text)
    external_id: Mapped[str | None] = mapped_column(Text)
    # What a manifest calls it: stronger than what the file says of itself.
    title: Mapped[str | None] = mapped_column(Text)
    # Size and time of the file when it was hashed: unchanged means it need not be read again.
    bytes: Mapped[int | None] = mapped_column(BigInteger)
    modified_ns: Mapped[int | None] = mapped_column(BigInteger)
    added_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class Tag(Base):
    """One tag under its canonical name: lower case, single spaces."""

    __tablename__ = "tags"
    __table_args__ = (CheckConstraint("name <> '' AND name = lower(name)", name="name"),)

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(Text, unique=True)


class TagName(Base):
    """Another name of a tag: an alias, or its name in another language."""

    __tablename__ = "tag_names"
    __table_args__ = (Index("ix_tag_names_name", "name"),)

    tag_id: Mapped[int] = mapped_column(ForeignKey("tags.id", ondelete=CASCADE), primary_key=True)
    language: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str] = mapped_column(Text, primary_key=True)


class VocabularyTag(Base):
    """One entry of a tagger's vocabulary, with the confidence above which the tagger asserts it."""

    __tablename__ = "vocabulary_tags"
    __table_args__ = (CheckConstraint("threshold BETWEEN 0 AND 1", name="threshold"),)

    annotator_id: Mapped[int] = mapped_column(
        SmallInteger, ForeignKey("annotators.id", ondelete=CASCADE), primary_key=True
    )
    tag_id: Mapped[int] = mapped_column(
        ForeignKey("tags.id", ondelete=RESTRICT), primary_key=True, index=True
    )
    threshold: Mapped[float] = mapped_column(REAL)


class ImageTag(Base):
    """One annotator's statement that an image shows a tag; `rejected`: a person says it does not."""

    __tablename__ = "image_tags"
    __table_args__ = (
        CheckConstraint("confidence BETWEEN 0 AND 1", name="confidence"),
        # Answers "which images show this tag, how surely, says who" from the index alone.
        Index(
            "ix_image_tags_tag_id",
            "tag_id",
            "image_id",
            postgresql_include=["confidence", "annotator_id", "rejected"],
        ),
    )

    image_id: Mapped[int] = mapped_column(ForeignKey("images.id", ondelete=CASCADE), primary_key=True)
    tag_id: Mapped[int] = mapped_column(ForeignKey("tags.id", ondelete=RESTRICT), primary_key=True)
    annotator_id: Mapped[int] = mapped_column(
        SmallInteger, ForeignKey("annotators.id", ondelete=RESTRICT), primary_key=True
    )
    confidence: Mapped[float] = mapped_column(REAL)
    rejected: Mapped[bool] = mapped_column(server_default=sql("false"))


class Caption(Base):
    """One annotator's caption of an image, and the tags that guided it."""

    __tablename__ = "captions"
    __table_args__ = (UniqueConstraint("image_id", "annotator_id"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    image_id: Mapped[int] = mapped_column(ForeignKey("images.id", ondelete=CASCADE))
    annotator_id: Mapped[int] = mapped_column(SmallInteger, ForeignKey("annotators.id", ondelete=RESTRICT))
    text: Mapped[str] = mapped_column(Text)
    guided_by: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=sql("'{}'"))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class ImageEmbedding(Base):
    """An image's embedding, from which Milvus can be filled again: D x float16, little-endian."""

    __tablename__ = "image_embeddings"

    image_id: Mapped[int] = mapped_column(ForeignKey("images.id", ondelete=CASCADE), primary_key=True)
    annotator_id: Mapped[int] = mapped_column(
        SmallInteger, ForeignKey("annotators.id", ondelete=RESTRICT), primary_key=True
    )
    embedding: Mapped[bytes] = mapped_column(LargeBinary)


class CaptionEmbedding(Base):
    """A caption's embedding in the same space as the images': D x float16, little-endian."""

    __tablename__ = "caption_embeddings"

    caption_id: Mapped[int] = mapped_column(ForeignKey("captions.id", ondelete=CASCADE), primary_key=True)
    annotator_id: Mapped[int] = mapped_column(
        SmallInteger, ForeignKey("annotators.id", ondelete=RESTRICT), primary_key=True
    )
    embedding: Mapped[bytes] = mapped_column(LargeBinary)


class Job(Base):
    """One request to index: what was asked, when, and where its time went."""

    __tablename__ = "jobs"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class JobItem(Base):
    """One input of a job: the image it became, or why it never became one; neither while it is being fetched."""

    __tablename__ = "job_items"
    __table_args__ = (
        CheckConstraint("image_id IS NULL OR error_code IS NULL", name="outcome"),
        Index("ix_job_items_image_id", "image_id"),
    )

    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id", ondelete=CASCADE), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    uri: Mapped[str] = mapped_column(Text)
    image_id: Mapped[int | None] = mapped_column(ForeignKey("images.id", ondelete=CASCADE))
    error_code: Mapped[str | None] = mapped_column(Text)
    error_message: Mapped[str | None] = mapped_column(Text)


class JobStage(Base):
    """Seconds a job's images have spent in one stage of the pipeline, summed over workers."""

    __tablename__ = "job_stages"

    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id", ondelete=CASCADE), primary_key=True)
    stage: Mapped[str] = mapped_column(Text, primary_key=True)
    seconds: Mapped[float]


class ImageChange(Base):
    """The last transaction that changed anything one may search an image by; kept when the image is deleted.

    Written by triggers, so that no writer can forget it. A reader that remembers the oldest transaction still
    running when it last looked (`pg_snapshot_xmin`) finds all that has changed since by `changed_by >= that`.
    """

    __tablename__ = "image_changes"
    __table_args__ = (Index("ix_image_changes_changed_by", "changed_by", postgresql_include=["image_id"]),)

    image_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    changed_by: Mapped[int] = mapped_column(BigInteger)


class Collection(Base):
    """A named set of images, put together by people."""

    __tablename__ = "collections"
    __table_args__ = (CheckConstraint("name <> ''", name="name"),)

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(Text, unique=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class CollectionImage(Base):
    """One image of a collection."""

    __tablename__ = "collection_images"

    collection_id: Mapped[int] = mapped_column(
        ForeignKey("collections.id", ondelete=CASCADE), primary_key=True
    )
    image_id: Mapped[int] = mapped_column(
        ForeignKey("images.id", ondelete=CASCADE), primary_key=True, index=True
    )


class SavedSearch(Base):
    """A search kept under a name, as canonical query text."""

    __tablename__ = "saved_searches"
    __table_args__ = (CheckConstraint("name <> ''", name="name"),)

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(Text, unique=True)
    query: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class Edit(Base):
    """One change a person made to the tags of several images at once, so that it can be taken back."""

    __tablename__ = "edits"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    undone_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class EditItem(Base):
    """What the person had said of an image's tag before the edit: nothing (NULL), shown, or rejected; and what the edit
    did about it (NULL: made before that was kept).
    """

    __tablename__ = "edit_items"
    __table_args__ = (CheckConstraint("did IN ('added', 'rejected', 'cleared')", name="did"),)

    edit_id: Mapped[int] = mapped_column(ForeignKey("edits.id", ondelete=CASCADE), primary_key=True)
    image_id: Mapped[int] = mapped_column(
        ForeignKey("images.id", ondelete=CASCADE), primary_key=True, index=True
    )
    tag_id: Mapped[int] = mapped_column(ForeignKey("tags.id", ondelete=RESTRICT), primary_key=True)
    shown_before: Mapped[bool | None]
    did: Mapped[str | None] = mapped_column(Text)
