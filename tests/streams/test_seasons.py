"""Is a window in the slot that a clock on the wall shows, and does the judge compare it with that slot?"""

import json
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from detectors.reference.build import Reference, build
from detectors.reference.frozen import Season
from streams import seasons
from streams.cli import main
from streams.judging.plans import ModelPlan, compile_plan
from streams.lifecycle import Lifecycle
from streams.profiling.columns import columns
from streams.registry import Registered
from tests.builders import HOUR_MS, NAMES, encode, event, lifecycle
from tests.streams.test_judge import Desk


def ms(text: str) -> int:
    """Of a time in UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000


BERLIN = seasons.slot_of(Season("hour_of_day", "Europe/Berlin"))
WEEK = seasons.slot_of(Season("hour_of_week", "America/New_York"))


@pytest.mark.parametrize(
    ("utc", "slot"),
    [
        ("2026-01-15T11:00", 12),  # winter
        ("2026-07-15T11:00", 13),  # summer
        ("2026-03-29T00:00", 1),  # the night without an hour
        ("2026-03-29T01:00", 3),
        ("2026-10-25T00:00", 2),  # the night with one hour twice
        ("2026-10-25T01:00", 2),
        ("2026-10-25T02:00", 3),
    ],
)
def test_the_slot_of_a_window_is_the_local_hour_of_its_start(utc: str, slot: int) -> None:
    assert BERLIN(ms(utc)) == slot
    assert BERLIN(ms(utc) + 45 * 60_000) == slot


def test_the_week_begins_on_monday_where_the_clock_hangs() -> None:
    assert WEEK(ms("2026-01-12T04:00")) == 6 * 24 + 23  # Sunday evening in New York
    assert WEEK(ms("2026-01-12T05:00")) == 0


def test_before_1970_and_far_in_the_future_there_are_slots_too() -> None:
    assert BERLIN(ms("1969-01-01T11:00")) == 12
    assert 0 <= BERLIN(ms("2400-07-15T11:00")) < 24


def test_rows_of_one_window_share_a_slot_even_where_hours_begin_at_half_past() -> None:
    times = np.arange(0, 48 * HOUR_MS, HOUR_MS // 8)
    day, week = seasons.candidates("Asia/Kolkata", HOUR_MS, times)
    assert (day.season.name, week.season.slots) == ("hour_of_day", 168)
    assert (day.slots.reshape(-1, 8) == day.slots.reshape(-1, 8)[:, :1]).all()
    assert day.slots[:9].tolist() == [5] * 8 + [6]


@pytest.mark.parametrize(
    ("minutes", "fits"), [(1, True), (15, True), (60, True), (7, False), (120, False)]
)
def test_windows_that_may_lie_in_two_hours_have_no_season(minutes: int, fits: bool) -> None:
    times = np.arange(10) * HOUR_MS
    assert bool(seasons.candidates("UTC", minutes * 60_000, times)) == fits


def cycled(hours: range, per_hour: int = 250, shift: float = 0.0) -> list[dict[str, object]]:
    """Predictions whose income is twice as high by day, in Berlin."""
    g = np.random.default_rng(3)
    start = ms("2026-01-05T00:00")
    zone = ZoneInfo("Europe/Berlin")
    out = []
    for h in hours:
        at = start + h * HOUR_MS
        local = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at)).astimezone(zone)
        level = 2.0 if 8 <= local.hour < 20 else 0.0
        for i, x in enumerate(g.normal(size=per_hour).tolist()):
            out.append(
                event(at + i * (HOUR_MS // per_hour), features={"income": x + level + shift, "home": "own"})
            )  # fmt: skip
    return out


def seasonal(season: str = "hour_of_day", timezone: str = "Europe/Berlin") -> Lifecycle:
    return lifecycle(reference={"season": season, "timezone": timezone})


@cache
def built(season: str = "hour_of_day") -> Reference:
    """Of eight days in Berlin."""
    of = seasonal(season)
    read = columns(of, encode(cycled(range(24 * 8), 100)))
    found, _ = build(
        read.columns,
        read.times_ms,
        reference_id="r1",
        model_id=of.model_id,
        model_version=of.version,
        source="seeded",
        window_ms=HOUR_MS,
        season=None if of.reference.season == "none" else of.reference.season,
        seasonal=seasons.candidates(of.reference.timezone, HOUR_MS, read.times_ms),
    )
    return found


def plan_of(of: Lifecycle, reference: Reference) -> ModelPlan:
    return compile_plan(Registered(of, reference), NAMES, (), None)


def test_a_plan_reads_slots_off_the_clock_of_the_reference() -> None:
    of = seasonal()
    plan = plan_of(of, built())
    assert plan.slot_of(ms("2026-07-15T11:00")) == 13
    detector = plan.detector(of.version, "all")
    assert detector is not None
    assert detector.slots is not None
    assert "the reference was built without its season" not in detector.notes


@pytest.mark.parametrize(
    "other", [seasonal("none"), seasonal("hour_of_week"), seasonal(timezone="UTC")]
)
def test_slots_of_another_season_or_clock_can_be_compared_with_nothing(other: Lifecycle) -> None:
    plan = plan_of(other, built())
    assert plan.detector(other.version, "all") is None


def test_a_reference_without_the_wanted_season_is_used_with_a_note() -> None:
    of = seasonal()
    plan = plan_of(of, built("none"))
    detector = plan.detector(of.version, "all")
    assert detector is not None
    assert detector.slots is None
    assert "the reference was built without its season" in detector.notes
    assert plan.slot_of(ms("2026-07-15T11:00")) == 0


def judged(hours: int, restart_every: int = 0) -> list[Any]:
    """What a judge says hour after hour of the cycle, which is shifted from the 30th hour on."""
    of = seasonal()
    desk = Desk((of, built()))
    start = ms("2026-01-05T00:00")
    for h in range(hours):
        shift = 1.0 if h >= 30 else 0.0
        desk.count(cycled(range(h, h + 1), 250, shift))
        desk.reach(start + (h + 1) * HOUR_MS + 60_000)
        if restart_every and h % restart_every == restart_every - 1:
            desk.flush()
            desk.restart()
    return desk.results()


def test_a_daily_cycle_is_stable_and_a_shift_under_it_severe_however_often_the_judge_restarts() -> (
    None
):
    straight = judged(36)
    verdicts = [document["verdict"] for document in straight]
    assert set(verdicts[:30]) == {"stable"}
    assert set(verdicts[31:]) == {"severe"}
    assert judged(36, restart_every=5) == straight


LIFECYCLE = """model_lifecycle:
  model_id: sun
  version: "1"
  features: {power: number}
  reference: {season: SEASON, timezone: Europe/Lisbon}
  monitoring: {window: {size: 1h}}
"""


@pytest.fixture(scope="module")
def sun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eleven days of a number with a daily cycle; from noon of the tenth on it is lower."""
    folder = tmp_path_factory.mktemp("sun")
    hours, g = np.repeat(np.arange(24 * 11), 250), np.random.default_rng(2)
    power = (
        np.sin(2 * np.pi * hours / 24) + g.normal(size=len(hours)) - 0.6 * (hours >= 9 * 24 + 12)
    )
    data = {
        "timestamp": ms("2026-01-05T00:00") + np.arange(len(hours)) * (HOUR_MS // 250),
        "model_version": ["1"] * len(hours),
        "split": np.where(hours < 8 * 24, "reference", "production"),
        "power": power,
    }
    pq.write_table(pa.table(data), folder / "sun.parquet")
    for season in ("none", "hour_of_day"):
        (folder / f"{season}.yaml").write_text(LIFECYCLE.replace("SEASON", season))
    return folder


def run(folder: Path, season: str, command: str, *more: str) -> int:
    return main([command, str(folder / f"{season}.yaml"), *more])


def test_baseline_proposes_a_season_and_with_it_replay_finds_the_drift_and_nothing_else(
    sun: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = str(sun / "sun.parquet")
    assert run(sun, "none", "baseline", "--data", data, "--where", "split=reference") == 0
    assert "reference.season: hour_of_day explains" in capsys.readouterr().err
    assert run(sun, "hour_of_day", "baseline", "--data", data, "--where", "split=reference") == 0
    printed = capsys.readouterr()
    assert "season: hour_of_day, Europe/Lisbon: 24 of 24 slots with 2,000 to 2,000" in printed.out
    assert "explains" not in printed.err
    events = ["--events", data, "--where", "split=production", "--json"]
    assert run(sun, "hour_of_day", "replay", *events) == 0
    (episode,) = json.loads(capsys.readouterr().out)["episodes"]
    assert episode["opened_at"].startswith("2026-01-14T1")
    assert episode["affected"] == ["feature:power"]
