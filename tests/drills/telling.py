"""How drills tell what happens and what they found."""

import json
import sys
from dataclasses import asdict
from typing import Any


def say(line: str) -> None:
    """What happens now, to standard error."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def end(verdict: Any) -> None:
    """A verdict, a dataclass with `wrong`, as JSON to standard output; exit status 1 if anything was wrong."""
    sys.stdout.write(json.dumps(asdict(verdict), indent=2) + "\n")
    sys.exit(bool(verdict.wrong))
