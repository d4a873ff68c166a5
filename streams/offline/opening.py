"""What kind of file is this? Told by its first bytes and its name, not by what anybody hopes it is."""

import gzip
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import IO, NamedTuple, cast

from streams.errors import UsageError
from streams.offline import tables

_GZIP, _PARQUET = b"\x1f\x8b", b"PAR1"
_BLOCK = 1 << 20  # bytes that are read at once


class Block(NamedTuple):
    """Some lines without their ends, and how far into the file, as it lies there, they are."""

    lines: Sequence[bytes]
    read: int


@dataclass(frozen=True, slots=True)
class Lines:
    """A file of JSON lines, perhaps gzipped. `size` is what `Block.read` counts up to."""

    path: Path
    name: str
    packed: bool
    size: int

    def blocks(self) -> Iterator[Block]:
        """All lines that hold something.

        Raises
        ------
        UsageError
            The packed file is damaged.
        """
        with self.path.open("rb") as raw:
            lines = cast(IO[bytes], gzip.GzipFile(fileobj=raw) if self.packed else raw)
            try:
                # readlines with a hint instead of iteration: tell() stays allowed, and progress is of the packed file
                while block := lines.readlines(_BLOCK):
                    kept = [line.rstrip(b"\r\n") for line in block if not line.isspace()]
                    yield Block(kept, raw.tell())
            except (EOFError, gzip.BadGzipFile) as error:
                raise UsageError(f"{self.name}: is damaged: {error}") from None


def open_file(name: str) -> tables.Table | Lines:
    """Look at the beginning of a file, and prepare to read it.

    Raises
    ------
    UsageError
        There is no such file, it cannot be read, or it is neither a table nor JSON lines.
    """
    path = Path(name)
    if path.is_dir():
        raise UsageError(f"{name}: is a directory: expected a file of events")
    try:
        with path.open("rb") as file:
            head = file.read(4)
    except FileNotFoundError:
        raise UsageError(f"{name}: there is no such file{_near(path)}") from None
    except OSError as error:
        raise UsageError(f"{name}: cannot be read: {error.strerror}") from None
    if not head:
        raise UsageError(f"{name}: is empty")
    packed = head[:2] == _GZIP
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    suffix = suffixes[-1] if suffixes else ""
    if head == _PARQUET:
        return tables.open_parquet(path, name)
    if suffix == ".csv":
        return tables.open_csv(path, name, packed=packed)
    if suffix in (".jsonl", ".ndjson", ".json") or _first_byte(path, packed=packed) == b"{":
        return Lines(path, name, packed, path.stat().st_size)
    raise UsageError(
        f"{name}: cannot tell what it holds: expected Parquet, CSV (.csv) or JSON lines (.jsonl), perhaps gzipped"
    )


def _first_byte(path: Path, *, packed: bool) -> bytes:
    try:
        with gzip.open(path) if packed else path.open("rb") as file:
            return file.read(256).lstrip()[:1]
    except (OSError, EOFError) as error:
        raise UsageError(f"{path}: is damaged: {error}") from None


def _near(path: Path) -> str:
    try:
        others = [other.name for other in path.parent.iterdir() if other.is_file()]
    except OSError:
        return ""
    close = get_close_matches(path.name, others, n=1)
    return f"; did you mean {path.parent / close[0]}?" if close else ""
