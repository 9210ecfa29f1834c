"""Which way an address is brought here: by http, or from an object store."""

from dataclasses import dataclass

from indexer.errors import AddressRefused
from indexer.fetching import stores, web
from indexer.fetching.addresses import Boundary, networks
from indexer.fetching.stores import Stores
from indexer.fetching.web import FetchLimits, WebFetch
from indexer.settings import Fetch


@dataclass(frozen=True)
class Opener:
    """Brings the picture at any address that may be fetched from. Thread-safe."""

    web: WebFetch
    stores: Stores

    @classmethod
    def allowing(cls, settings: Fetch, max_bytes: int) -> "Opener":
        """What the settings allow, pictures of at most `max_bytes`. Raises ConfigurationError."""
        limits = FetchLimits(max_bytes, settings.timeout_s, settings.max_redirects)
        allowed = Stores(stores.prefixes(settings.stores), max_bytes)
        return cls(WebFetch(limits, Boundary(networks(settings.networks))), allowed)

    def __call__(self, url: str) -> bytes:
        """The picture at `url`. Raises as `WebFetch` and `Stores` do."""
        if _scheme(url) in stores.SCHEMES:
            return self.stores(url)
        return self.web(url)

    def check(self, url: str) -> None:
        """Raises AddressRefused for what can be refused without asking anybody; fetching looks closer."""
        scheme = _scheme(url)
        if any(not character.isprintable() or character.isspace() for character in url):
            raise AddressRefused(
                f"{url[:100]!r} holds a space or a control character: write %20 for a space."
            )
        if scheme in stores.SCHEMES:
            self.stores.check(url)
        elif scheme in web.SCHEMES:
            self.web.check(url)
        else:
            raise AddressRefused(
                f"{url[:100]!r} is no address that is fetched: begin with https://, or s3:// where that is allowed."
            )


def _scheme(url: str) -> str:
    return url.partition("://")[0].lower() if "://" in url else ""
