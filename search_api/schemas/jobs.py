"""Requests to index."""

from datetime import datetime

from pydantic import BaseModel, Field


class FailureOut(BaseModel):
    """One input that could not be used."""

    position: int = Field(description="its place among the inputs, from 1; a CSV's heading is none")
    uri: str
    name: str
    code: str
    message: str


class JobOut(BaseModel):
    """How far a job is."""

    id: int
    kind: str
    created_at: datetime
    done: bool
    total: int
    pending: int
    indexed: int
    failed: int
    stage_seconds: dict[str, float] = Field(description="seconds spent per stage, summed over workers")


class JobDetail(JobOut):
    """A job and the inputs it could not use."""

    failures: list[FailureOut] = Field(description="the first 1,000, in input order")


class JobsOut(BaseModel):
    """The newest jobs, newest first."""

    jobs: list[JobOut]
    as_of: datetime = Field(description="when this was so, by the clock that dates the jobs")
