"""The query box's text, as people really type it."""

import pytest

from indexer.errors import QuerySyntaxError
from indexer.query import (
    All,
    Any,
    Between,
    ImageTerm,
    Node,
    Not,
    OneOf,
    Order,
    Query,
    TagIs,
    TextTerm,
    parse,
    to_text,
)

DOG, CAT, BIRD = TagIs("dog"), TagIs("cat"), TagIs("bird")


@pytest.mark.parametrize(
    "text",
    [
        "a dog in snow",
        "10:30",
        "at 10:30, 16:9",
        "http://example.org/a?b=c",
        "don't stop",
        "t-shirt",
        "-",
        "salt - pepper",
        "-5 degrees",
        "--help",
        '12" vinyl',
        "nice :)",
        ":smile:",
        "f(x)",
        "black and white photo",
        "😀 狗 été",
        "你好，世界",
        "50% off & more!",
        "#sunset @home",
        "ordinary sandy orange",
        "Note: something",
        "C++ or-else",
        "1,000 people",
        "a^b ^_^",
        "what?",
        "a..b ...",
        ">=5",
    ],
)
def test_free_text_is_free(text: str) -> None:
    """Nothing of it is taken for grammar, and it prints as it was typed."""
    assert parse(text) == Query((TextTerm(text),))
    assert to_text(parse(text)) == text


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ('"in red" dress', "in red dress"),
        ("“smart quotes” here", "smart quotes here"),
        ("„deutsche“ Zeichen", "deutsche Zeichen"),
        (r"\-dog", "-dog"),
        (r"dog\:cat", "dog:cat"),
        ('"dog:cat"', "dog:cat"),
        ('rock "or" roll', "rock or roll"),
        ("rock and", "rock and"),
        ("and so on", "and so on"),
        (r"\(not a group\)", "(not a group)"),
        (r'say "\"hi\""', 'say "hi"'),
        (r"a \\ b", r"a \ b"),
        ("  much \t space\u3000here ", "much space here"),
    ],
)
def test_quotes_and_escapes_make_text(text: str, meant: str) -> None:
    """What stands in quotes or after a backslash means itself."""
    assert parse(text) == Query((TextTerm(meant),))


@pytest.mark.parametrize(
    ("text", "filter_"),
    [
        ("tag:dog", DOG),
        ("TAG:Dog", DOG),
        ("tag:traffic_light", TagIs("traffic light")),
        ('tag:"traffic light"', TagIs("traffic light")),
        ("tag:dog tag:cat", All((DOG, CAT))),
        ("tag:dog and tag:cat", All((DOG, CAT))),
        ("tag:dog AND cat", DOG),
        ("dog or cat", Any((DOG, CAT))),
        ("dog OR cat | bird", Any((DOG, CAT, BIRD))),
        ("dog|cat", Any((DOG, CAT))),
        ("-dog", Not(DOG)),
        ("-tag:dog", Not(DOG)),
        ("-(dog or cat)", Not(Any((DOG, CAT)))),
        ("-(-dog)", DOG),
        ('-"traffic light"', Not(TagIs("traffic light"))),
        ("(dog)", DOG),
        ("(dog cat)", All((DOG, CAT))),
        ("(dog and cat)", All((DOG, CAT))),
        ("((dog) (cat bird))", All((DOG, CAT, BIRD))),
        ("(dog (cat or bird))", All((DOG, Any((CAT, BIRD))))),
        ("tag:dog tag:cat or tag:bird", All((DOG, Any((CAT, BIRD))))),
        ("tag:dog and tag:cat or tag:bird", Any((All((DOG, CAT)), BIRD))),
        ("dog or -cat", Any((DOG, Not(CAT)))),
        ("tag:fate_(series)", TagIs("fate (series)")),
        ("(fate_(series) or dog)", Any((TagIs("fate (series)"), DOG))),
        ("dog:>=0.8", TagIs("dog", 0.8)),
        ("dog:≥80%", TagIs("dog", 0.8)),
        ("dog:>90%", TagIs("dog", 0.9, min_open=True)),
        ("dog:0.5..0.8", TagIs("dog", 0.5, 0.8)),
        ("dog:50%..", TagIs("dog", 0.5)),
        ("dog:..0.8", TagIs("dog", None, 0.8)),
        ("dog:>=0.5,<0.8", TagIs("dog", 0.5, 0.8, max_open=True)),
        ("dog:human", TagIs("dog", by="human")),
        ("狗:>=0.8", TagIs("狗", 0.8)),
        ('"traffic light":>=0.8', TagIs("traffic light", 0.8)),
        ("traffic_light:file", TagIs("traffic light", by="file")),
        ("tag:dog,>=0.8,human", TagIs("dog", 0.8, by="human")),
        ("tag:dog,cat,>=0.8", Any((TagIs("dog", 0.8), TagIs("cat", 0.8)))),
        ("tag:model", TagIs("model")),
        ('tag:dog,"model"', Any((DOG, TagIs("model")))),
        ("format:jpg,PNG", OneOf("format", ("jpeg", "png"))),
        (r"path:C:\photos\x", OneOf("path", (r"C:\photos\x",))),
        ('sku:"a,b",c', OneOf("sku", ("a,b", "c"))),
        ('TITLE:"marine blue",new*', OneOf("title", ("marine blue", "new*"))),
        ("width:>2000 height:..5", All((Between("width", 2000, None, True), Between("height", None, 5)))),
        ("id:1,5", Any((Between("id", 1, 1), Between("id", 5, 5)))),
        ("*", All()),
        ("-*", Any()),
        ("tag:dog or *", Any((DOG, All()))),
    ],
)
def test_conditions_groups_and_negation(text: str, filter_: Node) -> None:
    """What is no text is a filter."""
    assert parse(text).filter == filter_


def test_words_beside_or_are_tags_the_others_text() -> None:
    """`or` takes only what stands beside it."""
    query = parse("man or woman on a bicycle")
    assert query == Query((TextTerm("on a bicycle"),), Any((TagIs("man"), TagIs("woman"))))


def test_text_around_conditions_is_one_text() -> None:
    """Words run together, wherever conditions stand between them."""
    assert parse("a dog tag:cat in snow order:-taken") == Query(
        (TextTerm("a dog in snow"),), CAT, Order("taken", descending=False)
    )


@pytest.mark.parametrize("text", ["not a dog", "why NOT", "NOT", "NOTdog"])
def test_not_is_a_word_where_it_leaves_nothing_out(text: str) -> None:
    """As people write in sentences."""
    assert "not" in str(parse(text)).casefold()


def test_weights() -> None:
    """Of phrases, words, texts and images; a minus asks for less."""
    assert parse('"in red"^0.5 dress blue^2 -text:pattern -like:9,10^.5 text:x^-1').terms == (
        TextTerm("in red", 0.5),
        TextTerm("dress"),
        TextTerm("blue", 2.0),
        TextTerm("pattern", -1.0),
        ImageTerm(9, -0.5),
        ImageTerm(10, -0.5),
        TextTerm("x", -1.0),
    )


def test_conditions_know_where_they_stand() -> None:
    """Tags carry their place in the text, so that an unknown one can be pointed at."""
    query = parse("red (tag:dog or cat)")
    assert isinstance(query.filter, Any)
    assert [part.span for part in query.filter.parts if isinstance(part, TagIs)] == [(9, 12), (16, 19)]


@pytest.mark.parametrize(
    ("text", "marked", "suggestions", "message"),
    [
        ("a dog widht:>20", "widht", ("width",), "`widht:` is no key"),
        ("widht:1..5", "widht", ("width",), "is no key"),
        ("date:2024", "date", ("taken",), "in quotes: \"date:2024\""),
        ("dog:cat", "dog", (), "is no key"),
        ("dog:0.8", "dog:0.8", ("dog:>=0.8",), "write dog:>=0.8"),
        ("dog:>80", ">80", (), "write 80 as 0.8 or as 80%"),
        ("dog:0.8..0.5", "0.8..0.5", (), "backwards"),
        ("dog:human,model", "model", (), "already given"),
        ("x format:jpegg", "jpegg", ("jpeg",), "is one of jpeg, png"),
        ("has:captoin", "captoin", ("caption", "location"), "not 'captoin'"),
        ("order:taken order:size", "order:size", (), "already given"),
        ("order:newest", "newest", (), "relevance, taken, added, size"),
        ("width:2x", "2x", (), "not a whole number"),
        ("width:", "width:", (), "needs a value right after it"),
        ("width: >5", "width:", (), "needs a value right after it"),
        ("tag:dog,,cat", "tag:dog,,cat", (), "needs a value"),
        ("width:5..1", "5..1", ("1..5",), "backwards"),
        ("size:2MB", "2MB", (">=2MB", "<=2MB"), "No file has exactly"),
        ("added:>7d", ">7d", ("7d", "..7d"), "read two ways"),
        ("width:7d", "7d", (), "only taken: and added:"),
        ("taken:2024-13", "2024-13", (), "not in the calendar"),
        ("taken:yesteryear", "yesteryear", (), "write a date as"),
        ("taken:2024-05-17T10:00Z", "2024-05-17T10:00Z", (), "no time zone"),
        ("added:9999999y", "9999999y", (), "not a date"),
        ("ratio:0:1", "0:1", (), "no ratio"),
        ("dog or", "or", (), "both sides"),
        ("or dog", "or", (), "both sides"),
        ("dog | | cat", "|", (), "both sides"),
        ("(dog and)", "and", (), "both sides"),
        ("tag:dog and", "and", (), "both sides"),
        ("beach NOT dog", "NOT ", ("-",), "written - here"),
        ("not tag:dog", "not ", ("-",), 'in quotes: "not"'),
        ('say "hello', '"', (), "never closed"),
        ('tag:"dog', '"', (), "never closed"),
        ('tag:"dog"s', "s", (), "A space is missing"),
        ("(dog or cat", "(", (), "never closed"),
        ("(dog) )", ")", (), "closes nothing"),
        ("dog ()", "()", (), "nothing in this group"),
        ("(like:3 or dog)", "like:3", (), "outside groups"),
        ("dog or order:taken", "order:taken", (), "outside groups"),
        ("-order:taken", "-order:taken", (), "cannot be left out"),
        ("like:dog", "dog", (), "an image's id"),
        ("text:a^x", "^x", (), "stands a weight"),
        ('"red"^0', "^0", (), "not zero"),
        ('text:" "', '" "', (), "no words"),
        ('"traffic light":0.8', ":0.8", (), "A confidence follows"),
        ("tag:_", "_", (), "needs a name"),
        ("dog\0", "\0", (), "U+0000"),
    ],
)  # fmt: skip
def test_a_slip_is_pointed_at(text: str, marked: str, suggestions: tuple[str, ...], message: str) -> None:
    """The characters concerned, what could stand there instead, and what to do."""
    with pytest.raises(QuerySyntaxError) as raised:
        parse(text)
    error = raised.value
    assert error.text == text
    assert text[error.position : error.position + error.length] == marked
    assert error.suggestions == suggestions
    assert message in str(error)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("x" * 4001, "4,001 characters"),
        ("x" * 300_000, "300,000 characters"),
        (" ".join(["like:1"] * 21), "21 terms to rank by"),
        (" ".join(["tag:a"] * 201), "201 conditions"),
        ("sku:" + ",".join(map(str, range(201))), "201 conditions"),
        ("(" * 21 + "a" + ")" * 21, "At most 20 groups"),
        ("(" * 100_000, "At most 20 groups"),
    ],
)
def test_limits(text: str, what: str) -> None:
    """A query too large is refused, and quickly, with the limit."""
    with pytest.raises(QuerySyntaxError, match=what):
        parse(text)


def test_a_pictures_token_does_not_count_as_text() -> None:
    """Several uploaded pictures fit into one query."""
    token = "e1." + "A" * 3000
    assert len(parse(f"like:{token} like:{token}").terms) == 2
