"""`make bench`: where indexing spends its time, and what a search costs beside a numpy exact scan."""

import argparse
import tempfile
from pathlib import Path

from benchmarks import search, stages, tags
from tests.caretaker import cared_for

SIZES = (10_000, 100_000)


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES, help="images in the library")
    parser.add_argument("--photos", type=Path, help="folder of photographs to index")
    parser.add_argument("--skip-stages", action="store_true", help="only searches")
    parser.add_argument("--tags", type=int, metavar="IMAGES", help="also tags and facets over so many images")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sightline-bench-") as folder:
        photographs, made_up, tagged = (Path(folder) / name for name in ("photographs", "made-up", "tagged"))
        with cared_for(photographs, made_up, tagged):
            if not options.skip_stages:
                stages.run(photographs, options.photos)
            search.run(made_up, options.sizes)
            if options.tags:
                tags.run(tagged, options.tags)


main()
