"""Answers to requests that carried an idempotency key, so that the same request sent again gets the same answer."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from indexer.errors import KeyReused, StillBeingAnswered
from indexer.tables import AnsweredRequest

KEPT_S = 24 * 3600  # how long an answer is kept
ABANDONED_S = 600  # a request that is answered for longer has lost its server
_FORGOTTEN_AT_ONCE = 100


@dataclass(frozen=True)
class Answer:
    """What was answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def begin(session: Session, owner: str, key: str, request_hash: bytes) -> Answer | None:
    """The answer given before to this request; None if there is none, and it is being answered from now on.

    Args:
        session: to be committed before anything is done about the request.
        owner: whose key it is: two callers' keys are never the same.
        key: as the caller gave it.
        request_hash: tells whether it is the same request, 32 bytes.

    Raises:
        KeyReused: the key came with another request before.
        StillBeingAnswered: the same request is being answered at this moment.
    """
    _forget_old(session)
    row = {"owner": owner, "key": key, "request_hash": request_hash}
    began = insert(AnsweredRequest).values(row).on_conflict_do_nothing().returning(AnsweredRequest.key)
    if session.scalar(began) is not None:
        return None
    mine = AnsweredRequest.owner == owner, AnsweredRequest.key == key
    abandoned = AnsweredRequest.created_at < _ago(ABANDONED_S)
    found = session.execute(
        select(AnsweredRequest, abandoned.label("abandoned")).where(*mine).with_for_update()
    ).one()
    before: AnsweredRequest = found[0]
    if bytes(before.request_hash) != request_hash:
        raise KeyReused(
            "This Idempotency-Key came with another request before: use a new key for a new request."
        )
    if before.status is not None:
        return Answer(before.status, json.loads(before.headers or "{}"), bytes(before.body or b""))
    if not found.abandoned:
        raise StillBeingAnswered("The same request is being answered at this moment: ask again in a while.")
    session.execute(update(AnsweredRequest).where(*mine).values(created_at=func.now()))
    return None


def keep(session: Session, owner: str, key: str, answer: Answer) -> None:
    """Note the answer, best in the transaction that does what it tells of: then neither is without the other."""
    session.execute(
        update(AnsweredRequest)
        .where(AnsweredRequest.owner == owner, AnsweredRequest.key == key)
        .values(status=answer.status, headers=json.dumps(dict(answer.headers)), body=answer.body)
    )


def forget(session: Session, owner: str, key: str) -> None:
    """A request failed, or was refused: sent again it is looked at anew."""
    session.execute(
        delete(AnsweredRequest).where(
            AnsweredRequest.owner == owner, AnsweredRequest.key == key, AnsweredRequest.status.is_(None)
        )
    )


def _forget_old(session: Session) -> None:
    """A few answers nobody will ask for any more, at each new request."""
    old = (
        select(AnsweredRequest.owner, AnsweredRequest.key)
        .where(AnsweredRequest.created_at < _ago(KEPT_S))
        .limit(_FORGOTTEN_AT_ONCE)
        .with_for_update(skip_locked=True)
        .cte("old")
    )
    session.execute(
        delete(AnsweredRequest)
        .where(AnsweredRequest.owner == old.c.owner, AnsweredRequest.key == old.c.key)
        .execution_options(synchronize_session=False)
    )


def _ago(seconds: int) -> ColumnElement[datetime]:
    return func.now() - func.make_interval(0, 0, 0, 0, 0, 0, seconds)
