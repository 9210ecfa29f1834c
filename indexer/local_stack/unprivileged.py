"""Run a program as an ordinary user when we are root, since PostgreSQL refuses to run as root.

    python unprivileged.py <uid> <gid> <program> [argument ...]

The program keeps one privilege, reading and writing files whoever owns them (CAP_DAC_OVERRIDE), so neither
the home nor the virtual environment has to be opened to other users. Where the kernel does not grant that
(not Linux, a stripped container) it is run without. Uses the standard library alone; run by path, not import.
"""

import ctypes
import os
import sys

_PR_SET_KEEPCAPS, _PR_SET_SECUREBITS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 8, 28, 47, 2
# access(2), by which PostgreSQL finds its own programs, asks what the real user may do, and forgets
# capabilities unless this bit is set: below a folder only root can enter it would find nothing.
_SECBIT_NO_SETUID_FIXUP = 1 << 2
_CAP_DAC_OVERRIDE, _CAP_SETPCAP = 1, 8
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
    if _hold(libc, _CAP_DAC_OVERRIDE, _CAP_SETPCAP):
        libc.prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
    if _hold(libc, _CAP_DAC_OVERRIDE):
        libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0)


def _hold(libc: ctypes.CDLL, *capabilities: int) -> bool:
    """Keep these capabilities and drop all others; whether the kernel agreed."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    bits = sum(1 << capability for capability in capabilities)
    # effective, permitted, inheritable; then the high half
    wanted = (ctypes.c_uint32 * 6)(bits, bits, bits, 0, 0, 0)
    return bool(libc.capset(header, wanted) == 0)


if __name__ == "__main__":
    become(int(sys.argv[1]), int(sys.argv[2]))
    os.execv(sys.argv[3], sys.argv[3:])  # noqa: S606 - the arguments are this package's own
