"""Which files does the console load? Those of `streams/console/static`, and the chart library out of its package."""

import gzip
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib import metadata
from importlib.resources import files
from importlib.resources.abc import Traversable
from types import MappingProxyType

KINDS: Mapping[str, str] = MappingProxyType(
    {
        ".css": "text/css",
        ".js": "text/javascript",
        ".svg": "image/svg+xml",
        ".png": "image/png",
        ".woff2": "font/woff2",
    }
)
PLOTLY = f"plotly-{metadata.version('plotly')}.min.js"
FOR_EVER = "public, max-age=31536000, immutable"  # the name says the version


@dataclass(frozen=True, slots=True)
class File:
    """A file by its name; `lasting`: the name changes with the content."""

    name: str
    kind: str
    lasting: bool = False


@dataclass(frozen=True, slots=True)
class Content:
    """What is in a file, plain and through gzip; `digest` of the plain bytes."""

    plain: bytes
    packed: bytes
    digest: str


@cache
def static_files() -> tuple[File, ...]:
    """What there is."""
    return tuple(file for file, _ in _places())


@cache
def content(file: File) -> Content:
    """What is in a file: read and packed once, the chart library in some tenth of a second."""
    plain = dict(_places())[file].read_bytes()
    return Content(plain, gzip.compress(plain, 6, mtime=0), sha256(plain).hexdigest()[:32])


def _places() -> Iterator[tuple[File, Traversable]]:
    for place in files("streams.console").joinpath("static").iterdir():
        kind = KINDS.get(f".{place.name.rpartition('.')[2]}")
        if kind is not None and place.is_file():
            yield File(place.name, kind), place
    library = files("plotly").joinpath("package_data", "plotly.min.js")
    yield File(PLOTLY, KINDS[".js"], lasting=True), library
