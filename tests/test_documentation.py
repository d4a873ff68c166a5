"""Do README and docs/ say what the code does? Whatever is written there and could become false is read here."""

import ast
import re
import tomllib
from collections.abc import Iterator, Sequence
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from streams.lifecycle import Lifecycle, load
from streams.lifecycle.acts import NOT_YET
from streams.lifecycle.drift import Methods
from streams.lifecycle.grammar import human
from streams.lifecycle.schema import every_key, section_at

ROOT = Path(__file__).resolve().parent.parent
DOCS = tuple(sorted((ROOT / "docs").glob("*.md")))
PAGES = (ROOT / "README.md", *DOCS)
PACKAGES = ("alerting", "detectors", "streams")


def text_of(page: str) -> str:
    return (ROOT / "docs" / page).read_text("utf-8")


class Block(NamedTuple):
    """A fenced piece of a page, without its indentation."""

    language: str
    text: str


def blocks(text: str) -> Iterator[Block]:
    for found in re.finditer(r"^( *)```(\w*)\n(.*?)^\1```$", text, re.M | re.S):
        lines = found[3].splitlines()
        yield Block(found[2], "\n".join(line.removeprefix(found[1]) for line in lines))


def rows(text: str, heading: str) -> list[list[str]]:
    """The cells of the tables under a heading, their head rows left out."""
    (section,) = re.findall(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", text, re.M | re.S)
    return list(_rows(section))


def _rows(text: str) -> Iterator[list[str]]:
    for table in re.findall(r"(?:^\|.*\|\n?)+", text, re.M):
        for line in table.splitlines()[2:]:
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


# ------------------------------------------------------------------------------- the lifecycle's keys


FILLED = {  # what is not written follows from the rest of the file
    "model_name": "the id",
    "monitoring.alerts.*.name": "the condition",
    "retraining.trigger_conditions.*.name": "the trigger",
    "retraining.trigger_conditions.*.approval": "see below",
    "monitoring.data_quality.silent": "auto",
}


def default_of(key: str) -> str:
    """How the page writes a key's default."""
    if key in FILLED:
        return FILLED[key]
    (*above, last) = key.split(".")
    section = section_at(Lifecycle, tuple(above)) if above else Lifecycle
    if isinstance(section, tuple):
        (section,) = section
    (field,) = (
        about for name, about in section.model_fields.items() if (about.alias or name) == last
    )
    return "required" if field.is_required() else written(field.get_default())


def written(value: Any) -> str:
    if value in (None, (), {}):
        return "–"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, timedelta):
        return human(value)
    if isinstance(value, float):
        return f"{100 * value:g} %"
    if isinstance(value, Methods):
        return value.number
    if isinstance(value, tuple):
        return ", ".join(f"{each:g}" if isinstance(each, float) else str(each) for each in value)
    return str(value)


def acts(key: str) -> str:
    """Whether a key acts in this release, as `leeway check` says it."""
    steps = key.split(".")
    for row in NOT_YET:
        pattern = row.path.split(".")
        if len(pattern) <= len(steps) and all(map(fnmatchcase, steps, pattern)):
            return "partly" if row.values else "later"
    return "yes"


def expanded(key: str) -> list[str]:
    """The keys that a cell such as ``source.{predictions,features}.topic`` names.

    >>> expanded("a.{b,c}.d")
    ['a.b.d', 'a.c.d']
    """
    found = re.search(r"\{([^}]*)\}", key)
    if found is None:
        return [key]
    return [
        one
        for word in found[1].split(",")
        for one in expanded(key[: found.start()] + word + key[found.end() :])
    ]


LIFECYCLE = [row for row in _rows(text_of("lifecycle.md")) if row[0].startswith("`")]


def test_the_lifecycle_page_has_every_key_once_and_no_other() -> None:
    described = [key for row in LIFECYCLE for key in expanded(row[0].strip("`"))]
    assert sorted(described) == sorted(".".join(map(str, key)) for key in every_key(Lifecycle))


@pytest.mark.parametrize("row", LIFECYCLE, ids=lambda row: row[0].strip("`"))
def test_the_lifecycle_page_tells_defaults_and_what_acts(row: Sequence[str]) -> None:
    keys = expanded(row[0].strip("`"))
    defaults = list(map(default_of, keys))
    assert row[2] == ("; ".join(defaults) if len(set(defaults)) > 1 else defaults[0])
    assert {row[3]} == set(map(acts, keys))
