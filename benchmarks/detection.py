"""Does detection keep its promises, and does it beat its peers? One table, target beside figure.

    python -m benchmarks.detection [--short] [--only NULL-50 COST] [--runs N]
                                   [--data FOLDER] [--peers PYTHON ...]

Every stream comes from a seed, or from the folder of real streams (`--data`, LEEWAY_TEST_DATA, or shared/data beside
the repository). Evidently and NannyML take part if this Python, or one given by `--peers`, has them. Exit code 1 if a
target is missed. All of it takes about twenty minutes on one core, `--short` less than 20 s.
"""

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version

import numpy as np
import scipy

from benchmarks._cost import cost
from benchmarks._delays import weak_50
from benchmarks._false_alarms import dependent_50, null_50
from benchmarks._figures import HEAD, Figure, Options, cells, data_folder, markdown, progress
from benchmarks._golden import golden
from benchmarks._known_drifts import real_streams, real_synthetic
from benchmarks._labels import bern_1e5
from benchmarks._same_bits import merge
from benchmarks._same_rows import same_rows
from benchmarks._season import season_50

BENCHMARKS: dict[str, Callable[[Options], Iterator[Figure]]] = {
    "NULL-50": null_50,
    "WEAK-50": weak_50,
    "DEPENDENT-50": dependent_50,
    "SEASON-50": season_50,
    "SAME-ROWS": same_rows,
    "BERN-1e5": bern_1e5,
    "REAL-streams": real_streams,
    "REAL-synthetic": real_synthetic,
    "COST": cost,
    "MERGE": merge,
    "GOLDEN": golden,
}


def measured(options: Options, only: list[str]) -> list[Figure]:
    """All lines of the chosen benchmarks."""
    found: list[Figure] = []
    for name in only:
        began = time.perf_counter()
        found += BENCHMARKS[name](options)
        progress(f"{name}: {time.perf_counter() - began:.0f} s")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--short", action="store_true", help="few runs, loose targets: < 20 s")
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, default=list(BENCHMARKS))
    parser.add_argument("--runs", type=int, help="at most so many per line")
    parser.add_argument("--data", help="folder of the real streams")
    parser.add_argument("--peers", nargs="+", default=[], metavar="PYTHON")
    given = parser.parse_args(arguments)
    pythons = (sys.executable, *given.peers)
    options = Options(given.runs, given.short, data_folder(given.data), pythons)
    found = measured(options, given.only)
    print(
        f"Python {platform.python_version()}, numpy {np.__version__}, scipy {scipy.__version__}, "
        f"river {version('river')}, {os.cpu_count()} cores\n"
    )
    print(*markdown(HEAD, [cells(figure) for figure in found]), sep="\n")
    missed = [figure for figure in found if figure.met is False]
    for figure in missed:
        progress(f"missed: {figure.benchmark}, {figure.case}: {figure.measured}, {figure.target}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
