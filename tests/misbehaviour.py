"""Sources that do to a decoding process what hostile files do: hang, crash, fill the memory.

Imported by the decoding process under test, so it imports next to nothing.
"""

import ctypes
import hashlib
import os
import signal
import sys
import time


def hang() -> bytes:
    """Never returns."""
    while True:
        time.sleep(3600)


def dawdle() -> bytes:
    """Comes after two and a half seconds of sleep, with a black pixel."""
    time.sleep(2.5)
    size, offset = (58).to_bytes(4, "little"), (54).to_bytes(4, "little")
    one = (1).to_bytes(4, "little")
    header = b"BM" + size + b"\x00" * 4 + offset + (40).to_bytes(4, "little") + one + one
    return header + b"\x01\x00\x18\x00" + b"\x00" * 28


def hang_in_c() -> bytes:
    """Never returns to the interpreter, so that no Python signal handler would ever run."""
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)
    return b""


def segfault() -> bytes:
    """Reads where nothing is, as a decoder with a bug does."""
    return ctypes.string_at(8, 64)


def be_killed() -> bytes:
    """Dies as by the kernel's out-of-memory killer."""
    os.kill(os.getpid(), signal.SIGKILL)
    return b""


def abort() -> bytes:
    """Gives up as C++ libraries do."""
    os.abort()


def leave() -> bytes:
    """Ends the process in good order, which is no order for a decoder."""
    sys.exit(3)


def fill_memory() -> bytes:
    """Asks for two gigabytes."""
    return b"\x01" * 2**31


def fail_oddly() -> bytes:
    """Raises what no decoder should."""
    raise ZeroDivisionError("odd")


def be_unreachable() -> bytes:
    """A store that does not answer."""
    raise ConnectionRefusedError("the store is away")


def modules() -> bytes:
    """Says, as the only way out, what the process has imported."""
    raise OSError(" ".join(sorted(sys.modules)))


def pid() -> bytes:
    """Says which process this is."""
    raise OSError(str(os.getpid()))
