"""Everything Sightline can refuse, and why.

SightlineError
├── ConfigurationError        a setting is missing, contradictory or unusable
├── ImageError                one image cannot be used; its neighbours are unharmed
│   ├── ImageUnreadable       the file or object could not be read
│   ├── ImageTooLarge         over the limit on bytes or pixels
│   ├── UnsupportedFormat     not one of the image formats decoded here
│   ├── BrokenImage           says it is an image, does not decode as one
│   ├── DecodeTimeout         took longer than the limit
│   ├── DecodeCrash           the decoder died or ran out of memory
│   ├── AddressRefused        an address that is not fetched from
│   └── NotFetched            an address from which no picture came
├── ManifestError             a table of pictures of which no row can be used
├── QueryError                a search request that cannot be understood
│   ├── QuerySyntaxError      a slip in the query's text or JSON, with its place
│   └── UnknownTag            a tag no vocabulary holds
├── NameTaken                 a name that another collection, saved search or key has
├── KeyReused                 an idempotency key that came with another request before
├── StillBeingAnswered        the same request is being answered at this moment
├── Stale                     what was to be changed has changed meanwhile
├── NotFound                  an id that names nothing
│   └── NotStored             bytes the store does not hold
├── NotSignedIn               no key came along, or one that opens nothing
├── NotAllowed                a key that does not open this, or a session without its CSRF token
├── TooManyRequests           more than one caller may ask in a minute
├── UnknownModel              a model name nobody registered
│   └── ModelMissing          the model in effect is not on this machine
├── ModelsChanged             another model is in effect than the one that has spoken
├── ModelsBroken              the models fail on any image
├── ClaimLost                 somebody else has taken over the work
├── CheckpointError           a weights file that does not fit its architecture
├── DownloadError             a published file that could not be brought here, or is not the published one
├── BackupError               a folder that holds no whole backup
├── NoRoom                    the disk cannot hold what is to be written
├── VocabularyError           tag list, thresholds or names that do not fit each other
└── ServiceUnavailable        Postgres, Redis or Milvus does not answer

Messages name the input and the next step. The core knows no HTTP:
`search_api/app.py` maps classes to statuses.
"""

from collections.abc import Sequence


class SightlineError(Exception):
    """Base of every error raised on purpose."""


class ConfigurationError(SightlineError):
    """A setting is missing, contradictory or unusable."""


class ImageError(SightlineError):
    """One image cannot be used. `code` is stable and safe to store or match on."""

    code = "image_error"


class ImageUnreadable(ImageError):
    """The file or object could not be read."""

    code = "unreadable"


class ImageTooLarge(ImageError):
    """Over the limit on bytes or pixels."""

    code = "too_large"


class UnsupportedFormat(ImageError):
    """Not one of the image formats decoded here."""

    code = "unsupported_format"


class BrokenImage(ImageError):
    """Carries an image signature but does not decode."""

    code = "broken"


class DecodeTimeout(ImageError):
    """Decoding took longer than the limit and was stopped."""

    code = "timeout"


class DecodeCrash(ImageError):
    """The decoder died or ran out of memory; only this image is affected."""

    code = "crash"


class AddressRefused(ImageError):
    """An address that is not fetched from: it leads inside, or is none."""

    code = "address_refused"


class NotFetched(ImageError):
    """No picture came from an address.

    `again` says whether a later try may have more luck, `after_s` how many seconds its server asks to wait.
    """

    code = "not_fetched"

    def __init__(self, message: str, *, again: bool = False, after_s: float | None = None) -> None:
        self.again, self.after_s = again, after_s
        super().__init__(message)


class ManifestError(SightlineError):
    """A table of pictures of which no row can be used."""


class QueryError(SightlineError):
    """A search request that cannot be understood."""


class QuerySyntaxError(QueryError):
    """A slip in a query's text or JSON.

    `position` and `length` mark the characters of `text` that are wrong; each of `suggestions` could stand in
    their place. Of a query in JSON, `text` is the value concerned and `path` where it stands ("filter/any/0").
    """

    def __init__(
        self,
        message: str,
        text: str = "",
        position: int = 0,
        length: int = 0,
        suggestions: Sequence[str] = (),
        path: str = "",
    ) -> None:
        self.text, self.position, self.length, self.path = text, position, length, path
        self.suggestions = tuple(suggestions)
        hint = f" Did you mean {' or '.join(self.suggestions)}?" if self.suggestions else ""
        where = f" (in {path})" if path else f" (at character {position + 1})"
        super().__init__(f"{message}{where}.{hint}")


class UnknownTag(QueryError):
    """No vocabulary holds this tag; `suggestions` are the nearest names, best first.

    `position` and `length` mark the condition in the query's text, None where it is not known.
    """

    def __init__(
        self,
        name: str,
        suggestions: Sequence[str] = (),
        position: int | None = None,
        length: int | None = None,
    ) -> None:
        self.name = name
        self.suggestions = tuple(suggestions)
        self.position, self.length = position, length
        hint = f" Did you mean {', '.join(self.suggestions)}?" if self.suggestions else ""
        super().__init__(f"No tag is called {name!r}.{hint} `sightline tags` lists every tag.")


class NameTaken(SightlineError):
    """A name that another collection, saved search or key has."""


class KeyReused(SightlineError):
    """An idempotency key that came with another request before."""


class StillBeingAnswered(SightlineError):
    """The same request is being answered at this moment."""


class Stale(SightlineError):
    """What was to be changed has changed since it was last looked at."""


class NotFound(SightlineError):
    """An id that names nothing."""


class NotStored(NotFound):
    """Bytes the store does not hold."""


class NotSignedIn(SightlineError):
    """No key came along, or one that opens nothing (any more)."""


class NotAllowed(SightlineError):
    """A key that does not open this, or a browser's session without its CSRF token."""


class TooManyRequests(SightlineError):
    """One caller asks more often than is allowed; `wait_s` seconds from now it may again."""

    def __init__(self, message: str, wait_s: int) -> None:
        self.wait_s = wait_s
        super().__init__(message)


class UnknownModel(SightlineError):
    """A model name nobody registered."""


class ModelMissing(UnknownModel):
    """The library's model in effect is not on this machine, so what needs it cannot be done here."""


class ModelsChanged(SightlineError):
    """Another model is in effect than the one whose statements were to be saved: load it and look again."""


class ModelsBroken(SightlineError):
    """The models fail on any image, so no image is to blame: the process had better be started again."""


class ClaimLost(SightlineError):
    """Somebody else has taken over what this worker was doing: it was silent for too long."""


class CheckpointError(SightlineError):
    """A weights file that does not fit its architecture."""


class DownloadError(SightlineError):
    """A published file could not be brought here, or what came is not the published one."""


class BackupError(SightlineError):
    """A folder that holds no whole backup, or one this version cannot read."""


class NoRoom(SightlineError):
    """The disk cannot hold what is to be written."""


class VocabularyError(SightlineError):
    """Tag list, thresholds or names that do not fit each other."""


class ServiceUnavailable(SightlineError):
    """Postgres, Redis or Milvus does not answer; `service` names which."""

    def __init__(self, service: str, message: str) -> None:
        self.service = service
        super().__init__(message)
