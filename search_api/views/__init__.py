"""Catalogue values -> what goes over the wire."""

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Literal
from urllib.parse import unquote, urlsplit

from indexer.catalog import jobs
from indexer.catalog.hits import CaptionView, ImageView, SourceView, TagView
from indexer.search.reasons import MatchedTag
from indexer.tables import ANNOTATED, INDEXED
from search_api import schemas

KINDS: dict[str, Literal["human", "file"]] = {"person": "human", "file": "file"}


def stated_by(view: TagView | CaptionView | MatchedTag) -> schemas.StatedBy:
    """Who says it; every network is a `model`."""
    return schemas.StatedBy(kind=KINDS.get(view.kind, "model"), name=view.annotator, version=view.version)


def tag(view: TagView) -> schemas.TagOut:
    """One statement about a tag."""
    return schemas.TagOut(
        name=view.name,
        confidence=view.confidence,
        threshold=view.threshold,
        source=stated_by(view),
        rejected=view.rejected,
    )


def caption(view: CaptionView) -> schemas.CaptionOut:
    """One caption."""
    return schemas.CaptionOut(text=view.text, source=stated_by(view), guided_by=list(view.guided_by))


def source_name(uri: str) -> str:
    """The file name at the end of an address."""
    parts = urlsplit(uri)
    return unquote(PurePosixPath(parts.path).name, errors="replace") or uri


def source(view: SourceView) -> schemas.SourceOut:
    """One source; bytes of a path that are not UTF-8 are shown as `?`."""
    return schemas.SourceOut.model_validate(
        {
            "kind": view.kind,
            "uri": view.uri,
            "name": upload_name(view.uri) if view.kind == "upload" else source_name(view.uri),
            "external_id": view.external_id,
        }
    )


def upload_name(uri: str) -> str:
    """The name an uploaded file had, from `upload:<sha256>/<name>`."""
    return uri.partition("/")[2] or uri


def summary(view: ImageView) -> schemas.ImageSummary:
    """An image as a result page shows it."""
    return schemas.ImageSummary.model_validate(_summary(view))


def _summary(view: ImageView) -> dict[str, object]:
    digest = view.content_hash.hex()
    drawn = view.state in (ANNOTATED, INDEXED)
    return {
        "id": view.id,
        "state": view.state,
        "width": view.width,
        "height": view.height,
        # The version keeps a cached picture from being shown for another library's image of this id.
        "thumbnail_url": f"/v1/images/{view.id}/thumbnail?v={digest[:12]}" if drawn else None,
        "caption": view.captions[0].text if view.captions else None,
        "tags": [tag(item) for item in view.tags],
        "title": view.title,
        "taken_at": view.taken_at,
    }


def image(view: ImageView, collections: Sequence[str]) -> schemas.ImageOut:
    """Everything known of an image, which is in these collections."""
    same = ("bytes", "format", "description", "place", "latitude", "longitude", "added_at", "indexed_at")
    refusal = view.error_code and {"code": view.error_code, "message": view.error_message or ""}
    return schemas.ImageOut.model_validate(
        {
            **_summary(view),
            **{name: getattr(view, name) for name in same},
            "content_hash": view.content_hash.hex(),
            "error": refusal or None,
            "original_url": f"/v1/images/{view.id}/original",
            "captions": [caption(item) for item in view.captions],
            "sources": [source(item) for item in view.sources],
            "collections": collections,
        }
    )


def job(progress: jobs.Progress) -> schemas.JobOut:
    """How far a job is."""
    return schemas.JobOut.model_validate(_job(progress))


def _job(progress: jobs.Progress) -> dict[str, object]:
    same = ("kind", "created_at", "done", "total", "pending", "indexed", "failed", "stage_seconds")
    return {"id": progress.job_id, **{name: getattr(progress, name) for name in same}}


def job_detail(progress: jobs.Progress, failures: list[jobs.Failure]) -> schemas.JobDetail:
    """A job and what it could not use."""
    refused = [
        {
            "position": f.position + 1,
            "uri": f.uri,
            "name": file_name(f.uri),
            "code": f.code,
            "message": f.message,
        }
        for f in failures
    ]
    return schemas.JobDetail.model_validate({**_job(progress), "failures": refused})


def file_name(uri: str) -> str:
    """The file name in any source's address."""
    return upload_name(uri) if uri.startswith("upload:") else source_name(uri)
