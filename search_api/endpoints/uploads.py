"""New pictures from a browser or a program."""

import logging
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from indexer import manifests
from indexer.catalog import images, jobs, statements, work
from indexer.catalog.statements import Said
from indexer.errors import ImageError, ImageTooLarge, ManifestError, QueryError, ServiceUnavailable
from indexer.images import content_hash, sniff
from indexer.tables import ANNOTATED, PENDING
from search_api import schemas
from search_api.access import requires
from search_api.dependencies import ServicesDep
from search_api.idempotency import Keep, OnceDep, fingerprint_of
from search_api.multipart import Part, parts
from search_api.problems import Problem, ProblemOut, answers, problem_of
from search_api.services import Services

logger = logging.getLogger(__name__)
router = APIRouter(prefix="/v1/images", tags=["images"], dependencies=[requires("images.write")])
MAX_NAME = 255

# Fields, each about the files that come after it, until it comes again.
SAYING = {
    "sku": "article number of the files after this field",
    "title": "title of the files after this field",
    "caption": "caption (alternative text) of the files after this field, as a person's",
    "tags": "tags of the files after this field, with semicolons between, as a person's",
    "collection": "collection the files after this field are put into, made if there is none of this name",
}

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
                        },
                        **{name: {"type": "string", "description": text} for name, text in SAYING.items()},
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
        self.said: dict[str, Said] = {}
        self._cells: dict[str, str] = {}
        self._unused = ""
        self._seen: list[bytes | str | None] = ["upload"]

    @property
    def fingerprint(self) -> bytes:
        """Tells this request's files and fields, in their order, from any other's."""
        return fingerprint_of(*self._seen)

    def hear(self, part: Part) -> None:
        """A field, about the files that follow. Raises QueryError for one that cannot be kept."""
        if part.name not in SAYING:
            return
        self._unused = part.name
        self._seen += [part.name, part.text]
        self._cells[part.name] = part.text.strip()
        try:
            manifests.saying(self._cells)
        except ManifestError as error:
            raise QueryError(str(error)) from error

    def check(self) -> None:
        """Raises QueryError: no file came, or a field after the last."""
        if not self.names:
            raise QueryError("Send at least one file, as multipart/form-data.")
        if self._unused:
            raise QueryError(
                f"The field {self._unused!r} comes after the files: send it before those it is about."
            )

    def take(self, part: Part) -> None:
        """Check one file and keep its bytes; a refusal is recorded, never raised."""
        self.names.append(_file_name(part.filename or ""))
        self._unused = ""
        self._seen += [self.names[-1], None if part.too_large else content_hash(bytes(part.data))]
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
        said = manifests.saying({name: text for name, text in self._cells.items() if text})
        uri = f"upload:{digest.hex()}/{self.names[-1]}"
        self.said[uri] = said
        return images.NewFile(digest, len(data), "upload", uri, external_id=said.sku, title=said.title)

    def finish(self, keep: Keep) -> Response:
        """Register what was kept under one job, commit together with the answer, then wake a worker.

        Raises:
            ServiceUnavailable: Postgres does not answer; or one of the pictures was deleted meanwhile.
        """
        files = [outcome for outcome in self.outcomes if isinstance(outcome, images.NewFile)]
        if not files:
            return self._refusal()
        with self.services.sessions.begin() as session:
            job_id = jobs.create(session, "upload")
            registered = images.register(session, files, job_id, work.INTERACTIVE)
            self._make_sure_of(files)
            states = {f.uri: (r.image_id, r.state) for f, r in zip(files, registered, strict=True)}
            jobs.add_items(session, job_id, [self._item(*pair, states) for pair in self._pairs()])
            said = {states[uri][0]: said for uri, said in self.said.items() if uri in states}
            spoken_of = statements.say(session, said, job_id, work.INTERACTIVE)
            taken = schemas.UploadOut(job_id=job_id, items=self._items(states))
            response = JSONResponse(taken.model_dump(mode="json"), 202, {"Location": f"/v1/jobs/{job_id}"})
            keep(session, response)
        ids = sorted({image_id for image_id, _ in states.values()})
        logger.info("took in %d files", len(files), extra={"job_id": job_id, "image_ids": ids})
        if spoken_of or PENDING in {state for _, state in states.values()}:
            self.services.queue.wake()
        return response

    def _refusal(self) -> Response:
        """Every file was refused, and so is the request, with the first reason."""
        first = next(outcome for outcome in self.outcomes if isinstance(outcome, Problem))
        extra = {"items": [item.model_dump(mode="json") for item in self._items({})]}
        return Problem(first.status, first.name, first.title, first.detail, extra).response()

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
    responses=answers(409, 413, 415, 422, 503),
)
async def upload(request: Request, services: ServicesDep, once: OnceDep) -> Response:
    """Add pictures to the library.

    Each file is accepted, recognised or refused on its own. `Location` names the job that tells when they
    can be found. If every file was refused, so is the request, with the first reason. The fields `sku`, `title`,
    `caption`, `tags` and `collection` are about the files sent after them, until they are sent again.
    """
    intake = Intake(services)
    async for part in parts(request, services.limits.max_bytes):
        if part.filename is None:
            intake.hear(part)
        else:
            await run_in_threadpool(intake.take, part)
    intake.check()
    return await run_in_threadpool(once.carry_out, intake.fingerprint, intake.finish)


def _file_name(given: str) -> str:
    """The last part of a path of either kind of system; never empty, no control characters."""
    name = PurePosixPath(given.replace("\\", "/")).name
    printable = "".join(char for char in name if char.isprintable())
    return printable[-MAX_NAME:] or "unnamed"
