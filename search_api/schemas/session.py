"""Signing in and out."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class SignIn(BaseModel):
    """What one signs in with."""

    model_config = ConfigDict(extra="forbid")

    key: str = Field(max_length=200, description="an API key, as `sightline keys create` printed it")


class SessionOut(BaseModel):
    """Who one is here, and what one may do."""

    signed_in_by: Literal["open", "key", "session"] = Field(
        description="a browser's session, a key sent along, or nothing: without any key everything is open"
    )
    name: str | None = Field(description="what the key is called")
    scopes: list[str] = Field(description="what it opens; `admin` opens everything")
