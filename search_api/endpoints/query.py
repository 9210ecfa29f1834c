"""The query language: its keys, and what a query means."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query

from indexer import query
from indexer.catalog import completions
from search_api import schemas
from search_api.access import requires
from search_api.dependencies import SessionDep
from search_api.problems import answers

router = APIRouter(prefix="/v1/query", tags=["search"], dependencies=[requires("search")])


@router.get("/keys")
def keys() -> schemas.KeysOut:
    """Every key a query may have, what it is for, and examples that work."""
    return schemas.KeysOut(
        keys=[
            schemas.KeyOut(
                key=key.name, help=key.help, examples=list(key.examples), choices=list(key.choices)
            )
            for key in query.KEYS
        ]
    )


@router.get("/values", responses=answers(422, 503))
def values(
    session: SessionDep,
    key: Annotated[completions.Key, Query(description="whose values")],
    prefix: Annotated[str, Query(max_length=200, description="letters typed so far, in any case")] = "",
    limit: Annotated[int, Query(ge=1, le=100)] = 10,
) -> schemas.ValuesOut:
    """The SKUs or collections there are that begin so, and how many images each has."""
    found = completions.complete(session, key, prefix, limit)
    return schemas.ValuesOut(values=[schemas.ValueOut(value=one.value, images=one.images) for one in found])


@router.post("/parse", responses=answers(422))
def parse(body: schemas.ParseIn) -> schemas.ParseOut:
    """How a query is understood: its canonical text, the same as a tree, and its pieces.

    Nothing is looked up: a tag that does not exist is told by the search. A slip is a problem that tells its
    `position`, `length` and `suggestions`.
    """
    asked = query.parse(body.q)
    return schemas.ParseOut(
        query=query.to_text(asked),
        tree=query.to_json(asked),
        chips=[schemas.ChipOut.model_validate(asdict(chip)) for chip in query.chips(asked)],
    )
