"""What fires when on two real streams? A table of every rule there is, and the same as a picture.

    python -m benchmarks.real_streams [--data FOLDER] [--picture FILE.svg]

Rows are counted from the first production row. A rule on windows fires at the window's last row.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks._figures import data_folder, markdown, progress
from benchmarks._picture import drawn
from benchmarks._real import KNOWN, Fired, Real, everything, load

HEAD = ("rule", "fired before", "first time", "first after", "fired after", "looks", "named first")


def table(real: Real, fired: list[Fired]) -> Iterator[str]:
    """One stream's table, with its heading."""
    known = real.known
    yield f"### {known.title}"
    yield ""
    yield (
        f"{len(real.errors):,} production rows. From row {known.quiet + 1:,}: {known.event}. "
        f'"Before" ends there. Features in windows of {known.rows} rows, A = 1,000.'
    )
    yield ""
    yield from markdown(HEAD, [_row(f, known.quiet) for f in fired])


def _row(fired: Fired, quiet: int) -> tuple[str, ...]:
    before = fired.before(quiet)
    first, after = (
        "never" if row is None else f"{row:,}" for row in (fired.first(), fired.first(quiet))
    )
    return (
        fired.rule,
        str(before),
        first,
        after,
        str(len(fired.rows) - before),
        f"{fired.looks:,}",
        ", ".join(fired.named[:3]) or fired.note,
    )


def printed(found: list[tuple[Real, list[Fired]]]) -> str:
    """All tables."""
    return "\n\n".join("\n".join(table(real, fired)) for real, fired in found)


def measured(folder: Path) -> list[tuple[Real, list[Fired]]]:
    """Every rule on both streams."""
    out = []
    for name in KNOWN:
        real = load(folder, name)
        out.append((real, everything(real)))
        progress(f"{name}: {len(out[-1][1])} rules")
    return out


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", help="folder of the real streams")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="write the SVG here")
    given = parser.parse_args()
    folder = data_folder(given.data)
    if folder is None:
        progress("not measured: the real streams are not here (--data, or LEEWAY_TEST_DATA)")
        return 0
    found = measured(folder)
    print(printed(found))
    if given.picture is not None:
        given.picture.write_text(drawn(found), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
