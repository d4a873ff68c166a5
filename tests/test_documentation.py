"""Do README and docs/ say what the code does? Whatever is written there and could become false is read here."""

import ast
import importlib
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import fields
from functools import cache
from io import StringIO
from math import inf
from pathlib import Path
from random import Random
from runpy import run_path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, get_args

import msgspec
import pytest

from alerting.types import TriggerStatus
from detectors.alarm.budget import guarantee
from detectors.judging.decision import Gates
from detectors.types import Reason
from streams.cli import INTERRUPTED, main
from streams.cli.app import COMMANDS, built
from streams.cli.sending import REFUSALS
from streams.client.exposition import METRICS as EMITTED
from streams.commands import Command
from streams.errors import LeewayError
from streams.lifecycle import load
from streams.lifecycle.keys import Key, keys
from streams.lifecycle.schema import every_key
from streams.metrics import METRICS, PREFIX
from streams.service import load_service
from streams.service_file import ServiceFile
from streams.topics import SOURCES, TOPICS, Names

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


@cache
def trees() -> tuple[ast.Module, ...]:
    """Our code, file by file; not the client, which refuses what would be a dead letter before it is an event."""
    files = (file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py")))
    client = ROOT / "streams" / "client"
    return tuple(
        ast.parse(file.read_text("utf-8")) for file in files if not file.is_relative_to(client)
    )


def calls(name: str) -> Iterator[ast.Call]:
    """Every call of something by this name."""
    for tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", None) == name:
                yield node


@cache
def literals() -> frozenset[str]:
    """Every text in our code."""
    return frozenset(
        node.value
        for tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


@cache
def help_of(name: str) -> str:
    """What a command prints under --help."""
    (command,) = (each for each in COMMANDS if each.name == name)
    made = built(command)
    return made.get_help(made.context_class(made))


def _rows(text: str) -> Iterator[list[str]]:
    for table in re.findall(r"(?:^\|.*\|\n?)+", text, re.M):
        for line in table.splitlines()[2:]:
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


MESSAGES, OPERATING, STATISTICS = map(text_of, ("messages.md", "operating.md", "statistics.md"))


# ------------------------------------------------------------------------------- the lifecycle's keys


KEYED = re.compile(r"(<!-- keys: (.*) -->\n)((?:\|.*\n)+)")
LIFECYCLE = "lifecycle.md"


def table(sections: Sequence[str]) -> str:
    """The keys of these sections. Those of which the same is said share a row, if only one step tells them apart."""
    found = [key for key in keys() if any(begins(key, section) for section in sections)]
    told: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
    for key in found:
        cells = (key.written, key.default, key.acts, key.meaning)
        told.setdefault((str(len(key.path)), key.path[-1], *cells), []).append(key.path)
    lines = ["| key | value | default | acts | meaning |", "|---|---|---|---|---|"]
    for (_, _, *said), paths in told.items():
        steps = [list(dict.fromkeys(step)) for step in zip(*paths, strict=True)]
        assert sum(len(step) > 1 for step in steps) <= 1, paths
        key_ = ".".join(step[0] if len(step) == 1 else f"{{{','.join(step)}}}" for step in steps)
        lines.append("| " + " | ".join((f"`{key_}`", *said)) + " |")
    return "\n".join(lines) + "\n"


def begins(key: Key, section: str) -> bool:
    steps = tuple(section.split("."))
    return key.path[: len(steps)] == steps


def with_keys(page: str) -> str:
    return KEYED.sub(lambda found: found[1] + table(found[2].split()), page)


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


def test_the_lifecycle_page_tells_of_every_key_what_its_model_says() -> None:
    page = text_of(LIFECYCLE)
    assert with_keys(page) == page, "python -m tests.test_documentation writes it anew"


def test_the_lifecycle_page_has_every_key_once_and_no_other() -> None:
    described = [
        key
        for found in KEYED.finditer(text_of(LIFECYCLE))
        for row in _rows(found[3])
        for key in expanded(row[0].strip("`"))
    ]
    assert sorted(described) == sorted(".".join(key.path) for key in keys())


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
        channel: [Slack, PagerDuty, Email]
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
        "notification headers": records("alerts.email")[0]["headers"],
        "trigger": trigger["value"],
        "dead letter headers": records("dead-letters")[0]["headers"],
    }
    mail = letter(records("alerts.email")[0]["value"]["payload"])
    return {name: shown(document) for name, document in documents.items()} | {"mail": mail}


def letter(payload: Any) -> str:
    """A mail as text, as a person sees it who asks for its source."""
    head = {"Subject": payload["subject"], **payload["headers"]}
    return "\n".join(
        [*(f"{name}: {said}" for name, said in head.items()), "", payload["text"].rstrip()]
    )


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


EXAMPLE = re.compile(r"(<!-- example: ([a-z ]+) -->\n```(?:json|text)\n)(.*?)(\n```)", re.S)


def test_every_example_of_a_message_is_what_a_replay_writes(tmp_path: Path) -> None:
    examples = {name: text for _, name, text, _ in EXAMPLE.findall(text_of("messages.md"))}
    assert examples == replayed(tmp_path), "python -m tests.test_documentation writes them anew"


def write() -> None:
    """Put what a replay writes today, and what the models say of their keys, into the pages."""
    keyed = ROOT / "docs" / LIFECYCLE
    keyed.write_text(with_keys(keyed.read_text("utf-8")), "utf-8")
    with TemporaryDirectory() as folder:
        found = replayed(Path(folder))
    page = ROOT / "docs" / "messages.md"
    page.write_text(
        EXAMPLE.sub(
            lambda m: m[1] + found.get(m[2], "no such example") + m[4], page.read_text("utf-8")
        ),
        "utf-8",
    )


# ------------------------------------------------------------------------------- what the pages list


def test_every_topic_is_described_with_its_key_partitions_and_retention() -> None:
    names = Names()
    described = [
        tuple(cell.replace("\\|", "|") for cell in row) for row in rows(MESSAGES, "Topics")
    ]
    assert [(row[0], row[1], row[2], row[3], row[6]) for row in described] == [
        (
            f"`{names(topic.name)}`",
            topic.key,
            "P" if topic.partitions is None else str(topic.partitions),
            "compacted" if topic.retention_days is None else f"{topic.retention_days} days",
            topic.purpose,
        )
        for topic in TOPICS
    ]
    assert all(f"`{names(source)}`" in MESSAGES for source in SOURCES)


def test_every_reason_for_a_dead_letter_is_described() -> None:
    reasons = {
        word.value
        for call in calls("InvalidEvent")
        if call.args
        for word in ast.walk(call.args[0])
        if isinstance(word, ast.Constant) and isinstance(word.value, str)
    }
    described = [row[0].strip("`") for row in rows(MESSAGES, "The whole event: a dead letter")]
    assert sorted(described) == sorted(reasons)


def test_what_a_bad_field_is_counted_as_is_what_the_code_says() -> None:
    named = [
        word
        for row in rows(MESSAGES, "One field, or nothing")
        for word in re.findall(r"`(\w+)`", row[2])
    ]
    assert sorted(set(named) - literals()) == []


def test_every_status_of_a_trigger_is_described() -> None:
    described = [row[0].strip("`") for row in rows(MESSAGES, "Trigger")]
    assert described == list(get_args(TriggerStatus))


def test_every_command_is_described_with_its_members() -> None:
    shared = {"command_id", "model_id", "by", "at", "note"}
    assert all(f"`{name}`" in MESSAGES for name in shared)
    described = {
        row[0].strip("`"): set(re.findall(r"`(\w+)`", row[1])) for row in rows(MESSAGES, "Command")
    }
    assert described == {
        str(kind.__struct_config__.tag): {f.encode_name for f in msgspec.structs.fields(kind)}
        - shared
        for kind in get_args(Command)
    }


def test_every_refusal_of_a_command_is_described_and_said_to_people() -> None:
    given = {
        word.value
        for name in ("Obeyed", "Refused")
        for call in calls(name)
        for word in ast.walk(call)
        if isinstance(word, ast.Constant)
        and isinstance(word.value, str)
        and re.fullmatch(r"[a-z_]+", word.value)
    }
    described = {
        word
        for row in rows(OPERATING, "Acting")
        for word in re.findall(r"`(\w+)`", row[0])
        if not row[0].startswith("`leeway ")
    }
    assert described == REFUSALS.keys() >= given


def test_every_metric_is_described_with_its_type_and_labels() -> None:
    described = [(row[0].strip("`"), row[1], row[2]) for row in rows(OPERATING, "Metrics")]
    assert described == [(PREFIX + m.name, str(m.kind), ", ".join(m.labels)) for m in METRICS]


def test_every_metric_named_anywhere_exists() -> None:
    known = {PREFIX + metric.name for metric in METRICS} | EMITTED.keys()
    named = {
        name for page in PAGES for name in re.findall(r"\bleeway_\w+", page.read_text("utf-8"))
    }
    assert sorted(named - known) == []


def test_every_exit_code_is_described() -> None:
    errors: list[type[LeewayError]] = [LeewayError]
    for error in errors:  # grows as it goes
        errors += error.__subclasses__()
    codes = {0, INTERRUPTED, *(error.exit_code for error in errors)}
    codes |= set(map(int, re.findall(r"end with (\d)", help_of("replay"))))
    assert sorted(int(row[0]) for row in rows(OPERATING, "Exit codes")) == sorted(codes)


SETTINGS = [row[0].strip("`") for row in rows(OPERATING, "Settings")]


def test_every_key_of_the_service_file_is_described_and_no_other() -> None:
    described = [key for row in SETTINGS if not row.startswith("LEEWAY_") for key in expanded(row)]
    assert sorted(described) == sorted(".".join(map(str, key)) for key in every_key(ServiceFile))


def test_every_environment_variable_is_described() -> None:
    in_code = {word for word in literals() if re.fullmatch(r"LEEWAY_[A-Z_]+[A-Z]", word)}
    described = {row for row in SETTINGS if row.startswith("LEEWAY_")}
    sections = tuple(f"LEEWAY_{section.upper()}_" for section in ServiceFile.model_fields)
    assert sorted(name for name in in_code - described if not name.startswith(sections)) == []
    assert sorted(name for name in described - in_code if not name.startswith(sections)) == [
        "LEEWAY_SECTION_KEY"
    ]


def test_every_variable_in_an_example_is_accepted(tmp_path: Path) -> None:
    text = "\n".join(page.read_text("utf-8") for page in PAGES)
    named = set(re.findall(r"\bLEEWAY_[A-Z_]*[A-Z]\b(?!…|_)", text)) - set(SETTINGS)
    secret = tmp_path / "secret"
    secret.write_text("kept")
    values = {name: str(secret) if name.endswith("_FILE") else "9000" for name in sorted(named)}
    load_service(None, values)  # raises what is wrong


def test_every_reason_is_described_in_the_words_that_people_see() -> None:
    described = {row[0].strip("`"): row[2] for row in rows(STATISTICS, "Reasons")}
    assert described == {str(reason): reason.explanation for reason in Reason}


def test_the_reasons_of_this_release_are_those_that_are_given() -> None:
    judging = ("detectors/judging", "detectors/performance", "streams/judging")
    code = "".join(
        path.read_text("utf-8") for folder in judging for path in (ROOT / folder).glob("*.py")
    )
    given = {str(reason) for reason in Reason if f"Reason.{reason.name}" in code}
    acting = {row[0].strip("`") for row in rows(STATISTICS, "Reasons") if row[3] == "yes"}
    assert acting == given


def test_the_gates_are_those_of_the_detector() -> None:
    described = {row[0].strip("`"): (row[1], row[2]) for row in rows(STATISTICS, "Gates")}
    gates = {field.name: getattr(Gates(), field.name) for field in fields(Gates)}
    assert described == {
        name: tuple("–" if gate == inf else f"{gate:g}" for gate in both)
        for name, both in gates.items()
    }


def test_the_promise_is_the_one_that_is_printed() -> None:
    day_ms = 24 * HOUR_MS
    lines = guarantee(1, 90 * day_ms, HOUR_MS, 2, calibrated=True)
    assert Block("text", "\n".join(lines)) in list(blocks(STATISTICS))


def test_every_note_on_a_verdict_is_described() -> None:
    for start in ("row dependence not calibrated", "the reference holds fewer than "):
        assert any(start in word for word in literals())
        assert sum(row[0].startswith(start) for row in rows(STATISTICS, "Notes on a verdict")) == 1


# ------------------------------------------------------------------------------- pages as such


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    prose = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path) if path else page
        assert found.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", found.read_text("utf-8"), re.M)
            assert anchor in [re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_lifecycle_in_a_page_loads(page: Path) -> None:
    for block in blocks(page.read_text("utf-8")):
        if block.language == "yaml" and "model_lifecycle:" in block.text:
            assert load(block.text, page.name)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_in_a_page_is_python(page: Path) -> None:
    for block in blocks(page.read_text("utf-8")):
        if block.language == "python":
            compile(block.text, page.name, "exec")


ANSWERED = re.compile(r"^```python\n((?:(?!```)[^\n]*\n)*)```\n\n```text\n(.*?)^```$", re.M | re.S)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_with_its_answer_below_prints_that(page: Path, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    for code, answer in ANSWERED.findall(page.read_text("utf-8")):
        program.write_text(code, "utf-8")
        with redirect_stdout(StringIO()) as out:
            run_path(str(program))
        assert out.getvalue() == answer


FILE = re.compile(
    r"`((?:alerting|benchmarks|deploy|detectors|examples|schemas|streams|tests)/[a-z_./-]*)`"
)
MODULE = re.compile(r"`((?:alerting|detectors|streams)\.[a-z_.]+)(?:\.\w+)?`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_and_module_named_in_a_page_exists(page: Path) -> None:
    prose = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.S)
    for file in FILE.findall(prose):
        assert (ROOT / file).exists(), file
    for module in MODULE.findall(prose):
        path, _, name = module.rpartition(".")
        if not (ROOT / module.replace(".", "/")).with_suffix(".py").exists():
            assert hasattr(importlib.import_module(path), name), module


COMMAND = re.compile(r"(?:^\$ |`(?:[A-Z_]+=\S+\s+)*)leeway\s+(?!\d)([^`\n]*)", re.M)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_in_a_page_exists_with_its_options(page: Path) -> None:
    prose = re.sub(r"```json\n.*?```", "", page.read_text("utf-8"), flags=re.S)
    for typed in COMMAND.findall(prose):
        name, *words = re.split(r"[\s=]+", typed.strip())
        if name == "--version":
            continue
        assert name in [command.name for command in COMMANDS], typed
        options = set(re.findall(r"--[a-z-]+", help_of(name)))
        assert {word for word in words if word.startswith("--")} <= options, typed


def test_every_target_of_make_in_a_page_exists() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M)
    for page in PAGES:
        for name in re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text("utf-8"), re.M):
            assert name in targets, f"{page.name}: make {name}"


@pytest.mark.parametrize(
    "file",
    [file for package in PACKAGES for file in sorted((ROOT / package).rglob("__init__.py"))],
    ids=lambda file: str(file.relative_to(ROOT).parent),
)
def test_what_a_package_exports_is_listed_sorted_and_exact(file: Path) -> None:
    tree = ast.parse(file.read_text("utf-8"))
    assert ast.get_docstring(tree)
    package = importlib.import_module(".".join(file.relative_to(ROOT).parent.parts))
    listed: list[str] = package.__all__
    assert listed == sorted(listed)
    assert all(hasattr(package, name) for name in listed)
    made = [
        node.name
        for node in tree.body
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_")
    ]
    if not made:  # it only passes on what others made
        made = [
            alias.asname or alias.name
            for node in tree.body
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        ]
    assert set(made) <= set(listed)


if __name__ == "__main__":
    write()
