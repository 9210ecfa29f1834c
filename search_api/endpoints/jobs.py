"""How far requests to index are."""

from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy import func, select

from indexer.catalog import jobs as job_catalog
from indexer.errors import NotFound
from search_api import schemas, views
from search_api.access import requires
from search_api.dependencies import SessionDep
from search_api.problems import answers

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], dependencies=[requires("images.read")])


@router.get("", responses=answers(503))
def recent(session: SessionDep, limit: Annotated[int, Query(ge=1, le=100)] = 20) -> schemas.JobsOut:
    """The newest jobs, newest first."""
    found = [job_catalog.progress(session, job_id) for job_id in job_catalog.recent(session, limit)]
    jobs = [views.job(progress) for progress in found if progress]
    return schemas.JobsOut(jobs=jobs, as_of=session.scalars(select(func.now())).one())


@router.get("/{job_id}", responses=answers(404, 503))
def job(job_id: int, session: SessionDep) -> schemas.JobDetail:
    """How far one job is, and which inputs it could not use and why."""
    progress = job_catalog.progress(session, job_id) if 0 < job_id < 2**63 else None
    if progress is None:
        raise NotFound(f"There is no job {job_id}; `GET /v1/jobs` lists the newest.")
    return views.job_detail(progress, job_catalog.failures(session, job_id))
