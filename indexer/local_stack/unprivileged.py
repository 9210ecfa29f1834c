"""Run a program as an ordinary user when we are root, since PostgreSQL refuses to run as root.

    python unprivileged.py <uid> <gid> <program> [argument ...]

The program keeps one privilege, reading and writing files whoever owns them (CAP_DAC_OVERRIDE), so neither
the home nor the virtual environment has to be opened to other users. Where the kernel does not grant that
(not Linux, a stripped container) it is run without. Uses the standard library alone; run by path, not import.
"""

import ctypes
import os
import sys

_PR_SET_KEEPCAPS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 8, 47, 2
_CAP_DAC_OVERRIDE = 1
_CAPABILITY_VERSION_3 = 0x20080522


def become(uid: int, gid: int) -> None:
    """Turn root into `uid`:`gid` for good, keeping CAP_DAC_OVERRIDE across exec where possible."""
    libc = ctypes.CDLL(None, use_errno=True)
    linux = sys.platform == "linux"
    if linux:
        libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    if linux:
        _keep_file_access(libc)


def _keep_file_access(libc: ctypes.CDLL) -> None:
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    bit = 1 << _CAP_DAC_OVERRIDE
    wanted = (ctypes.c_uint32 * 6)(
        bit, bit, bit, 0, 0, 0
    )  # effective, permitted, inheritable; then the high half
    if libc.capset(header, wanted) == 0:
        libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0)


if __name__ == "__main__":
    become(int(sys.argv[1]), int(sys.argv[2]))
    os.execv(sys.argv[3], sys.argv[3:])  # noqa: S606 - the arguments are this package's own
