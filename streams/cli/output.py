"""How does a command talk? Tables and JSON on stdout, progress and remarks on stderr."""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import msgspec
from rich.console import Console
from rich.table import Table

from streams.errors import UsageError

__all__ = [
    "Advance",
    "moment",
    "print_json",
    "progress",
    "readable",
    "remark",
    "table",
    "write",
    "write_atomically",
    "write_document",
]

_WIDE = 200  # columns where nobody's terminal limits them


class Advance(Protocol):
    """Told how far the work is, in the unit of its total."""

    def __call__(self, done: int, /) -> None: ...


def print_json(document: object) -> None:
    """One JSON document on stdout."""
    encoded = msgspec.json.format(msgspec.json.encode(document), indent=2)
    sys.stdout.write(encoded.decode() + "\n")


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "") -> None:
    """A table on stdout; columns whose name begins with ``>`` are aligned to the right."""
    console = _console()
    drawn = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    for column in columns:
        right = column.startswith(">")
        drawn.add_column(column.lstrip(">"), justify="right" if right else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(("" if cell is None else str(cell)) for cell in row))
    console.print(drawn, markup=False)


def write(text: str = "") -> None:
    """A line on stdout."""
    sys.stdout.write(text + "\n")


def remark(text: str) -> None:
    """A line on stderr: a warning, or what was done."""
    sys.stderr.write(text + "\n")


@contextmanager
def progress(what: str, total: int | None) -> Iterator[Advance]:
    """A bar on stderr while the work lasts; nothing where stderr is not a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda done, /: None
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )
    with bar:
        task = bar.add_task(what, total=total)
        yield lambda done, /: bar.update(task, completed=done)


def moment(ms: int | None) -> str:
    """A time for people, to the minute.

    >>> moment(1772434693412)
    '2026-03-02 06:58'
    """
    return "" if ms is None else f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M}"


def write_atomically(path: Path, content: bytes) -> None:
    """All of it or none: a reader never sees half a file.

    Raises
    ------
    OSError
        The directory cannot be written.
    """
    beside = path.with_name(f".{path.name}.part")
    beside.write_bytes(content)
    beside.replace(path)


def write_document(path: Path, text: str) -> None:
    """A document into a file, all of it or none, or on stdout where the path is ``-``; stderr says how large it is.

    Raises
    ------
    UsageError
        The file cannot be written.
    """
    content = text.encode()
    if path == Path("-"):
        sys.stdout.write(text)
        return
    try:
        write_atomically(path, content)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from None
    remark(f"wrote {path}: {len(content) / 1e6:.1f} MB")


def readable(document: object) -> str:
    """JSON to be read by people: two blanks per level, and a list of plain values on one line.

    >>> print(readable({"a": [1, 2.5, None], "b": {"c": [{"d": "x"}]}, "e": {}}), end="")
    {
      "a": [1, 2.5, null],
      "b": {
        "c": [
          {
            "d": "x"
          }
        ]
      },
      "e": {}
    }
    """
    return _readable(document, "") + "\n"


def _readable(value: object, indent: str) -> str:
    deeper = indent + "  "
    if isinstance(value, Mapping) and value:
        members = (f"{deeper}{_leaf(str(k))}: {_readable(v, deeper)}" for k, v in value.items())
        return "{\n" + ",\n".join(members) + f"\n{indent}}}"
    if isinstance(value, list | tuple):
        if any(isinstance(item, Mapping | list | tuple) for item in value):
            items = (deeper + _readable(item, deeper) for item in value)
            return "[\n" + ",\n".join(items) + f"\n{indent}]"
        return "[" + ", ".join(map(_leaf, value)) + "]"
    return _leaf(value)


def _leaf(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=_WIDE)
