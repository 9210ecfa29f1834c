"""How much memory each service of an embedded deployment takes."""

from typing import Literal

import psutil

from tests.drills.deployment import SERVICES, Deployment


def memory(deployment: Deployment, kind: Literal["pss", "anonymous"] = "pss") -> dict[str, float]:
    """MB of each service with its own children, by name: what is shared shared out (PSS), or what no file backs.

    PSS adds up, but changes when anybody else begins or ends that shares a library; memory that no file backs only by
    what one does oneself.
    """
    pids = {service: deployment.pid(service) for service in SERVICES}
    return {
        service: round(_tree(pid, {p for p in pids.values() if p and p != pid}, kind) / 2**20, 1)
        for service, pid in pids.items()
        if pid is not None
    }


def _tree(pid: int, others: set[int], kind: str) -> int:
    """Of a process and its children, without those that are services themselves."""
    try:
        process = psutil.Process(pid)
        own = int(sum(getattr(part, kind) for part in process.memory_maps()))
        children = process.children()
    except psutil.Error:  # it has just ended
        return 0
    return own + sum(_tree(child.pid, others, kind) for child in children if child.pid not in others)
