"""What do our messages look like to others? A JSON Schema each, and an AsyncAPI index: `python -m streams.schemas`.

Beside them the schema of lifecycle files, for editors. With `--release` also what is promised from now on:
`schemas/released.json`, with which the next schemas are compared.
"""

import sys
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from streams.contracts.asyncapi import asyncapi
from streams.contracts.compatibility import Way, breaks, compact
from streams.contracts.documents import DOCUMENTS
from streams.contracts.schemas import document, schema
from streams.lifecycle.keys import file_schema

__all__ = [
    "DOCUMENTS",
    "FILES",
    "FOLDER",
    "INDEX",
    "index",
    "main",
    "of_files",
    "released",
    "schema",
    "way_of",
]

FOLDER = Path(__file__).resolve().parent.parent / "schemas"
INDEX = "asyncapi.json"
FILES = "lifecycle-file.json"
_RELEASED = "released.json"


def _version() -> str:
    project = tomllib.loads((FOLDER.parent / "pyproject.toml").read_text("utf-8"))["project"]
    return str(project["version"])


def index() -> bytes:
    """The AsyncAPI document, as its file holds it."""
    return _pretty(asyncapi(_version()))


def of_files() -> bytes:
    """The schema of lifecycle files, as its own file holds it."""
    return _pretty(file_schema())


def _pretty(found: dict[str, Any]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n"


def released() -> dict[str, Any]:
    """The last release's version, and its schemas by name, without words."""
    found: dict[str, Any] = msgspec.json.decode((FOLDER / _RELEASED).read_bytes())
    return found


def way_of(name: str) -> Way:
    """What is promised of a document: what we keep for ourselves we must be able to read again."""
    return "written" if DOCUMENTS[name].direction == "written" else "read"


def broken() -> list[str]:
    """Everything in which the present schemas break what the last release promised."""
    found = []
    for name, old in released()["schemas"].items():
        if name not in DOCUMENTS:
            found.append(f"{name}: is gone")
        else:
            found += [f"{name}: {one}" for one in breaks(old, document(name), way_of(name))]
    return found


def main(release: bool) -> int:
    """Write them all; `release`: and promise them, unless that breaks the last promise."""
    for name in DOCUMENTS:
        (FOLDER / f"{name}.json").write_bytes(schema(name))
    (FOLDER / INDEX).write_bytes(index())
    (FOLDER / FILES).write_bytes(of_files())
    if not release:
        return 0
    if (FOLDER / _RELEASED).exists() and (wrong := broken()):
        sys.stderr.write("".join(f"{line}\n" for line in wrong))
        return 1
    promised = {name: compact(document(name)) for name in DOCUMENTS}
    found = {"version": _version(), "schemas": promised}
    (FOLDER / _RELEASED).write_bytes(msgspec.json.encode(found) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main("--release" in sys.argv[1:]))
