"""A tag's wording."""

import pytest

from indexer.open_set.prompts import PROMPTS, prompts


@pytest.mark.parametrize("name", ["dog", "apple", "hot dog stand", "日本"])
def test_every_tag_gets_all_prompts(name: str) -> None:
    """Each another one, each about the tag."""
    texts = prompts(name)
    assert len(texts) == len(set(texts)) == PROMPTS == 63
    assert all(name in text for text in texts)
    assert all(
        text.startswith(("There is ", "This is ", "itap of ")) and text.endswith(".") for text in texts
    )


def test_articles() -> None:
    """By the first letter as written; only where the published phrase has one to choose."""
    assert {"There is an apple in the scene.", "itap of an apple.", "This is a painting of a apple."} <= set(
        prompts("apple")
    )
    assert "There is a apple in the scene." in prompts("Apple")
    assert "This is an embroidered dog." in prompts("dog")
    assert "This is a plastic apple." in prompts("apple")


def test_names_are_read_as_published() -> None:
    """Lower case, `_` as a space, `/` as "or", no full stop at the end."""
    assert "itap of a truck or pick up." in prompts("Truck/Pick_up.")
    assert "itap of a u.s. navy." in prompts("U.S. Navy")
