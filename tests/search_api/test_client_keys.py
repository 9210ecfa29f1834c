"""The Python client and the notebook at a server that has keys."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

import sightline
from indexer import local_stack
from indexer.catalog import api_keys, connection
from indexer.settings import Settings
from tests.conftest import own_database
from tests.search_api.live import served


@dataclass(frozen=True)
class Shut:
    """Where a server with keys answers, and what opens it: to search, and to add."""

    address: str
    searching: str
    adding: str


@pytest.fixture(scope="module")
def shut(stack: local_stack.Endpoints, stack_settings: Settings, migrated_template: str) -> Iterator[Shut]:
    """A server over a catalogue of its own, with two keys."""
    with own_database(stack.postgres_url, migrated_template) as url:
        own = {"postgres_url": url, "redis_url": stack.redis_url, "milvus_url": stack.milvus_url}
        engine = connection.connect(url)
        with connection.sessions(engine).begin() as session:
            _, searching = api_keys.create(session, "searching", ["search"])
            _, adding = api_keys.create(session, "adding", ["images.write"])
        engine.dispose()
        with served(Settings(home=stack_settings.home, **own)) as address:  # type: ignore[arg-type]
            yield Shut(address, searching, adding)


def test_without_a_key(shut: Shut) -> None:
    """The refusal is a problem like any other, with the remedy; also of an upload, which is not sent in vain."""
    with sightline.Client(shut.address) as nobody:
        for act in (nobody.stats, nobody.count, lambda: nobody.export("", "never.csv"), _upload(nobody)):
            with pytest.raises(sightline.Problem, match="sightline keys create") as refusal:
                act()
            assert (refusal.value.status, refusal.value.name) == (401, "not_signed_in")


def _upload(client: sightline.Client):
    return lambda: client.upload(__file__)


def test_with_a_key(shut: Shut, monkeypatch: pytest.MonkeyPatch) -> None:
    """Given, or in the environment, where the one given counts; what it does not open is told."""
    with sightline.Client(shut.address, api_key=shut.searching) as one:
        assert one.count()["value"] == 0
        with pytest.raises(sightline.Problem, match=r"needs the scope 'images.write'") as refusal:
            one.upload(__file__)
        assert refusal.value.status == 403
        assert shut.searching not in repr(vars(one)["_url"]) + str(refusal.value)
    monkeypatch.setenv("SIGHTLINE_API_KEY", f"{shut.searching}\n")  # as read from a file
    with sightline.Client(shut.address) as other:
        assert other.count()["value"] == 0
    with (
        sightline.Client(shut.address, api_key=shut.adding) as adding,
        pytest.raises(sightline.Problem, match="scope 'search'"),
    ):
        adding.count()


def test_what_no_key_can_be_is_not_shown() -> None:
    """Neither as a header that cannot be sent, nor as an address that does not answer."""
    for key in ("sightline_schlüssel", "sightline_a\nb"):
        with pytest.raises(ValueError, match="copy it anew") as refusal:
            sightline.Client("http://localhost:1", api_key=key)
        assert "sightline_" not in str(refusal.value)


def test_the_same_to_await(shut: Shut) -> None:
    """In an event loop."""

    async def scenario() -> None:
        async with sightline.AsyncClient(shut.address, api_key=shut.searching) as one:
            assert (await one.count())["value"] == 0
        async with sightline.AsyncClient(shut.address) as nobody:
            with pytest.raises(sightline.Problem):
                await nobody.count()

    asyncio.run(scenario())
