"""Bringing bytes here from an address somebody gave: a web address, or an object in a store.

addresses.py   which machines may be reached: none that leads inside
dialing.py     connections to the very addresses that were looked at
web.py         one picture by http or https, within limits on bytes, seconds and redirects
stores.py      one picture, or the names of many, from an object store the operator allowed
opening.py     which of the two an address asks for
fetcher.py     what waits to be fetched, one after the other
"""

from indexer.fetching.addresses import Boundary
from indexer.fetching.fetcher import Fetcher
from indexer.fetching.opening import Opener
from indexer.fetching.stores import Stores
from indexer.fetching.web import FetchLimits, WebFetch

__all__ = ["Boundary", "FetchLimits", "Fetcher", "Opener", "Stores", "WebFetch"]
