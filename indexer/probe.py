"""`python -m indexer.probe URL`: exit status 0 if the address answers 200 within 5 seconds, else 1 and the reason.

For health checks in containers: no curl is needed, and nothing but the standard library is loaded.
"""

import sys
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

TIMEOUT_S = 5.0


def probe(url: str) -> str | None:
    """None if `url` answers 200, otherwise what happened instead."""
    if urlsplit(url).scheme not in ("http", "https"):
        return f"{url} is not an http address"
    try:
        with build_opener(ProxyHandler({})).open(url, timeout=TIMEOUT_S) as answer:
            return None if answer.status == 200 else f"{url} answers {answer.status}"
    except (URLError, OSError) as error:
        return f"{url}: {error}"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m indexer.probe URL")
    sys.exit(probe(sys.argv[1]))
