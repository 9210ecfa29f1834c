"""RFC 9457 problem details: which error answers with what, and how a refusal is written."""

import re
from dataclasses import dataclass, field
from typing import Any

from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from indexer import errors

MEDIA_TYPE = "application/problem+json"

# The nearest class in an error's ancestry decides.
STATUSES: dict[type[BaseException], tuple[int, str]] = {
    errors.UnknownTag: (422, "No such tag"),
    errors.ManifestError: (422, "The manifest cannot be used"),
    errors.QueryError: (422, "The request cannot be understood"),
    errors.ImageTooLarge: (413, "The picture is too large"),
    errors.UnsupportedFormat: (415, "Not an image format read here"),
    errors.ImageError: (422, "The picture cannot be used"),
    errors.KeyReused: (422, "The key came with another request"),
    errors.StillBeingAnswered: (409, "It is being answered"),
    errors.NameTaken: (409, "The name is taken"),
    errors.NotSignedIn: (401, "A key is needed"),
    errors.NotAllowed: (403, "Not allowed"),
    errors.TooManyRequests: (429, "Too many requests"),
    errors.Stale: (412, "It has changed meanwhile"),
    errors.NotStored: (404, "Not in the store"),
    errors.NotFound: (404, "Not found"),
    errors.ServiceUnavailable: (503, "A server does not answer"),
    errors.ModelMissing: (503, "The library's model is not on this machine"),
    errors.ConfigurationError: (500, "Sightline is not set up correctly"),
    errors.SightlineError: (500, "Sightline cannot answer"),
}


@dataclass(frozen=True)
class Problem:
    """One refusal: `name` and the `type` made of it are stable, `detail` is for people."""

    status: int
    name: str
    title: str
    detail: str
    extra: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """The JSON object of RFC 9457, with `name` and this kind's own members."""
        return {
            "type": f"urn:sightline:problem:{self.name}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "name": self.name,
            **self.extra,
        }

    def response(self) -> JSONResponse:
        """An answer that carries it."""
        headers = {"Retry-After": "5"} if self.status == 503 else {}
        return JSONResponse(self.body(), self.status, headers | self.headers, media_type=MEDIA_TYPE)


class ProblemOut(BaseModel):
    """Why a request, or one item of it, was refused (RFC 9457)."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"additionalProperties": True})

    type: str = Field(description="stable identifier of the kind of problem")
    title: str = Field(description="the kind of problem in words")
    status: int = Field(description="HTTP status")
    detail: str = Field(description="what is wrong here and what to do about it")
    name: str = Field(description="short stable name of the kind of problem", examples=["unknown_tag"])


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI entries for the statuses an endpoint may refuse with; any may find a request malformed."""
    return {
        status: {
            "description": "Refused, with the reason",
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemOut"}}},
        }
        for status in sorted({422, *statuses})
    }


def guarded(described: dict[str, Any]) -> None:
    """Say of every operation that needs a scope how it refuses, and that without any key nothing is needed."""
    for methods in described["paths"].values():
        for operation in methods.values():
            if "security" in operation:
                operation["security"].append({})
                for status, answer in answers(401, 403, 429).items():
                    operation["responses"].setdefault(str(status), answer)


def problem_of(error: Exception) -> Problem:
    """How one of our errors is told."""
    status, title = next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)
    name = getattr(error, "code", None) or _snake(type(error).__name__)
    extra: dict[str, object] = {}
    if isinstance(error, errors.UnknownTag):
        extra = {"tag": error.name, "suggestions": list(error.suggestions), **_place(error)}
    elif isinstance(error, errors.QuerySyntaxError):
        extra = {"text": error.text, "suggestions": list(error.suggestions), **_place(error)}
    elif isinstance(error, errors.ServiceUnavailable):
        extra = {"service": error.service}
    return Problem(status, name, title, str(error), extra, _headers(error))


def _headers(error: Exception) -> dict[str, str]:
    """What programs read of a refusal without looking into it."""
    if isinstance(error, errors.NotSignedIn):
        return {"WWW-Authenticate": 'Bearer realm="sightline"'}
    if isinstance(error, errors.TooManyRequests):
        return {"Retry-After": str(error.wait_s)}
    return {}


def _place(error: errors.UnknownTag | errors.QuerySyntaxError) -> dict[str, object]:
    """Which characters of the query are meant, where that is known; of a JSON query, in which value."""
    if error.position is None:
        return {}
    place: dict[str, object] = {"position": error.position, "length": error.length}
    path = getattr(error, "path", "")
    return {**place, "path": path} if path else place


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
