"""Who said it."""

from dataclasses import dataclass

from indexer.published import Kind


@dataclass(frozen=True)
class ModelIdentity:
    """Which model said something.

    `version` is the first 12 hex digits of its weights' SHA-256; a precision other than exact is named behind it
    ("9f86d081884c+bf16"), since it may answer otherwise.
    """

    kind: Kind
    name: str
    version: str
