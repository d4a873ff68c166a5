"""Do README and docs/ say what the code does? Whatever is written there and could become false is read here."""

import ast
import json
import re
import tomllib
from collections.abc import Iterator, Sequence
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import msgspec
import pytest

from streams.cli import main
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


# ------------------------------------------------------------------------------- examples of messages

HOUR_MS, START_MS = 3_600_000, 1_772_409_600_000  # 2026-03-02T00:00:00Z
PER_HOUR = 300
LINE = 110
LIFECYCLE_FILE = """
model_lifecycle:
  model_id: loan-default
  model_name: Loan default risk
  version: "2.3.1"
  metadata: {owner: credit-risk, training_data_snapshot: warehouse/loans@2025-12-31}
  features: {annual_income: number, home: category}
  monitoring:
    alerts:
      - condition: severe data drift
        severity: Critical
        channel: [Slack, PagerDuty]
        runbook: https://wiki.example/loan-drift
  retraining:
    trigger_conditions: [{name: inputs, trigger: severe data drift, action: retrain}]
    training_window: {from: change_point}
    pipeline: {location: ci/loan-default/retrain, data_sources: [warehouse/loans], params: {budget: small}}
"""


def event(draw: Random, at_ms: int, *, unit: float) -> bytes:
    """An application for a loan; the income is told in this unit."""
    income = round(draw.lognormvariate(10.6, 0.5) / unit, 2)
    features = {"annual_income": income, "home": draw.choice(("rent", "own", "mortgage"))}
    document = {
        "model_id": "loan-default",
        "model_version": "2.3.1",
        "timestamp": at_ms,
        "features": features,
    }
    return msgspec.json.encode(document) + b"\n"


def hours(draw: Random, first: int, last: int, *, unit: float = 1.0) -> bytes:
    return b"".join(
        event(draw, START_MS + hour * HOUR_MS + n * HOUR_MS // PER_HOUR, unit=unit)
        for hour in range(first, last)
        for n in range(PER_HOUR)
    )


def replayed(folder: Path) -> dict[str, str]:
    """The examples by name: six quiet hours, then four in which incomes arrive in thousands."""
    draw, lifecycle = Random(7), folder / "loan.yaml"
    lifecycle.write_text(LIFECYCLE_FILE)
    (folder / "past.jsonl").write_bytes(hours(draw, -40, 0))
    now = hours(draw, 0, 6) + hours(draw, 6, 10, unit=1000.0) + b'{"model_id": "loan-default"\n'
    (folder / "now.jsonl").write_bytes(now)
    baseline = ["--data", str(folder / "past.jsonl"), "--id", "loans-2025-12"]
    assert main(["baseline", str(lifecycle), *baseline]) == 0
    found = folder / "found"
    assert (
        main(
            [
                "replay",
                str(lifecycle),
                "--events",
                str(folder / "now.jsonl"),
                "--output",
                str(found),
            ]
        )
        == 0
    )

    def records(topic: str) -> list[Any]:
        lines = (found / f"leeway.{topic}.jsonl").read_bytes().splitlines()
        return [msgspec.json.decode(line) for line in lines]

    (alert, *_), (trigger, *_) = records("alerts"), records("retraining")
    (result,) = (
        one
        for one in records("results")
        if one["value"]["result_id"] == alert["value"]["evidence"]["result_id"]
    )
    documents = {
        "result": result["value"],
        "alert": alert["value"],
        "alert headers": alert["headers"],
        "slack": records("alerts.slack")[0]["value"],
        "pagerduty": records("alerts.pagerduty")[0]["value"],
        "trigger": trigger["value"],
        "dead letter headers": records("dead-letters")[0]["headers"],
    }
    return {name: shown(document) for name, document in documents.items()}


def shown(value: Any, before: str = "", name: str = "") -> str:
    """JSON for people: on one line where it fits.

    >>> shown({"a": 1, "b": [True, None]})
    '{"a": 1, "b": [true, null]}'
    """
    flat = json.dumps(value, ensure_ascii=False)
    if len(before + name) + len(flat) <= LINE or not isinstance(value, dict | list) or not value:
        return flat
    inner = before + "  "
    if isinstance(value, list):
        return "[\n" + ",\n".join(inner + shown(each, inner) for each in value) + f"\n{before}]"
    lines: list[str] = []
    for name, each in value.items():
        member = f'"{name}": {shown(each, inner, name + 5 * " ")}'
        if lines and len(lines[-1]) + len(member) + 2 <= LINE and "\n" not in lines[-1] + member:
            lines[-1] += f", {member}"
        else:
            lines.append(inner + member)
    return "{\n" + ",\n".join(lines) + f"\n{before}}}"


EXAMPLE = re.compile(r"(<!-- example: ([a-z ]+) -->\n```json\n)(.*?)(\n```)", re.S)


def test_every_example_of_a_message_is_what_a_replay_writes(tmp_path: Path) -> None:
    examples = {name: text for _, name, text, _ in EXAMPLE.findall(text_of("messages.md"))}
    assert examples == replayed(tmp_path), "python -m tests.test_documentation writes them anew"


def write_examples() -> None:
    """Put what a replay writes today into the page."""
    with TemporaryDirectory() as folder:
        found = replayed(Path(folder))
    page = ROOT / "docs" / "messages.md"
    page.write_text(
        EXAMPLE.sub(
            lambda m: m[1] + found.get(m[2], "no such example") + m[4], page.read_text("utf-8")
        ),
        "utf-8",
    )


if __name__ == "__main__":
    write_examples()
