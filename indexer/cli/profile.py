"""`sightline index --profile`: where the time went."""

from rich.table import Table

from indexer.catalog.jobs import Progress
from indexer.cli.workspace import remarks

# In the order an image meets them: what happens, and beside what.
STAGES = {
    "read": "fetch the bytes, beside the models",
    "decode": "pixels, thumbnail, metadata, beside the models",
    "wait": "models idle until a batch is decoded",
    "backbone": "image tokens: what all models of one backbone share",
    "tag": "the tag decoder",
    "caption": "tags and image to words",
    "embed": "image and caption embeddings",
    "write": "Postgres, Milvus, thumbnails",
}


def print_profile(progress: Progress, seconds: float) -> None:
    """A table of the stages of one run that took `seconds` by the clock.

    Stages overlap, so their seconds may add up to more; shares are of the worker's own seconds, which decoding
    in other processes does not take.
    """
    spent = progress.stage_seconds
    own = sum(value for stage, value in spent.items() if stage not in ("read", "decode"))
    images = max(progress.indexed, 1)
    table = Table("stage", "seconds", "share", "ms/image", "what", title=f"{seconds:.1f} s by the clock")
    for stage, what in STAGES.items():
        if stage in spent:
            beside = stage in ("read", "decode")
            share = "beside" if beside else f"{spent[stage] / own:.0%}" if own else ""
            table.add_row(stage, f"{spent[stage]:.1f}", share, f"{spent[stage] / images * 1e3:.0f}", what)
    remarks.print(table)
