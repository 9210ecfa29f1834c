"""Each condition of a query finds its images."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, insert, update
from sqlalchemy.orm import Session

from indexer.catalog import annotations, collections, conditions, corrections, edits, images, names, tags
from indexer.query import Leaf, Rejected, TagIs, parse
from indexer.tables import Image, ImageTag, Source, TagName
from tests import catalogue


def found(session: Session, written: str, among: list[int] | None = None) -> set[int]:
    """Ids of the images that meet the one condition written."""
    leaf = names.resolve(session, parse(written)).filter
    ids = conditions.ids(session, leaf, among)  # type: ignore[arg-type]
    assert ids.dtype == "int64"
    assert len(set(ids.tolist())) == len(ids)
    return set(ids.tolist())


def test_a_tag_is_found_by_any_name(session: Session) -> None:
    """By its own name, an alias, a Chinese name; only where it is shown."""
    dog = catalogue.add_indexed(session, {"dog": 0.9})
    catalogue.add_indexed(session, {"cat": 0.9})
    rows = [
        {"tag_id": tags.ensure(session, ["dog"])["dog"], "language": language, "name": name}
        for language, name in (("", "canine"), ("zh", "狗"))
    ]
    session.execute(insert(TagName), rows)
    for written in ("tag:dog", "tag:canine", "tag:狗"):
        assert found(session, written) == {dog}


def test_a_persons_rejection_hides_what_others_assert(session: Session) -> None:
    """Whoever asserted it, however surely; the tag's other images stay."""
    by = catalogue.annotators(session)
    first, second = (catalogue.add_indexed(session, {"dog": 0.9}, by, keywords=["dog"]) for _ in "ab")
    edits.make(session, [first], edits.Wish(reject=["dog"]))
    for written in ("tag:dog", "tag:dog,>=0.5", "tag:dog,file", "tag:dog,model"):
        assert found(session, written) == {second}


def test_what_a_person_rejected(session: Session) -> None:
    """Whether or not anybody else asserts it; what nobody speaks of is not rejected."""
    by = catalogue.annotators(session)
    both, alone, _ = (catalogue.add_indexed(session, tags_, by) for tags_ in ({"dog": 0.9}, {}, {"dog": 0.9}))
    catalogue.add_indexed(session, {"cat": 0.9}, by)
    edit = edits.make(session, [both, alone], edits.Wish(reject=["dog"]))
    assert found(session, "rejected:Dog") == {both, alone}
    assert found(session, "rejected:cat") == set()
    assert edit.edit_id is not None
    edits.undo(session, edit.edit_id)
    assert found(session, "rejected:dog") == set()


def test_the_surest_annotator_counts(session: Session) -> None:
    """A file's keyword says 1; among models only the greatest confidence is compared."""
    by = catalogue.annotators(session)
    both = catalogue.add_indexed(session, {"dog": 0.3}, by, keywords=["dog"])
    model = catalogue.add_indexed(session, {"dog": 0.6}, by)
    other = annotations.annotator_id(session, "tagger", "other")
    row = {"tag_id": tags.ensure(session, ["dog"])["dog"], "annotator_id": other, "confidence": 0.8}
    session.execute(insert(ImageTag), [{"image_id": model, **row}])
    assert found(session, "tag:dog,>=0.9") == {both}
    assert found(session, "tag:dog,0.7..0.8") == {model}
    assert found(session, "tag:dog,<0.8") == set()
    assert found(session, "tag:dog,<=0.3,model") == {both}
    assert found(session, "tag:dog,>0.3,model") == {model}


def test_confidences_are_compared_as_they_were_saved(session: Session) -> None:
    """Single precision on both sides: 0.7 is at least 0.7, and not more."""
    for confidence in (0.7, 0.1, 0.3, 0.85):
        tag = f"tag {confidence}"
        image = catalogue.add_indexed(session, {tag: confidence})
        assert found(session, f'tag:"{tag}",{confidence}..{confidence}') == {image}
        assert (
            found(session, f'tag:"{tag}",>{confidence}')
            == found(session, f'tag:"{tag}",<{confidence}')
            == set()
        )


def test_who_says_so(session: Session) -> None:
    """A person, a file's keywords, a model; a rejection asserts nothing."""
    by = catalogue.annotators(session)
    tags.ensure(session, ["cat"])
    model = catalogue.add_indexed(session, {"dog": 0.9}, by)
    file = catalogue.add_indexed(session, {}, by, keywords=["dog"])
    person = catalogue.add_indexed(session, {}, by)
    edits.make(session, [person], edits.Wish(add=["dog"]))
    edits.make(session, [model], edits.Wish(reject=["cat"]))
    assert found(session, "dog:human") == {person} == found(session, "source:human")
    assert found(session, "dog:file") == {file} == found(session, "source:file")
    assert found(session, "dog:model") == {model}
    assert found(session, "source:model") == {model, file, person}  # all have captions


def test_a_tag_must_have_been_resolved(session: Session) -> None:
    """Without an id the error says what to do."""
    with pytest.raises(ValueError, match="resolve the query first"):
        conditions.ids(session, TagIs("dog"))
    with pytest.raises(ValueError, match="resolve the query first"):
        conditions.ids(session, Rejected("dog"))


def test_counts_of_tags(session: Session) -> None:
    """Different tags, those rejected left out; images without any count 0."""
    by = catalogue.annotators(session)
    none = catalogue.add_indexed(session, {}, by)
    two = catalogue.add_indexed(session, {"dog": 0.9, "cat": 0.8}, by, keywords=["dog"])
    left = catalogue.add_indexed(session, {"dog": 0.9}, by)
    edits.make(session, [left], edits.Wish(reject=["dog"]))
    new = images.register(session, [catalogue.new_file()])[0].image_id
    assert found(session, "tagcount:0") == {none, left, new}
    assert found(session, "tagcount:2") == found(session, "tagcount:>1") == found(session, "has:tag") == {two}
    assert found(session, "tagcount:0..1") == {none, left, new}


def test_measures_and_what_is_unknown(session: Session) -> None:
    """An image not yet decoded has no width, and is in no range of widths."""
    wide = catalogue.add_indexed(session, width=1920, height=1081)
    tall = catalogue.add_indexed(session, width=480, height=640)
    new = images.register(session, [catalogue.new_file(bytes=5_000_000)])[0].image_id
    assert found(session, "width:>480") == found(session, "ratio:landscape") == {wide}
    assert found(session, "ratio:16:9") == {wide}
    assert found(session, "ratio:3:4") == found(session, "ratio:portrait") == {tall}
    assert found(session, "height:..") == {wide, tall}
    assert found(session, "size:>=5MB") == {new}
    assert found(session, f"id:{tall}..{new}") == {tall, new}
    assert found(session, "width:<999999999999") == {wide, tall}


def test_dates_as_written(session: Session) -> None:
    """The whole of the last day is in a range; the camera's clock has no zone."""
    may = catalogue.add_indexed(session, taken_at=datetime(2024, 5, 17, 23, 59, 59))
    june = catalogue.add_indexed(session, taken_at=datetime(2024, 6, 1))
    unknown = catalogue.add_indexed(session)
    assert found(session, "taken:2024-05") == found(session, "taken:..2024-05-17") == {may}
    assert found(session, "taken:>2024-05") == {june}
    assert found(session, "taken:2024") == found(session, "has:taken") == {may, june}
    assert unknown not in found(session, "taken:..")


def test_ages_count_back_from_today(session: Session) -> None:
    """From midnight UTC."""
    new, old = catalogue.add_indexed(session), catalogue.add_indexed(session)
    session.execute(
        update(Image).where(Image.id == old).values(added_at=datetime.now(UTC) - timedelta(days=10))
    )
    assert found(session, "added:today") == found(session, "added:7d") == {new}
    assert found(session, "added:..8d") == {old}
    assert found(session, "added:30d..8d") == {old}
    assert found(session, "added:30d") == {new, old}


ADDRESSES = {
    "holiday": ("path", "file:///home/a/Holiday/IMG_0001.png"),
    "spaces": ("path", "file:///srv/my%20photos/2024/x.jpg"),
    "accent": ("path", "file:///srv/caf%C3%A9.jpg"),
    "chinese": ("path", "file:///srv/%E7%8B%97.jpg"),
    "percent": ("path", "file:///srv/100%25.gif"),
    "url": ("url", "https://example.org/Shirt.webp"),
    "upload": ("upload", "upload:deadbeef/shoe.png"),
}
PATTERNS = [
    ("holiday", "holiday"),
    ("HOLIDAY", "holiday"),
    ('"my photos"', "spaces"),
    ("2024/*.jpg", "spaces"),
    ("img_000?.png", "holiday"),
    ("café", "accent"),
    ("CAFÉ", "accent"),
    ("caf?.jpg", "accent"),
    ("狗.jpg", "chinese"),
    ("?.gif", None),
    (r'"my photos\\2024"', "spaces"),
    ("/home/a/*", "holiday"),
    ("100%", "percent"),
    ("100", "percent"),
    ("g_0001", "holiday"),
    ("gx0001", None),
    ("i*0001*", "holiday"),
    ("20", "spaces"),
    ("example.org", "url"),
    ("https://*", "url"),
    ("shoe.png", "upload"),
    ("a.b", None),
    ("ome/*", None),
    ("20my", None),
    ("file:", None),
    ("deadbeef", None),
]


def test_paths_as_people_write_them(session: Session) -> None:
    """Parts and patterns of paths, decoded, in any case, from a folder's beginning on."""
    ids = {
        name: images.register(session, [catalogue.new_file(uri, kind=kind, uri=uri)])[0].image_id
        for name, (kind, uri) in ADDRESSES.items()
    }
    for pattern, matching in PATTERNS:
        assert found(session, f"path:{pattern}") == ({ids[matching]} if matching else set()), pattern


def test_where_it_came_from(session: Session) -> None:
    """An image with two sources is found by either, once."""
    file = catalogue.new_file(content="same", external_id="A-1")
    again = catalogue.new_file(content="same", kind="upload", uri="upload:1/x.jpg", external_id="A-2")
    [image, _] = [item.image_id for item in images.register(session, [file, again])]
    other = images.register(session, [catalogue.new_file()])[0].image_id
    assert found(session, "sku:A-1,A-2") == found(session, "sku:A-2") == found(session, "has:sku") == {image}
    assert found(session, "sku:a-1") == found(session, "sku:b-1,a-2") == {image}
    assert found(session, "sku:A-") == set()
    assert found(session, "origin:upload") == {image}
    assert found(session, "origin:path") == found(session, "origin:path,upload") == {image, other}


def test_what_is_known(session: Session) -> None:
    """Empty words are nothing known; a place on earth needs both numbers."""
    full = catalogue.add_indexed(
        session,
        title="t",
        description="d",
        place="p",
        latitude=1.0,
        longitude=2.0,
        taken_at=datetime(2024, 1, 1),
    )
    empty = catalogue.add_indexed(session, title="", description="", place="", latitude=1.0)
    for key in ("title", "description", "place", "location", "taken"):
        assert found(session, f"has:{key}") == {full}
    assert found(session, "has:caption") == {full, empty}


def test_alt_text_is_what_a_person_wrote(session: Session) -> None:
    """A machine's caption is none, so that what is still to be written can be asked for."""
    written, left = catalogue.add_indexed(session), catalogue.add_indexed(session)
    corrections.write_caption(
        session, written, "a chair, oak", catalogue.annotators(session).embedder, catalogue.embedding(1)
    )
    assert found(session, "has:alt_text") == {written}
    assert found(session, "has:caption") == {written, left}


def test_collections(session: Session) -> None:
    """By name, any of several; an image in both is found once."""
    first, second = catalogue.add_indexed(session), catalogue.add_indexed(session)
    for name, members in (("Summer 2024", [first, second]), ("b", [first])):
        collections.add(session, collections.create(session, name), members)
    assert (
        found(session, 'collection:"summer 2024"')
        == found(session, 'collection:b,"Summer 2024"')
        == {first, second}
    )
    assert found(session, "collection:b") == {first}
    assert found(session, "has:collection") == {first, second}


LEAVES = [
    *(
        "tag:dog",
        "tag:dog,>=0.5",
        "tag:dog,model",
        "rejected:dog",
        "source:model",
        "source:human",
        "tagcount:>=1",
        "tagcount:0",
    ),
    *(
        "taken:2024",
        "added:7d",
        "width:>1",
        "ratio:4:3",
        "size:<2MB",
        "format:jpeg",
        "path:photo",
        "path:*.jpg",
        "sku:a",
        "title:t",
        "title:*t",
    ),
    *(
        "origin:path",
        "id:>0",
        *(f"has:{key}" for key in ("caption", "tag", "title", "taken", "sku", "location")),
    ),
]


def test_among_restricts(session: Session) -> None:
    """What is asked of some images is what is asked of all, those others left out; in one statement."""
    by = catalogue.annotators(session)
    facts = {"taken_at": datetime(2024, 1, 1), "title": "t", "latitude": 1.0, "longitude": 1.0}
    ids = [catalogue.add_indexed(session, {"dog": 0.9}, by, **(facts if n % 2 else {})) for n in range(6)]
    ids.append(images.register(session, [catalogue.new_file(external_id="A")])[0].image_id)
    some = [*ids[::3], 999_999]
    statements: list[str] = []
    event.listen(session.get_bind(), "before_cursor_execute", lambda *args: statements.append(args[2]))
    for written in LEAVES:
        assert found(session, written, some) == found(session, written) & set(some), written
        assert found(session, written, []) == set(), written
        leaf: Leaf = names.resolve(session, parse(written)).filter  # type: ignore[assignment]
        statements.clear()
        conditions.ids(session, leaf, some)
        assert len(statements) == 1


def test_images_of_any_state(session: Session) -> None:
    """Refused and unfinished images too: whoever asks knows which can be searched."""
    ids = [images.register(session, [catalogue.new_file()])[0].image_id for _ in range(2)]
    images.fail(session, ids[0], "broken", "no")
    session.execute(update(Source).values(external_id="A"))
    assert found(session, "sku:A") == set(ids)
