"""Does `leeway calibrate` say of a past what is true of it? On seeded streams, through the command line."""

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from detectors.judging.decision import decide
from detectors.reference.build import from_document
from streams.broker import Record
from streams.cli import main
from streams.lifecycle import load
from streams.offline.calibration import calibrate
from streams.offline.past import read
from streams.offline.replay import replay
from streams.offline.selection import parse_where
from streams.offline.sources import open_source
from streams.offline.story import results

START = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
PER_HOUR = 220
PAGE = Path(__file__).resolve().parents[2] / "docs" / "operating.md"
EXAMPLE = re.compile(r"(<!-- example: calibrate -->\n```text\n)(.*?)(\n```)", re.S)
LIFECYCLE = """
model_lifecycle:
  model_id: {model}
  version: "1.0"
  metadata: {{purpose: a test, owner: tests, framework: numpy, model_type: Classification}}
  features: {{income: number, visits: integer, home: category, active: boolean}}
  segments: {segments}
  monitoring:
    window: {{size: {size}, pane: 5m, lateness: 0s}}
    drift_detection: {{data_drift: {{{data}}}}}
"""


def table(
    hours: int,
    *,
    seed: int,
    first: int = 0,
    moved: Sequence[float] | np.ndarray = (),
    country: bool = False,
    version: str = "1.0",
) -> pa.Table:
    """Hours of independent rows; `moved` says by how many standard deviations incomes of each are higher."""
    random, rows = np.random.default_rng(seed), hours * PER_HOUR
    shift = np.repeat(moved if len(moved) else np.zeros(hours), PER_HOUR)
    columns = {
        "timestamp": [START + first * HOUR + HOUR / PER_HOUR * i for i in range(rows)],
        "model_version": [version] * rows,
        "income": 2000 + 300 * (random.normal(size=rows) + shift),
        "visits": random.poisson(3.0, rows),
        "home": random.choice(["rent", "own", "other"], rows, p=[0.6, 0.3, 0.1]),
        "active": random.random(rows) < 0.9,
    }
    if country:
        columns["country"] = random.choice(["DE", "FR"], rows)
    return pa.table(columns)


def prepared(
    folder: Path,
    reference: pa.Table,
    history: pa.Table,
    *,
    model: str = "churn",
    segments: str = "[]",
    size: str = "1h",
    data: str = "",
) -> list[str]:
    """A lifecycle, its reference and a past; the arguments of `leeway calibrate`."""
    written = LIFECYCLE.format(model=model, segments=segments, size=size, data=data)
    (folder / "churn.yaml").write_text(written)
    pq.write_table(reference, folder / "reference.parquet")
    pq.write_table(history, folder / "past.parquet")
    built = [str(folder / "churn.yaml"), "--data", str(folder / "reference.parquet")]
    assert main(["baseline", *built]) == 0
    return [str(folder / "churn.yaml"), "--data", str(folder / "past.parquet")]


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Nothing drifts in four days."""
    folder = tmp_path_factory.mktemp("quiet")
    return prepared_quiet(folder)


def prepared_quiet(folder: Path) -> list[str]:
    return prepared(folder, table(60, seed=1), table(4 * 24, seed=2, first=60), size="2h")


@pytest.fixture(scope="module")
def found_in_quiet(quiet: list[str]) -> dict[str, Any]:
    """What is said of it."""
    document: dict[str, Any] = json.loads(printed(quiet, "--json"))
    return document


@pytest.fixture(scope="module")
def shown_of_quiet(quiet: list[str]) -> str:
    """What a person sees of it."""
    return shown(quiet)


def printed(arguments: Sequence[str], *more: str) -> str:
    with redirect_stdout(StringIO()) as out:
        assert main(["calibrate", *arguments, "--runs", "5", *more]) == 0
    return out.getvalue()


def shown(arguments: Sequence[str]) -> str:
    """What the page has: the folder's name is no part of it."""
    lines = printed(arguments).replace(str(Path(arguments[0]).parent) + "/", "").splitlines()
    return "\n".join(line.rstrip() for line in lines)


def said(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["calibrate", *arguments, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def merged(into: dict[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """A snippet pasted into a lifecycle."""
    for key, value in more.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            merged(into[key], value)
        else:
            into[key] = value
    return into


def pasted(file: str, snippet: str) -> str:
    """The lifecycle with the settings in it."""
    document = yaml.safe_load(Path(file).read_text())
    merged(document["model_lifecycle"], yaml.safe_load(snippet))
    return yaml.safe_dump(document)


def test_a_quiet_past_raises_nothing_and_shows_what_would_be_found(
    found_in_quiet: dict[str, Any],
) -> None:
    measured, advice = found_in_quiet["calibration"], found_in_quiet["advice"]
    assert measured["false_alarms"]["raised"] == 0
    assert measured["false_alarms"]["windows"] == 48
    assert measured["false_alarms"]["days"] == 4
    assert measured["runs"] == {"day": 5, "week": 5}
    assert measured["again"] == ["week"]
    reaches = {(r["series"], r["change"]): r for r in measured["reaches"]}
    income = reaches["feature:income", "shift"]
    # Fifty features in windows of 200 rows: .1 sd takes 21 windows on average, and φ is an upper bound.
    assert 0.06 < income["week"]["size"] <= income["day"]["size"] < 0.3
    assert income["day"]["found"] >= 4
    assert income["unit"] == pytest.approx(300, rel=0.1)
    assert 0.01 < reaches["feature:home", "share"]["day"]["size"] < 0.2
    assert 0.002 < reaches["feature:income", "missing"]["day"]["size"] < 0.05
    assert {change for _, change in reaches} == {"shift", "share", "missing"}
    assert (advice["window"], advice["season"], advice["rebuild"]) == ("2h", None, False)
    assert advice["window_events"] == 2 * PER_HOUR


def test_what_was_found_is_found_by_a_replay_of_the_changed_past(
    quiet: list[str],
    found_in_quiet: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (income,) = (
        r
        for r in found_in_quiet["calibration"]["reaches"]
        if (r["series"], r["change"]) == ("feature:income", "shift")
    )
    past = pq.read_table(quiet[2])
    changed = tmp_path / "changed.parquet"
    values = past["income"].to_numpy().copy()
    values[48 * PER_HOUR :] += 1.3 * income["day"]["size"] * income["unit"]
    pq.write_table(past.set_column(2, "income", pa.array(values)), changed)
    assert main(["replay", quiet[0], "--events", str(changed), "--json"]) == 0
    (episode,) = json.loads(capsys.readouterr().out)["episodes"]
    opened = datetime.fromisoformat(episode["opened_at"])
    assert START + 108 * HOUR < opened <= START + (108 + 24) * HOUR
    assert episode["affected"][0] == "feature:income"


def test_the_same_past_gives_the_same_bytes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = prepared(tmp_path, table(40, seed=19), table(20, seed=20, first=40))
    first = said([*arguments, "--runs", "2"], capsys)
    assert said([*arguments, "--runs", "2"], capsys) == first
    assert first["calibration"]["runs"] == {"day": 2}
    assert first["calibration"]["nothing"] == {
        "week": "the past is shorter than a seventh of a week"
    }


def test_the_page_shows_what_the_command_prints(shown_of_quiet: str) -> None:
    page = PAGE.read_text("utf-8")
    (text,) = EXAMPLE.findall(page)
    assert text[1] == shown_of_quiet, "python -m tests.streams.test_calibrate writes it anew"
    assert "false alarms, if nothing drifted: 0 in 4 days" in shown_of_quiet
    assert " sd = " in shown_of_quiet


def test_verdicts_are_those_of_a_replay(tmp_path: Path) -> None:
    drifting = np.where(np.arange(30) < 20, 0.0, 0.8)
    now = table(30, seed=4, first=60, moved=drifting, country=True)
    tail = table(4, seed=5, first=90, country=True, version="1.0-rc1")
    prepared(
        tmp_path,
        table(60, seed=3, country=True),
        pa.concat_tables([now, tail]),
        segments="[country]",
    )
    (lifecycle,) = load((tmp_path / "churn.yaml").read_text(), "churn.yaml")
    document = json.loads((tmp_path / "churn.reference.json").read_text())
    reference = from_document(document)
    source = open_source(str(tmp_path / "past.parquet"), [lifecycle])
    history = read(source, reference)
    assert {segment for _, segment in history.windows} == {"all", "country=DE", "country=FR"}
    assert history.incomparable == {"1.0-rc1": 4 * PER_HOUR}
    expected = verdicts(replay(source, {"churn": reference}).topics["results"])
    found = {}
    for (version, segment), windows in history.windows.items():
        plan, memory = history.plan.detector(version, segment), None
        for past in windows:
            memory, verdict = decide(plan, memory, past.window, past.counts, listed=False)
            alarm = verdict.alarm and verdict.alarm.log_statistic
            key = version, segment, past.window.start_ms
            found[key] = str(verdict.status), str(verdict.reason), alarm, past.window.events
    assert found == expected
    assert calibrate(history, most=1).false_alarms.raised == len(
        {(version, segment) for (version, segment, _), v in found.items() if v[0] == "severe"}
    )


def verdicts(records: Sequence[Record]) -> dict[tuple[str, str, int], tuple[Any, ...]]:
    """Of every comparable window with events that a replay judged."""
    found = {}
    assert results([r.value for r in records])
    for record in records:
        one = json.loads(record.value or b"")
        start = datetime.fromisoformat(one["window"]["start"])
        key = one["model_version"], one["segment"], round(start.timestamp() * 1000)
        if one["scope"] == "inputs" and one["reason"] != "no_reference" and one["window"]["events"]:
            alarm = one["alarm"] and one["alarm"]["log_statistic"]
            found[key] = one["verdict"], one["reason"], alarm, one["window"]["events"]
    return found


def test_a_daily_season_is_recommended_and_taking_the_advice_ends_the_alarms(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hours = np.arange(8 * 24)
    daily = np.sin(hours * 2 * np.pi / 24)
    past = table(len(hours), seed=6, moved=daily)
    arguments = prepared(tmp_path, table(60, seed=7), past)
    found = said([*arguments, "--runs", "1"], capsys)
    advice = found["advice"]
    assert advice["season"] == "hour_of_day"
    assert advice["rebuild"]
    assert found["calibration"]["false_alarms"]["raised"] >= 1
    assert "first do the above" in advice["because"][-1]
    taken = pasted(arguments[0], found["yaml"])
    (lifecycle,) = load(taken, "pasted.yaml")
    assert lifecycle.reference.season == "hour_of_day"

    Path(arguments[0]).write_text(taken)
    assert main(["baseline", *arguments]) == 0
    after = table(20, seed=21, first=len(hours), moved=daily[:20])
    pq.write_table(after, tmp_path / "after.parquet")
    later = [arguments[0], "--data", str(tmp_path / "after.parquet"), "--runs", "1"]
    found = said(later, capsys)
    assert found["calibration"]["false_alarms"]["raised"] == 0
    assert found["advice"]["season"] is None
    (income,) = (
        r for r in found["calibration"]["reaches"] if r["change"] == "shift" and r["unit"] > 9
    )
    assert income["series"] == "feature:income"
    assert 0.05 < income["day"]["size"] < 0.5


def test_dependent_rows_are_reported_against_the_reference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    random = np.random.default_rng(8)
    past = table(60, seed=9, moved=random.normal(size=60) * 0.3)
    arguments = prepared(tmp_path, table(60, seed=10), past)
    advice = said([*arguments, "--runs", "1"], capsys)["advice"]
    (worst,) = (d for d in advice["dispersion"] if d["off"])
    assert len(advice["dispersion"]) == 4
    truth = 1 + (PER_HOUR - 1) * 0.3**2 / (1 + 0.3**2)
    assert worst["series"] == "feature:income"
    assert worst["reference"] < 2.5 < worst["low"] < truth * 1.3 < worst["high"] * 1.3
    assert advice["rebuild"]
    assert advice["season"] is None
    assert any("leeway baseline" in line for line in advice["because"])


def test_windows_that_are_too_small_get_a_longer_one_that_check_accepts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = prepared(
        tmp_path, table(48, seed=11), table(48, seed=12, first=48), size="30m",
        data="check_frequency: 30m",
    )  # fmt: skip
    found = said([*arguments, "--runs", "1"], capsys)
    assert found["advice"]["window"] == "1h"
    assert found["advice"]["rebuild"]
    checked = tmp_path / "pasted.yaml"
    checked.write_text(pasted(arguments[0], found["yaml"]))
    assert main(["check", str(checked)]) == 0
    assert "no mistakes" in capsys.readouterr().out
    (lifecycle,) = load(checked.read_text(), "pasted.yaml")
    assert lifecycle.monitoring.drift_detection.data_drift.check_frequency == HOUR


def test_a_rule_of_every_window_is_calibrated_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = prepared(
        tmp_path, table(40, seed=13), table(20, seed=14, first=40),
        data="method: PSI, threshold: 0.2, alarm: every_window",
    )  # fmt: skip
    measured = said([*arguments, "--runs", "3"], capsys)["calibration"]
    (income,) = (
        r for r in measured["reaches"] if r["change"] == "shift" and "income" in r["series"]
    )
    assert 0.2 < income["day"]["size"] < 0.8  # PSI .238 is half a standard deviation


def test_a_past_that_drifts_says_so_and_is_injected_into_where_it_is_quiet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drifting = np.where(np.arange(60) < 40, 0.0, 1.0)
    past = table(60, seed=15, first=60, moved=drifting)
    arguments = prepared(tmp_path, table(60, seed=16), past)
    found = said([*arguments, "--runs", "2"], capsys)
    (episode,) = found["calibration"]["false_alarms"]["episodes"]
    assert episode["opened"] == f"{START + 100 * HOUR:%Y-%m-%dT%H:%M:%SZ}"
    assert episode["series"] == ["feature:income"]
    assert episode["until"] is None
    assert found["calibration"]["nothing"].keys() == {"week"}
    assert all(r["day"]["size"] for r in found["calibration"]["reaches"] if "income" in r["series"])


def test_a_references_own_past_is_told_from_a_new_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def with_towns(of: pa.Table, seed: int) -> pa.Table:
        towns = np.random.default_rng(seed).zipf(1.5, len(of)).astype(str)
        return of.set_column(of.column_names.index("home"), "home", pa.array(towns))

    own, new = with_towns(table(40, seed=19), 20), with_towns(table(40, seed=21, first=40), 22)
    arguments = prepared(tmp_path, own, new)
    assert said([*arguments, "--runs", "1"], capsys)["calibration"]["false_alarms"]["raised"] == 0
    pq.write_table(own, tmp_path / "past.parquet")
    found = said([*arguments, "--runs", "1"], capsys)["calibration"]
    (episode,) = found["false_alarms"]["episodes"]
    assert episode["series"] == ["feature:home"]  # its rows bring no unseen town
    assert any(
        "most looks quiet, and unseen words and values look as if" in n for n in found["notes"]
    )


def test_a_past_of_a_few_hours_says_why_nothing_is_injected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = prepared(tmp_path, table(40, seed=17), table(2, seed=18, first=40))
    assert main(["calibrate", *arguments]) == 0
    assert "the past is shorter than a seventh of a day" in capsys.readouterr().out


def test_a_reference_that_is_too_small_is_no_crash(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = prepared(tmp_path, table(1, seed=22).slice(0, 150), table(20, seed=23, first=40))
    found = said(arguments, capsys)
    assert found["calibration"]["reaches"] == []
    assert set(found["calibration"]["nothing"].values()) == {
        "the reference is too small for any verdict"
    }
    assert found["advice"]["rebuild"]
    assert main(["calibrate", *arguments]) == 0
    assert "Traceback" not in capsys.readouterr().err


MISTAKES = {
    "no such data": (["{file}", "--data", "nothing.parquet"], "there is no such file"),
    "no such lifecycle": (["nothing.yaml", "--data", "{data}"], "nothing.yaml"),
    "not a reference": (["{file}", "--data", "{data}", "--reference", "{file}"], "is not a reference"),
    "no such reference": (["{file}", "--data", "{data}", "--reference", "none.json"], "leeway baseline makes one"),
    "nothing is left": (["{file}", "--data", "{data}", "--where", "home=castle"], "nothing has home=castle"),
    "no such column": (["{file}", "--data", "{data}", "--where", "house=castle"], "is not a column"),
    "no condition": (["{file}", "--data", "{data}", "--where", "castle"], "expected COLUMN=VALUE"),
    "no such kind": (["{file}", "--data", "{data}", "--kind", "labels"], "expected predictions or features"),
    "no such model": (["{file}", "--data", "{data}", "--model", "loans"], "it holds churn"),
    "no runs": (["{file}", "--data", "{data}", "--runs", "0"], "--runs"),
    "no broker": (["{file}", "--data", "topic:past"], "no Kafka was given"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_and_exit_2(
    mistake: str,
    quiet: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("LEEWAY_BROKERS", raising=False)
    arguments, expected = MISTAKES[mistake]
    filled = [a.format(file=quiet[0], data=quiet[2]) for a in arguments]
    capsys.readouterr()
    assert main(["calibrate", *filled]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert len(shown.err.splitlines()) == 1
    assert expected in shown.err


def test_without_a_reference_it_says_what_to_type(
    quiet: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = tmp_path / "churn.yaml"
    alone.write_text(Path(quiet[0]).read_text())
    assert main(["calibrate", str(alone), "--data", quiet[2]]) == 2
    assert f"leeway baseline {alone} --data SOURCE" in capsys.readouterr().err


def test_a_past_of_another_version_cannot_be_compared(
    quiet: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.parquet"
    pq.write_table(table(3, seed=1, version="9.0"), other)
    assert main(["calibrate", quiet[0], "--data", str(other)]) == 2
    assert "version 9.0, the reference is of 1.0" in capsys.readouterr().err


def test_conditions_choose_the_past(quiet: list[str]) -> None:
    assert parse_where(["home=own"])[0].value == "own"
    (lifecycle,) = load(Path(quiet[0]).read_text(), "churn.yaml")
    reference = from_document(
        json.loads(Path(quiet[0]).with_name("churn.reference.json").read_text())
    )
    source = open_source(quiet[2], [lifecycle], where=parse_where(["home=own"]))
    history = read(source, reference)
    assert 0.25 < history.events / (96 * PER_HOUR) < 0.35


if __name__ == "__main__":
    with TemporaryDirectory() as here, redirect_stdout(StringIO()):
        now = shown(prepared_quiet(Path(here)))
    PAGE.write_text(EXAMPLE.sub(lambda m: m[1] + now + m[3], PAGE.read_text("utf-8")), "utf-8")
