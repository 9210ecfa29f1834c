"""`make bench`: where indexing spends its time, and what a search costs beside a numpy exact scan."""

import argparse
import tempfile
from pathlib import Path

from benchmarks import search, stages
from indexer import local_stack

SIZES = (10_000, 100_000)


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES, help="images in the library")
    parser.add_argument("--photos", type=Path, help="folder of photographs to index")
    parser.add_argument("--skip-stages", action="store_true", help="only searches")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sightline-bench-") as folder:
        photographs, made_up = Path(folder) / "photographs", Path(folder) / "made-up"
        try:
            if not options.skip_stages:
                stages.run(photographs, options.photos)
            search.run(made_up, options.sizes)
        finally:
            for home in (photographs, made_up):
                local_stack.stop(home)


main()
