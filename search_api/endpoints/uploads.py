"""New pictures from a browser or a program."""

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from indexer.catalog import images, jobs, work
from indexer.errors import ImageError, ImageTooLarge, QueryError, ServiceUnavailable
from indexer.images import content_hash, sniff
from indexer.tables import ANNOTATED, PENDING
from search_api import schemas
from search_api.access import requires
from search_api.dependencies import ServicesDep
from search_api.multipart import Part, parts
from search_api.problems import Problem, ProblemOut, answers, problem_of
from search_api.services import Services

router = APIRouter(prefix="/v1/images", tags=["images"], dependencies=[requires("images.write")])
MAX_NAME = 255

FILES: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {
                            "type": "array",
                            "items": {"type": "string", "format": "binary"},
                            "description": "picture files, in parts of any name",
                        }
                    },
                }
            }
        },
    }
}


class Intake:
    """Takes the files of one request: originals into the store one by one, then all into the catalogue."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.outcomes: list[images.NewFile | Problem] = []
        self.names: list[str] = []

    def take(self, part: Part) -> None:
        """Check one file and keep its bytes; a refusal is recorded, never raised."""
        self.names.append(_file_name(part.filename or ""))
        try:
            self.outcomes.append(self._keep(part))
        except ImageError as error:
            self.outcomes.append(problem_of(error))

    def _keep(self, part: Part) -> images.NewFile:
        if part.too_large:
            limit = self.services.limits.max_bytes
            raise ImageTooLarge(f"The file is over the limit of {limit:,} bytes. Shrink it and try again.")
        data = bytes(part.data)
        sniff(data)
        digest = content_hash(data)
        self.services.storage.put_original(digest, data)
        return images.NewFile(digest, len(data), "upload", f"upload:{digest.hex()}/{self.names[-1]}")

    def finish(self) -> schemas.UploadOut:
        """Register what was kept under one job, commit, then wake a worker.

        Raises:
            ServiceUnavailable: Postgres does not answer; or one of the pictures was deleted meanwhile.
        """
        files = [outcome for outcome in self.outcomes if isinstance(outcome, images.NewFile)]
        if not files:
            return schemas.UploadOut(job_id=None, items=self._items({}))
        with self.services.sessions.begin() as session:
            job_id = jobs.create(session, "upload")
            registered = images.register(session, files, job_id, work.INTERACTIVE)
            self._make_sure_of(files)
            states = {f.uri: (r.image_id, r.state) for f, r in zip(files, registered, strict=True)}
            jobs.add_items(session, job_id, [self._item(*pair, states) for pair in self._pairs()])
        if PENDING in {state for _, state in states.values()}:
            self.services.queue.wake()
        return schemas.UploadOut(job_id=job_id, items=self._items(states))

    def _make_sure_of(self, files: Sequence[images.NewFile]) -> None:
        """That nobody has deleted the same bytes since they were found to be here already; nobody can from now on."""
        for file in files:
            if not self.services.storage.has_original(file.content_hash):
                raise ServiceUnavailable(
                    "storage", "A picture was deleted while it was being sent again. Send it once more."
                )

    def _pairs(self) -> list[tuple[str, images.NewFile | Problem]]:
        return list(zip(self.names, self.outcomes, strict=True))

    def _item(
        self, name: str, outcome: images.NewFile | Problem, states: dict[str, tuple[int, str]]
    ) -> jobs.NewItem:
        if isinstance(outcome, Problem):
            return jobs.NewItem(f"upload:refused/{name}", None, outcome.name, outcome.detail)
        return jobs.NewItem(outcome.uri, states[outcome.uri][0])

    def _items(self, states: dict[str, tuple[int, str]]) -> list[schemas.UploadItem]:
        items = []
        for name, outcome in self._pairs():
            if isinstance(outcome, Problem):
                error = ProblemOut.model_validate(outcome.body())
                items.append(schemas.UploadItem(name=name, status="refused", image_id=None, error=error))
                continue
            image_id, state = states[outcome.uri]
            status = "accepted" if state in (PENDING, ANNOTATED) else "known"
            items.append(
                schemas.UploadItem.model_validate(
                    {"name": name, "status": status, "image_id": image_id, "error": None}
                )
            )
        return items


@router.post(
    "",
    status_code=202,
    response_model=schemas.UploadOut,
    openapi_extra=FILES,
    responses=answers(413, 415, 422, 503),
)
async def upload(request: Request, services: ServicesDep) -> Response:
    """Add pictures to the library.

    Each file is accepted, recognised or refused on its own. `Location` names the job that tells when they
    can be found. If every file was refused, so is the request, with the first reason.
    """
    intake = Intake(services)
    async for part in parts(request, services.limits.max_bytes):
        if part.filename is not None:
            await run_in_threadpool(intake.take, part)
    if not intake.names:
        raise QueryError("Send at least one file, as multipart/form-data.")
    taken = await run_in_threadpool(intake.finish)
    body = taken.model_dump(mode="json")
    refused = [item for item in intake.outcomes if isinstance(item, Problem)]
    if taken.job_id is None:
        first = refused[0]
        extra = {"items": body["items"]}
        return Problem(first.status, first.name, first.title, first.detail, extra).response()
    return JSONResponse(body, 202, {"Location": f"/v1/jobs/{taken.job_id}"})


def _file_name(given: str) -> str:
    """The last part of a path of either kind of system; never empty, no control characters."""
    name = PurePosixPath(given.replace("\\", "/")).name
    printable = "".join(char for char in name if char.isprintable())
    return printable[-MAX_NAME:] or "unnamed"
