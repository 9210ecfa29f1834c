"""How a worker listens."""

import json
import os
import subprocess
import sys

from indexer.task_queue import QUEUES

CODE = """
import json
from workers.app import app
print(json.dumps({name: [queue.exchange.name, queue.routing_key] for name, queue in app.amqp.queues.items()}))
"""


def test_a_message_to_one_queue_reaches_no_other() -> None:
    """Each queue is bound to an exchange of its own, under its own name, as senders address it."""
    nobody = {
        "SIGHTLINE_POSTGRES_URL": "postgresql://nobody@127.0.0.1:9/none",
        "SIGHTLINE_REDIS_URL": "redis://127.0.0.1:9",
        "SIGHTLINE_MILVUS_URL": "http://127.0.0.1:9",
    }
    told = subprocess.run(
        [sys.executable, "-c", CODE], env={**os.environ, **nobody}, capture_output=True, text=True, check=True
    )
    bound = json.loads(told.stdout)
    assert bound == {name: [name, name] for name in QUEUES}
