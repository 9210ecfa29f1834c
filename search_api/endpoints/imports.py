"""Pictures brought from addresses, and manifests of many."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, cast

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from indexer import manifests
from indexer.catalog import jobs, work
from indexer.errors import ManifestError
from indexer.fetching import Opener
from indexer.importing import Importer
from indexer.manifests import BadRow, Row, Table
from indexer.outcomes import Outcome
from indexer.task_queue import FETCH, INDEX
from search_api import schemas
from search_api.access import requires
from search_api.dependencies import ServicesDep
from search_api.idempotency import Keep, OnceDep, fingerprint_of
from search_api.problems import Problem, ProblemOut, answers
from search_api.services import Services

router = APIRouter(prefix="/v1", tags=["images"], dependencies=[requires("images.write")])
MAX_MANIFEST_BYTES = 64 * 2**20
MAX_ROWS = 50_000

MANIFEST: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            kind: {"schema": {}, "example": example}  # text of any kind: each row is judged by itself
            for kind, example in (
                ("text/csv", "sku,title,alt_text\r\nA-1001,Red dress,A red dress on a hanger\r\n"),
                ("application/jsonl", '{"url": "https://shop.example/1.jpg", "sku": "A-1001"}\n'),
            )
        },
    }
}


@router.post(
    "/images/urls", status_code=202, response_model=schemas.ImportOut, responses=answers(409, 422, 503)
)
def by_address(body: schemas.UrlsIn, services: ServicesDep, once: OnceDep) -> Response:
    """Bring pictures from the web, or from stores the server may read.

    They are fetched in the background, from public addresses only; each may fail on its own. The job at `Location`
    tells how far they are, what could not be fetched, and why.
    """
    rows = [_row(number, item) for number, item in enumerate(body.items, 1)]
    refetch = body.refetch
    return once.carry_out(
        fingerprint_of("urls", body.model_dump_json()),
        lambda keep: _import(services, "urls", rows, keep, refetch=refetch),
    )


@router.post(
    "/imports",
    status_code=202,
    response_model=schemas.ImportOut,
    openapi_extra=MANIFEST,
    responses={**answers(409, 413, 422, 503), 200: {"model": schemas.DryRunOut, "description": "A dry run"}},
)
async def by_manifest(
    request: Request,
    services: ServicesDep,
    once: OnceDep,
    refetch: bool = Query(False, description="also fetch addresses again that are in the library"),
    dry_run: bool = Query(False, description="say what would be done; change nothing, fetch nothing"),
) -> Response:
    """Take a manifest: a table, as CSV or JSON Lines, of pictures to bring and of what is said of pictures.

    Columns: `url` (a picture to bring), `sku`, `id` (a picture of the library, without a url), `title`, `alt_text`,
    `tags`, `rejected_tags`, `collection`; others are passed over, and named. Each row is taken or refused on its own.
    A table made by `GET /v1/export`, edited and sent here, says only what was edited: empty and unedited cells change
    nothing, and a tag that is taken away is not rejected unless it stands under `rejected_tags`. A row that takes back
    what a person said, or in which something was edited that no table can change, is told so in its `note`.

    With `dry_run` the answer is 200 and says of each row what would become of it, as far as can be known without
    fetching or decoding; nothing is changed, and there is no job.
    """
    with SpooledTemporaryFile(max_size=2**20) as file:
        digest = await _received(request, cast("BinaryIO", file))
        table = await run_in_threadpool(lambda: manifests.read(cast("BinaryIO", file)))
        if dry_run:
            plan = await run_in_threadpool(lambda: _dry_run(services, table, refetch=refetch))
            return JSONResponse(plan.model_dump(mode="json"))
        strange = table.passed_over
        return await run_in_threadpool(
            once.carry_out,
            fingerprint_of("import", digest, str(refetch)),
            lambda keep: _import(services, "import", _bounded(table), keep, refetch=refetch, strange=strange),
        )


async def _received(request: Request, file: BinaryIO) -> bytes:
    """Write the body to a file and wind it back; its digest."""
    if request.headers.get("content-type", "").startswith("multipart/"):
        raise ManifestError(
            "The table came inside a form: send it as the body (curl --data-binary @shop.csv)."
        )
    digest, read = hashlib.sha256(), 0
    async for chunk in request.stream():
        read += len(chunk)
        if read > MAX_MANIFEST_BYTES:
            raise ManifestError(f"The manifest is over {MAX_MANIFEST_BYTES:,} bytes: send it in parts.")
        digest.update(chunk)
        file.write(chunk)
    file.seek(0)
    return digest.digest()


def _dry_run(services: Services, table: Table, *, refetch: bool) -> schemas.DryRunOut:
    opener = Opener.allowing(services.settings.fetch, services.limits.max_bytes)
    outcomes = list(Importer(services.sessions, None, opener.check, refetch=refetch).run(_bounded(table)))
    return schemas.DryRunOut(
        counts=dict(Counter(outcome.status for outcome in outcomes)),
        rows=[_told(one) for one in outcomes],
        unknown_columns=list(table.passed_over),
    )


def _import(
    services: Services,
    kind: str,
    rows: Iterable[Row | BadRow],
    keep: Keep,
    *,
    refetch: bool,
    strange: Sequence[str] = (),
) -> Response:
    with services.sessions.begin() as session:
        job_id = jobs.create(session, kind)
    opener = Opener.allowing(services.settings.fetch, services.limits.max_bytes)

    def wake() -> None:
        for queue in (FETCH, INDEX):
            services.queue.wake(queue)

    importer = Importer(
        services.sessions, job_id, opener.check, priority=work.INTERACTIVE, refetch=refetch, wake=wake
    )
    outcomes = list(importer.run(rows))
    counts = Counter(outcome.status for outcome in outcomes)
    told = schemas.ImportOut(
        job_id=job_id,
        counts=dict(counts),
        rows=[_told(one) for one in outcomes],
        unknown_columns=list(strange),
    )
    response = JSONResponse(told.model_dump(mode="json"), 202, {"Location": f"/v1/jobs/{job_id}"})
    with services.sessions.begin() as session:
        keep(session, response)
    return response


def _row(number: int, item: schemas.UrlIn) -> Row | BadRow:
    cells = {name: str(value) for name, value in item.model_dump(exclude={"tags"}).items() if value}
    if item.tags:
        cells["tags"] = "; ".join(item.tags)
    return manifests.understood(number, cells)


def _bounded(rows: Iterable[Row | BadRow]) -> Iterable[Row | BadRow]:
    for count, row in enumerate(rows, 1):
        if count > MAX_ROWS:
            yield BadRow(
                row.number,
                f"A request may have {MAX_ROWS:,} rows: send this one and those after it in another.",
            )
            return
        yield row


def _told(outcome: Outcome) -> schemas.RowOut:
    error = None
    if outcome.code is not None:
        problem = Problem(422, outcome.code, "The row cannot be used", outcome.message or "")
        error = ProblemOut.model_validate(problem.body())
    return schemas.RowOut(
        row=outcome.number,
        status=outcome.status,
        sku=outcome.sku,
        image_id=outcome.image_id,
        error=error,
        said=list(outcome.said),
        note=outcome.remark,
    )
