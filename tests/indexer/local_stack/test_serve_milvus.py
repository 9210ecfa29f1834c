"""What our way of serving Milvus Lite adds to it."""

from pathlib import Path

import psutil
from pymilvus import MilvusClient

from indexer import local_stack

MB = 1_000_000
IDS = 20_000


def _own_memory(home: Path) -> int:
    """Bytes the Milvus of `home` has to itself."""
    pid = next(service.pid for service in local_stack.status(home) if service.name == "milvus")
    uss: int = psutil.Process(pid).memory_full_info().uss
    return uss


def test_filters_it_was_asked_with_are_not_kept(stack: local_stack.Endpoints, stack_home: Path) -> None:
    """Each lists the ids that pass: parsed and kept, those of 256 searches would hold gigabytes."""
    milvus = MilvusClient(stack.milvus_url, timeout=30, dedicated=True)
    milvus.create_collection("kept", dimension=2, metric_type="IP")
    milvus.insert("kept", [{"id": 1, "vector": [1.0, 0.0]}])

    def search(start: int) -> None:
        ids = ",".join(map(str, range(start, start + IDS)))
        milvus.search("kept", data=[[1.0, 0.0]], limit=1, filter=f"id in [{ids}]")

    for start in range(5):
        search(start)
    before = _own_memory(stack_home)
    for start in range(5, 20):
        search(start)
    assert _own_memory(stack_home) - before < 20 * MB  # kept, they would be above fifty
    milvus.drop_collection("kept")
    milvus.close()
