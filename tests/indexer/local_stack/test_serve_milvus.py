"""What our way of serving Milvus Lite adds to it."""

from pathlib import Path

import psutil
import pytest
from pymilvus import MilvusClient

from indexer import local_stack

MB = 1_000_000
IDS = 20_000
HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def _pid(home: Path) -> int:
    """Of the Milvus of `home`."""
    pid = next(service.pid for service in local_stack.status(home) if service.name == "milvus")
    assert pid is not None
    return pid


def _own_memory(home: Path) -> int:
    """Bytes the Milvus of `home` has to itself."""
    uss: int = psutil.Process(_pid(home)).memory_full_info().uss
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


@pytest.mark.skipif(
    not HUGE_PAGES.exists() or "[madvise]" not in HUGE_PAGES.read_text(),
    reason="This kernel gives huge pages to everybody or nobody, not to those that ask.",
)
def test_it_asks_for_no_huge_pages(stack: local_stack.Endpoints, stack_home: Path) -> None:
    """With them the kernel fills holes with zeros, minutes after the work: memory grows while nothing is done."""
    milvus = MilvusClient(stack.milvus_url, timeout=30, dedicated=True)
    milvus.create_collection("pages", dimension=64, metric_type="IP")
    milvus.insert("pages", [{"id": number, "vector": [1.0] * 64} for number in range(5000)])
    milvus.search("pages", data=[[1.0] * 64], limit=10)
    rollup = Path(f"/proc/{_pid(stack_home)}/smaps_rollup").read_text()
    assert int(rollup.split("AnonHugePages:")[1].split()[0]) == 0
    milvus.drop_collection("pages")
    milvus.close()
