"""A worker killed in the middle of a filling loses nothing and repeats nothing."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from indexer.local_stack import Endpoints
from indexer.published import Kind
from indexer.reindexing import switching
from tests.changing import Changing
from tests.conftest import ROOT

FILL = """
import sys
from pathlib import Path
from indexer.batching import BatchSize
from indexer.catalog import connection
from indexer.decoding import DecodePool
from indexer.embeddings.stores import EmbeddingStores
from indexer.images import Limits
from indexer.reindexing.backfill import Backfill
from indexer.reindexing.in_effect import Choice
from indexer.reindexing.pixels import PixelReader
from indexer.storage import Storage
from workers.models import ModelsInEffect

postgres, milvus, store, installed = sys.argv[1:]
engine = connection.connect(postgres)
sessions = connection.sessions(engine)
names = {kind: "small" for kind in ("tagger", "captioner", "embedder")}
choice = Choice(names, "cpu", "exact", Path(installed))
models = ModelsInEffect(sessions, choice)
with DecodePool(1, Limits()) as pool:
    backfill = Backfill(
        engine, sessions, PixelReader(Storage(store), pool), choice,
        lambda: (models.get().annotators.embedder, models.get().models.embedder),
        EmbeddingStores(milvus), size=BatchSize(1), rest=lambda _: print("filled", flush=True),
    )
    while backfill.step():
        pass
print("done", flush=True)
"""
WRITTEN = {
    "embedder": text("SELECT image_id, xmin::text FROM image_embeddings WHERE annotator_id = :id"),
    "tagger": text("SELECT image_id, xmin::text FROM shelved_images WHERE annotator_id = :id"),
    "captioner": text("SELECT image_id, xmin::text FROM shelved_captions WHERE annotator_id = :id"),
}


@pytest.mark.parametrize("kind", ["embedder", "tagger", "captioner"])
def test_a_filling_goes_on_where_it_was_killed(
    library: Changing, photographs: list[Path], postgres_url: str, stack: Endpoints, kind: Kind
) -> None:
    """Kill -9 after two images: the next worker does the others, those two stay as they were, and it switches."""
    library.index(*photographs)
    change = library.begin(kind)
    worker = subprocess.Popen(
        [
            sys.executable,
            "-c",
            FILL,
            postgres_url,
            stack.milvus_url,
            library.folder,
            str(library.choice.installed),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert worker.stdout is not None
    for _ in range(2):
        assert worker.stdout.readline() == "filled\n"
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    with library.sessions() as session:
        before = dict(session.execute(WRITTEN[kind], {"id": change.annotator_id}).all())
    assert 2 <= len(before) < len(photographs)
    assert library.fill().filled_at is not None
    with library.sessions() as session:
        after = dict(session.execute(WRITTEN[kind], {"id": change.annotator_id}).all())
    assert before.items() <= after.items()
    assert len(after) == len(photographs)
    assert switching.switch(library.sessions, change)
