"""What the API says of itself is true: requests made from its own description, of every operation.

The same requests each time. A longer run, with others: `st run http://localhost:8420/v1/openapi.json`.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.config import SchemathesisConfig

from indexer.settings import Settings
from search_api.app import create_app
from tests.caretaker import caretaker
from tests.search_api.live import served

# What is valid by its shape may still be a slip, a name that does not exist, no picture, what one has not seen, or a
# key that opens nothing.
ANSWERS = ["2xx", "304", "401", "404", "409", "412", "413", "415", "422"]
CONFIG = SchemathesisConfig.from_dict(
    {"checks": {"positive_data_acceptance": {"expected-statuses": ANSWERS}}}
)
HOME = Path(tempfile.gettempdir()) / "sightline-described"
DESCRIBED = create_app(
    Settings(home=HOME, postgres_url=None, redis_url=None, milvus_url=None, storage_url=None)
).openapi()
OPERATIONS = {
    found.ok().label: found.ok()
    for found in schemathesis.openapi.from_dict(DESCRIBED, config=CONFIG).get_all_operations()
}
MANNER = settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def spoilt() -> Iterator[str]:
    """A server over a library of its own, which the requests may spoil."""
    home = Path(tempfile.mkdtemp(prefix="sightline-schema-")).resolve()
    warden = caretaker(home)
    with served(
        Settings(home=home, postgres_url=None, redis_url=None, milvus_url=None, storage_url=None)
    ) as address:
        yield address
    warden.communicate(timeout=90)


@pytest.mark.parametrize("label", OPERATIONS)
def test_every_operation_keeps_its_word(spoilt: str, label: str) -> None:
    """None fails, answers with what it does not describe, or takes what it says it does not."""
    operation = OPERATIONS[label]
    takes_something = any(True for _ in operation.iter_parameters()) or len(operation.body) > 0
    modes = [GenerationMode.POSITIVE] + [GenerationMode.NEGATIVE] * takes_something
    for mode in modes:

        @MANNER
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: Case) -> None:
            case.call_and_validate(base_url=spoilt)

        ask()
