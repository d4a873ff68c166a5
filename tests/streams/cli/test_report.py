"""What `leeway report` and `leeway replay --report` write, and what a replay is said to have cost."""

import json
import re
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path

import pytest

from streams.broker import Outgoing, Record
from streams.cli import main
from streams.cli import report as report_command
from streams.kafka.admin import create_topics
from streams.kafka.commands import Writer
from streams.local_kafka import AnyBroker
from streams.offline.drawn import stylesheet
from streams.offline.tally import Tally, tallies
from streams.topics import Names
from tests.streams.fleet import Fleet, records
from tests.streams.published import NOW_MS, START_MS, alert, record, result, told

DAY_MS, HOUR_MS = 86_400_000, 3_600_000
LIFECYCLE = """
model_lifecycle:
  model_id: loans
  version: "1"
  features: {income: number, home: category}
  monitoring: {window: {pane: 1m, size: 1h}}
"""


def events(hours: int, *, drifted_after: int, first: int = 0) -> str:
    """300 events an hour; incomes are higher after some hours."""
    lines = []
    for i in range(300 * hours):
        higher = 400 if i >= 300 * drifted_after else 0
        event = {
            "model_id": "loans",
            "model_version": "1",
            "timestamp": START_MS + first * HOUR_MS + i * 12_000,
            "features": {
                "income": i * 7919 % 1000 + higher,
                "home": ("own", "rent")[i * 31 % 7 % 2],
            },
        }
        lines.append(json.dumps(event))
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lifecycle, its reference, and two days of which the second one is other than the first."""
    found = tmp_path_factory.mktemp("replayed")
    (found / "loans.yaml").write_text(LIFECYCLE)
    (found / "past.jsonl").write_text(events(40, drifted_after=99))
    (found / "now.jsonl").write_text(events(20, drifted_after=14, first=48))
    data = ("--data", str(found / "past.jsonl"))
    assert main(["baseline", str(found / "loans.yaml"), *data]) == 0
    return found


def replay(folder: Path, *more: str) -> int:
    lifecycle, now = str(folder / "loans.yaml"), str(folder / "now.jsonl")
    return main(["replay", lifecycle, "--events", now, *more])


def test_a_replay_is_drawn_and_two_runs_are_the_same_bytes(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = folder / "first.html", folder / "second.html"
    changed = ("--changed", "2026-03-04T14:00:00Z")
    assert replay(folder, "--report", str(first), *changed, "--output", str(folder / "found")) == 0
    assert replay(folder, "--report", str(second), *changed, "--partitions", "3") == 0
    text = first.read_text()
    assert text == second.read_text()
    said = re.sub(r"<[^>]*>", " ", text.split('id="charts"')[0])
    for part in (
        "Replay of now.jsonl",
        "leeway replay, ",
        "6,000 of now.jsonl",
        "2026-03-04 14:00 UTC",
        "What would have been raised",
        "False alarms a month",
        "in 0.6 days (at most",
        "Pages a week",
        "income drifted",
        "Values of feature:income",
    ):
        assert part in said, part
    assert re.search(r"\b1 h\s+\(\s*data drift", said), "the delay"
    assert str(folder) not in text
    assert not (folder / "found" / "leeway.models.jsonl").exists()
    assert re.search(r"wrote .*first\.html: \d\.\d MB", capsys.readouterr().err)


def test_a_time_of_change_without_a_report_is_a_mistake(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert replay(folder, "--changed", "2026-03-02T14:00:00Z") == 2
    assert "say --report FILE, too" in capsys.readouterr().err
    assert replay(folder, "--changed", "noon", "--report", "x.html") == 2
    assert "--changed noon: expected a time with Z" in capsys.readouterr().err


def test_a_report_that_cannot_be_written_is_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert replay(folder, "--report", str(folder / "no" / "x.html")) == 2
    assert "x.html: cannot be written: No such file or directory" in capsys.readouterr().err


# ---------------------------------------------------------------------------------------------------- tallies
def topics(hours: int, **opened: str) -> Mapping[str, tuple[Record, ...]]:
    """So many quiet windows, and episodes that opened in hours of them: `e6="data_drift"`."""
    windows = tuple(record("results", "loans", result(hour)) for hour in range(hours))
    told_of = []
    for name, kind in opened.items():
        at = f"2026-03-{2 + int(name[1:]) // 24:02}T{int(name[1:]) % 24:02}:00:00.000Z"
        document = alert(kind=kind) | {"episode_id": f"ep-{name}", "at": at, "opened_at": at}
        told_of.append(told("alerts", document))
    return {"results": windows, "alerts": tuple(told_of)}


def tally(hours: int, changed_hour: int | None = None, **opened: str) -> Tally:
    changed = None if changed_hour is None else START_MS + changed_hour * HOUR_MS
    (found,) = tallies(topics(hours, **opened), changed)
    return found


def test_drift_before_the_change_is_a_false_alarm_and_the_first_after_it_gives_the_delay() -> None:
    found = tally(240, 120, e30="data_drift", e60="operational", e123="performance")
    assert [one.episode_id for one in found.false_alarms] == ["ep-e30"]
    assert found.false_alarms_a_month == 30 * 1 / 5
    assert found.at_most_a_month is None
    assert found.delay_ms == 3 * HOUR_MS
    assert found.found is not None
    assert found.found.kind == "performance"


def test_no_false_alarm_in_a_short_time_is_said_with_what_that_does_not_rule_out() -> None:
    found = tally(240, 120)
    assert found.false_alarms_a_month == 0
    assert found.at_most_a_month == pytest.approx(30 * 3 / 5)
    assert found.delay_ms is None, "it was not found"


def test_what_nobody_said_is_not_known() -> None:
    found = tally(240, e30="data_drift")
    assert found.delay_ms is None
    assert found.quiet_days == 10
    assert found.false_alarms_a_month == 3
    assert tally(240, 0).false_alarms_a_month is None, "there was no quiet time"
    assert tally(12).a_week(3) is None, "half a day says nothing of weeks"


def test_pages_are_incidents_and_not_messages() -> None:
    def said(episode: str, action: str, channel: str = "pagerduty") -> Record:
        payload = {"event_action": action}
        document = {"model_id": "loans", "episode_id": episode, "payload": payload}
        return record(f"alerts.{channel}", "loans", document)

    more = {
        "alerts.pagerduty": (said("a", "trigger"), said("a", "trigger"), said("b", "resolve")),
        "alerts.slack": (said("a", "", "slack"),),
    }
    (found,) = tallies({**topics(48), **more})
    assert found.pages == 1
    assert found.messages == {"pagerduty": 3, "slack": 1}
    assert found.a_week(found.pages) == 3.5


# -------------------------------------------------------------------------------------------- of a running service
def test_a_model_is_drawn_from_what_is_on_kafka(
    kafka: AnyBroker,
    unique: Callable[[str], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    prefix = unique("r") + "."
    names, properties = Names(prefix), {"bootstrap.servers": kafka.bootstrap}
    create_topics(properties, names, partitions=4)
    writer = Writer(properties)
    for one in records(Fleet(models=2, features=4, days=2, now_ms=NOW_MS)):
        topic = names(one.topic.removeprefix("leeway."))
        writer.write(Outgoing(topic, one.key, one.value, one.headers))
    writer.flush()
    (tmp_path / "leeway.yaml").write_text(
        f"brokers: {kafka.bootstrap}\ntopics: {{prefix: {prefix}}}\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(report_command, "now_ms", lambda: NOW_MS)
    assert main(["report", "churn", "--days", "2"]) == 0
    text = (tmp_path / "churn.html").read_text()
    assert "Values of feature:income" in text
    assert "loan-default" not in text.split('id="charts"')[0]
    capsys.readouterr()
    assert main(["report", "churn", "--days", "2", "--out", "-"]) == 0
    assert capsys.readouterr().out == text
    assert main(["report", "nobody"]) == 2
    assert "no model has the id 'nobody'; leeway models lists" in capsys.readouterr().err


def test_the_page_on_reports_says_how_large_one_is() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "reports.md").read_text("utf-8")
    charts, style = files("plotly").joinpath("package_data", "plotly.min.js"), stylesheet()
    assert f"({len(charts.read_bytes()) / 1e6:.1f} MB, packed" in page
    assert 1.8e6 < len(style.charts) < 2.1e6, "about 2 MB"
