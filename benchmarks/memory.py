"""How much memory each service of an embedded deployment takes."""

import psutil

from tests.drills.deployment import SERVICES, Deployment


def memory(deployment: Deployment) -> dict[str, float]:
    """Proportional set size in MB of each service with its own children (what is shared is shared out), by name."""
    pids = {service: deployment.pid(service) for service in SERVICES}
    return {
        service: round(_tree(pid, {p for p in pids.values() if p and p != pid}) / 2**20, 1)
        for service, pid in pids.items()
        if pid is not None
    }


def _tree(pid: int, others: set[int]) -> int:
    """Of a process and its children, without those that are services themselves."""
    try:
        process = psutil.Process(pid)
        own = int(process.memory_full_info().pss)
        children = process.children()
    except psutil.Error:  # it has just ended
        return 0
    return own + sum(_tree(child.pid, others) for child in children if child.pid not in others)
