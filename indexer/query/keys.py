"""The one table of keys: what the parser accepts, suggestions offer, the documentation and the page explain."""

import difflib
from dataclasses import dataclass
from typing import Literal, get_args

from indexer.query.tree import FieldKey

Takes = Literal["tag", "name", "range", "values", "field", "text", "like", "order"]

ANNOTATING = ("human", "model", "file")
# `alt_text` is a caption a person wrote or brought; `caption` one by whomever.
FIELDS: tuple[str, ...] = get_args(FieldKey)
ORDERS = ("relevance", "taken", "added", "size")
FORMATS = ("jpeg", "png", "webp", "gif", "tiff", "bmp", "avif", "heic")
# As people also write them.
SAME_FORMAT = {"jpg": "jpeg", "tif": "tiff", "heif": "heic"}


@dataclass(frozen=True)
class Key:
    """One key: how its value is read, what it is for, examples that all work, and what else people call it.

    `choices` are the only values possible; empty, any value is.
    """

    name: str
    takes: Takes
    help: str
    examples: tuple[str, ...]
    choices: tuple[str, ...] = ()
    also: tuple[str, ...] = ()


KEYS = (
    Key(
        "tag",
        "tag",
        "shows this tag; after a comma its confidence, or who says so",
        ("tag:dog", 'tag:"traffic light"', "tag:dog,>=0.8", "tag:dog,cat", "tag:dog,human", "dog:>90%"),
        also=("tags", "label", "keyword", "is"),
    ),
    Key(
        "rejected",
        "name",
        "a person said that it does not show this tag",
        ("rejected:dog", 'rejected:"traffic light"', "rejected:dog,cat"),
        also=("denied", "wrong"),
    ),
    Key(
        "source",
        "values",
        "described by a person, a model or the file itself",
        ("source:human", "source:model,file"),
        ANNOTATING,
        ("by", "author", "annotator"),
    ),
    Key(
        "taken",
        "range",
        "when the camera took it",
        ("taken:2024", "taken:2024..2025", "taken:2024-05-17", "taken:<2010-06", "taken:>=2024-05-17T18:30"),
        also=("date", "year", "created", "when", "before", "after"),
    ),
    Key(
        "added",
        "range",
        "when it came into the library (UTC)",
        ("added:7d", "added:today", "added:yesterday..", "added:..30d", "added:>=2024-05"),
        also=("uploaded", "indexed", "imported", "age", "since"),
    ),
    Key("width", "range", "pixels across", ("width:>2000", "width:640", "width:1000..2000"), also=("w",)),
    Key("height", "range", "pixels down", ("height:<=480", "height:>480..<1080"), also=("h",)),
    Key(
        "ratio",
        "range",
        "width to height; a single value means to two decimals",
        ("ratio:16:9", "ratio:>1.5", "ratio:landscape", "ratio:portrait", "ratio:square"),
        also=("aspect", "orientation", "shape"),
    ),
    Key(
        "size",
        "range",
        "of the file",
        ("size:>2MB", "size:100KB..1MB", "size:<=1.5MiB"),
        also=("bytes", "filesize"),
    ),
    Key(
        "tagcount",
        "range",
        "how many tags it shows",
        ("tagcount:0", "tagcount:>=10"),
        also=("tagged", "ntags"),
    ),
    Key("id", "range", "its number in the library", ("id:1", "id:1..50", "id:1,3"), also=("number", "image")),
    Key(
        "format",
        "values",
        "file format",
        ("format:jpeg", "format:png,webp"),
        FORMATS,
        ("type", "filetype", "ext", "mime"),
    ),
    Key(
        "sku",
        "values",
        "your own number for it, in any case",
        ("sku:A-1001", "sku:A-1001,B-2002"),
        also=("external", "product", "article"),
    ),
    Key(
        "title",
        "values",
        "words of its title, next to one another; * is anything",
        ("title:newfeel", 'title:"marine blue bag"', "title:new*,kalenji", "-title:*feel"),
        also=("heading", "headline", "titled"),
    ),
    Key(
        "collection",
        "values",
        "in this collection",
        ("collection:holiday", 'collection:"Summer 2024"'),
        also=("album", "in", "set", "folder"),
    ),
    Key(
        "path",
        "values",
        "part of its path or address, or a pattern with * and ?",
        ("path:holiday", 'path:"my photos"', "path:2024/*.png", "path:img_000?.jpg"),
        also=("file", "filename", "name", "url", "dir"),
    ),
    Key(
        "origin",
        "values",
        "how it came: from a path, a url, or an upload",
        ("origin:upload", "origin:path,url"),
        ("path", "url", "upload"),
        ("from", "via"),
    ),
    Key(
        "has",
        "field",
        "something is known of it",
        ("has:caption", "-has:alt_text", "has:title,description"),
        FIELDS,
        ("with", "caption", "place", "location"),
    ),
    Key(
        "text",
        "text",
        "words to rank by, with a weight of their own",
        ('text:"in red"^0.5', "-text:pattern"),
        also=("words", "query", "q"),
    ),
    Key(
        "like",
        "like",
        "resembles an image of the library, or an uploaded picture's token",
        ("like:1", "like:1^2", "-like:1^0.5", "like:e1.AAAA"),
        also=("similar", "example", "near"),
    ),
    Key(
        "order",
        "order",
        "how hits are sorted, falling unless _asc follows",
        ("order:taken", "order:taken_asc", "order:-size", "order:added"),
        ORDERS,
        ("sort", "orderby"),
    ),
)
BY_NAME = {key.name: key for key in KEYS}
_OTHERWISE = {word: key.name for key in KEYS for word in key.also}


def nearest(word: str, among: tuple[str, ...]) -> tuple[str, ...]:
    """The three nearest spellings, best first."""
    return tuple(difflib.get_close_matches(word.casefold(), among, n=3, cutoff=0.6))


def nearest_keys(word: str) -> tuple[str, ...]:
    """Keys that may have been meant: by another word for the same thing, or by spelling."""
    meant = _OTHERWISE.get(word.casefold())
    close = nearest(word, tuple(BY_NAME))
    return tuple(dict.fromkeys([meant, *close] if meant else close))
