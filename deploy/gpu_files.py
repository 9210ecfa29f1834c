"""Files of an installation that only a GPU's work ever loads, to leave out of an image without one.

    python gpu_files.py [--remove] <environment>

PyPI's PyTorch for Linux is built for CUDA: importing it loads the libraries it is linked against, on a machine without
a GPU too. Everything else below `nvidia/`, and Triton, which compiles kernels, is loaded by work on a GPU alone.
Which is which is asked of the dynamic loader (`ldd`), not guessed. Uses the standard library alone.
"""

import shutil
import subprocess
import sys
from pathlib import Path


def gpu_files(site: Path) -> list[Path]:
    """Every file below `site`, a site-packages folder, that is not needed to run on a CPU.

    Raises:
        SystemExit: PyTorch is not there, or links against something that is not: nothing may be removed then.
    """
    needed = _linked(site)
    bulk = [path for name in ("nvidia", "triton") for path in (site / name).rglob("*")]
    return sorted(
        path for path in bulk if path.is_file() and path.suffix != ".py" and path.resolve() not in needed
    )


def _linked(site: Path) -> set[Path]:
    """What the loader brings along when PyTorch is imported."""
    modules = list((site / "torch").glob("_C.*.so"))
    if not modules:
        sys.exit(f"There is no PyTorch in {site}.")
    command = ["ldd", *modules]  # the loader's own; wherever Debian keeps it
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603
    if missing := [line.strip() for line in told.splitlines() if "not found" in line]:
        sys.exit(f"PyTorch in {site} links against what is not there: {'; '.join(missing)}")
    return {
        Path(line.split("=>")[1].split(" (")[0].strip()).resolve()
        for line in told.splitlines()
        if "=>" in line
    }


def main(arguments: list[str]) -> None:
    """List them, or remove them and say how much that was."""
    remove, environment = "--remove" in arguments, Path(arguments[-1])
    [site] = environment.glob("lib/python3*/site-packages")
    found = gpu_files(site)
    size = sum(path.lstat().st_size for path in found)
    for path in found:
        if remove:
            path.unlink()
        else:
            sys.stdout.write(f"{path.relative_to(site)}\n")
    if remove:
        shutil.rmtree(site / "triton", ignore_errors=True)
    sys.stderr.write(f"{len(found)} files, {size / 1e6:,.0f} MB\n")


if __name__ == "__main__":
    main(sys.argv[1:])
