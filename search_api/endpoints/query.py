"""The query language: its keys, and what a query means."""

from dataclasses import asdict

from fastapi import APIRouter

from indexer import query
from search_api import schemas
from search_api.access import requires
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
