"""What does the benchmark print? A figure beside its target, and what others reach on the same streams."""

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. `met` is None where there is no target, or where the line could not be measured."""

    benchmark: str
    case: str
    measured: str
    target: str = ""
    met: bool | None = None
    peers: str = ""


@dataclass(frozen=True, slots=True)
class Options:
    """How much to measure, and with what at hand."""

    runs: int | None  # per line; None: as many as the specification asks for
    short: bool
    data: Path | None  # folder of the real streams
    pythons: tuple[str, ...]  # interpreters that may have Evidently or NannyML

    def of(self, runs: int, short: int) -> int:
        """How many runs of a line that wants `runs`, and `short` in the short version."""
        return min(self.runs or runs, short if self.short else runs)


def data_folder(given: str | None) -> Path | None:
    """Where the real streams are, if they are."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(given or os.environ.get("LEEWAY_TEST_DATA") or beside)
    return folder if folder.is_dir() else None


HEAD = ("benchmark", "case", "measured", "target", "met", "peers on the same streams")


def progress(text: str) -> None:
    """A line on stderr."""
    print(text, file=sys.stderr, flush=True)


def cells(figure: Figure) -> tuple[str, ...]:
    """The texts of a line, in the order of `HEAD`.

    >>> cells(Figure("MERGE", "any split", "same bits", "same bits", True))
    ('MERGE', 'any split', 'same bits', 'same bits', 'yes', '')
    """
    met = "–" if figure.met is None else "yes" if figure.met else "NO"
    return figure.benchmark, figure.case, figure.measured, figure.target, met, figure.peers


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """A table that reads well as text and on a page.

    >>> print(*markdown(("a", "b"), [("1", "long")]), sep=chr(10))
    | a | b    |
    |---|------|
    | 1 | long |
    """
    widths = [max(len(row[k]) for row in (head, *rows)) for k in range(len(head))]
    for number, row in enumerate((head, *rows)):
        padded = (text.ljust(width) for text, width in zip(row, widths, strict=True))
        yield f"| {' | '.join(padded)} |"
        if not number:
            yield f"|{'|'.join('-' * (width + 2) for width in widths)}|"
