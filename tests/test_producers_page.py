"""Does docs/producers.md say what the client does? Its programs are run, its tables are held against the code."""

import json
import re
import textwrap
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import streams.client
from streams.client import Emitter, Limits
from streams.client.exposition import METRICS
from tests.producing import Producers
from tests.test_documentation import Block, blocks, rows

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "producers.md").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")
EXAMPLES = [file.read_text("utf-8") for file in (ROOT / "examples" / "producers").iterdir()
            if file.suffix in (".py", ".java")]  # fmt: skip
NAMES: dict[str, Any] = {"np": np, "pd": pd, "Decimal": Decimal, "UTC": UTC, "datetime": datetime}


def whole(block: Block) -> bool:
    """Whether a piece of a page can be run as it is."""
    return block.text.startswith("from streams.client import")


def programs(page: str) -> list[Block]:
    return [block for block in blocks(page) if block.language in ("python", "java")]


@pytest.fixture
def producers(monkeypatch: pytest.MonkeyPatch) -> Producers:
    """What every emitter of a page's program uses in place of Kafka's client."""
    made = Producers()

    def emitter(*where: Any, **how: Any) -> Emitter:
        return Emitter(*where, **how, producer=made, strict=True)

    monkeypatch.setattr(streams.client, "Emitter", emitter)
    return made


@pytest.mark.parametrize("page", [PAGE, README], ids=["producers.md", "README.md"])
def test_a_program_of_a_page_sends_predictions_and_their_labels(
    page: str, producers: Producers
) -> None:
    found = [block for block in programs(page) if whole(block)]
    assert len(found) == 1
    exec(found[0].text, {})  # noqa: S102 # a page of ours
    by_topic = {topic: json.loads(value) for topic, value, _ in producers.records}
    prediction, label = by_topic["leeway.predictions"], by_topic["leeway.labels"]
    assert prediction["event_id"] == label["event_id"]
    assert label["label"] == "leaves"


def test_every_other_program_is_a_piece_of_an_example() -> None:
    pieces = [block.text for block in programs(PAGE) if not whole(block)]
    assert len(pieces) == 6
    for piece in pieces:
        assert any(
            textwrap.indent(piece, " " * deep) in example
            for example in EXAMPLES
            for deep in (0, 4, 8, 12)
        ), piece


@pytest.mark.parametrize("row", rows(PAGE, "What becomes of a value"))
def test_a_value_becomes_what_the_page_says(row: list[str]) -> None:
    written, *noted = re.findall(r"`(.+?)`", row[1])
    for expression in re.findall(r"`(.+?)`", row[0]):
        producers = Producers()
        with producers.emitter() as emitter:
            emitter.prediction({"a": eval(expression, NAMES)})  # noqa: S307 # a page of ours
        assert producers.events[0]["features"]["a"] == json.loads(written), expression
        assert bool(emitter.counts.fields) == bool(noted), expression


def after(first: Callable[[], object], then: Callable[[], object]) -> object:
    first()
    return then()


WAYS: dict[str, Callable[[Emitter], object]] = {
    "too_large": lambda e: e.prediction({"a": "x" * (1 << 20)}),
    "closed": lambda e: after(e.close, lambda: e.prediction({})),
    "error": lambda e: e.prediction({}, timestamp=Broken()),
    "invalid:timestamp_zone": lambda e: e.prediction({}, timestamp="2026-03-02T00:00:00"),
    "invalid:timestamp_unit": lambda e: e.prediction({}, timestamp=1),
    "invalid:timestamp_type": lambda e: e.prediction({}, timestamp=1.5),
    "invalid:timestamp_future": lambda e: e.prediction(
        {}, timestamp=datetime.now(UTC) + timedelta(days=1)
    ),
    "invalid:label_incomplete": lambda e: e.label("a"),
    "invalid:features": lambda e: e.prediction(7),
    "invalid:too_deep": lambda e: e.prediction({"a": json.loads("[" * 40 + "]" * 40)}),
}
KAFKAS = {"queue_full", "delivery_failed"}  # tests/streams/test_client.py has these


class Broken:
    def __index__(self) -> int:
        raise RuntimeError


def test_every_reason_for_a_loss_is_described_and_given() -> None:
    described = {row[0].strip("`") for row in rows(PAGE, "What is refused")}
    assert described == WAYS.keys() | KAFKAS
    for reason, way in WAYS.items():
        with Producers().emitter() as emitter:
            way(emitter)
        assert emitter.counts.dropped == {reason: 1}


def test_every_limit_is_described_with_its_default() -> None:
    described = {row[0].strip("`"): row[1] for row in rows(PAGE, "Limits")}
    limits = Limits()
    assert described == {
        name: _written(getattr(limits, name)) for name in Limits.__dataclass_fields__
    }


def _written(value: int | timedelta) -> str:
    if not isinstance(value, timedelta):
        return str(value)
    seconds = value.total_seconds()
    return f"{seconds:g} s" if seconds >= 1 else f"{seconds * 1000:g} ms"


def test_every_metric_is_described() -> None:
    for name in METRICS:
        assert f"`{name}`" in PAGE
