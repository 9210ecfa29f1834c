"""Serve one Milvus Lite data folder to every process of a home, on a private socket, until SIGTERM.

    python serve_milvus.py <data folder> <socket>

Milvus Lite's own server closes its data cleanly on Ctrl-C alone and listens on TCP, where anybody on the
machine could write to it: it has no passwords. Run by path, not import.
"""

import contextlib
import os
import signal
import sys
import threading
from types import FrameType

from milvus_lite.adapter.grpc.server import DEFAULT_MAX_WORKERS, _build_server
from milvus_lite.db import MilvusLite
from milvus_lite.engine import collection

DRAIN_S = 5.0
# Filters are kept parsed, the last 256 of each collection. Ours are lists of ids, up to 50,000, of which hardly two are
# the same: together they would hold gigabytes for nothing.
collection.FILTER_CACHE_SIZE = 1


def main(data: str, socket: str) -> None:
    """Open `data`, which no other process may have open, answer on `socket`, close `data` on SIGTERM."""
    done = threading.Event()

    def finish(_signal: int, _frame: FrameType | None) -> None:
        done.set()

    signal.signal(signal.SIGTERM, finish)
    signal.signal(signal.SIGINT, finish)
    database = MilvusLite(data)
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(socket)  # noqa: PTH108 - a leftover: the open database proves we are the only server
        server = _build_server(database, DEFAULT_MAX_WORKERS)
        server.add_insecure_port(f"unix:{socket}")
        server.start()
        print(f"Milvus Lite serves {data} on {socket}", flush=True)  # noqa: T201 - this is its log
        done.wait()
        server.stop(grace=DRAIN_S).wait()
    finally:
        database.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(socket)  # noqa: PTH108
    print("Closed", flush=True)  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
