"""The outcomes of a labelled stream, counted twice: by Leeway's results, and by pandas from the rows themselves."""

import contextlib
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd

from detectors.reference.build import from_document
from detectors.reference.frozen import Reference
from streams.cli import main
from streams.lifecycle import Lifecycle, load
from streams.lifecycle.acts import windows
from streams.offline.replay import as_lines, replay
from streams.offline.selection import parse_where
from streams.offline.sources import open_source

DAY = timedelta(days=1)
PARTS = 4  # of the reference, in order of time
EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
_MONDAY = pd.Timestamp("1970-01-05", tz="UTC")  # windows of a week begin on Mondays
_EPOCH = pd.Timestamp("1970-01-01", tz="UTC")


@dataclass(frozen=True, slots=True)
class Counted:
    """One window or day: outcomes, accuracy, confusion ``{actual: {predicted: n}}`` and, of a day, its coverage."""

    outcomes: int
    accuracy: float
    confusion: Mapping[str, Mapping[str, int]]
    coverage: float | None = None


def by_pandas(rows: pd.DataFrame, time: str, length: timedelta) -> dict[str, Counted]:
    """Windows of the column `time`, by their start."""
    origin = _MONDAY if length == timedelta(days=7) else _EPOCH
    starts = rows[time].sub(origin).floordiv(length).mul(length).add(origin)
    found = {}
    for start, of in rows.groupby(starts):
        labelled = of[of["label"].notna()]
        if labelled.empty:
            continue
        right = labelled["label"] == labelled["prediction"]
        table = pd.crosstab(labelled["label"], labelled["prediction"])
        found[_text(start)] = Counted(
            len(labelled),
            float(right.mean()),
            {
                str(actual): {str(said): int(n) for said, n in row.items() if n}
                for actual, row in table.to_dict("index").items()
            },
            len(labelled) / len(of),
        )
    return found


def by_leeway(results: Iterable[bytes], scope: str) -> dict[str, Counted]:
    """The newest result of every window of one scope, all segments together."""
    newest: dict[str, dict[str, Any]] = {}
    for line in results:
        result = msgspec.json.decode(line)["value"]
        if result["scope"] != scope or result["segment"] != "all":
            continue
        before = newest.get(result["window"]["start"])
        if before is None or result["revision"] >= before["revision"]:
            newest[result["window"]["start"]] = result
    found = {}
    for start, result in newest.items():
        confusion = {
            actual: {said: n for said, n in row.items() if n}
            for actual, row in result["confusion"].items()
            if any(row.values())
        }
        outcomes = sum(n for row in confusion.values() for n in row.values())
        if not outcomes:
            continue
        right = sum(row.get(actual, 0) for actual, row in confusion.items())
        shown = result["metrics"]["accuracy"]
        coverage = result["metrics"].get("label_coverage", {}).get("value")
        # too few for an interval are shown by their counts alone
        accuracy = shown["value"] if "value" in shown else right / outcomes
        found[start] = Counted(outcomes, accuracy, confusion, coverage)
    return found


def differences(
    found: Mapping[str, Counted], expected: Mapping[str, Counted], *, coverage: bool
) -> list[str]:
    """Windows that are not the same, in words; exact, to the last bit."""
    told = [f"{start}: only in one" for start in sorted(found.keys() ^ expected.keys())]
    for start in sorted(found.keys() & expected.keys()):
        a, b = found[start], expected[start]
        same = (a.outcomes, a.accuracy, a.confusion) == (b.outcomes, b.accuracy, b.confusion)
        if not same or (coverage and a.coverage != b.coverage):
            told.append(f"{start}: {a} instead of {b}")
    return told


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a stream's labels: when the first of those that are worse became known."""

    name: str
    file: str
    says: str
    falls: datetime
    by: datetime
    within: int = 0  # changes of level inside the reference itself
    how: str = ""

    def after(self, moment: datetime) -> str:
        """How much later a moment is, in words."""
        late = moment - self.falls
        hours = late // timedelta(hours=1)
        return f"{hours // 24} days" if hours >= 48 else f"{late / timedelta(hours=1):.1f} hours"


STREAMS = (
    Known(
        "elec2",
        "elec2.parquet",
        "from .84 to .53 in the week of 5 June 1997",
        datetime(1997, 6, 5, tzinfo=UTC),
        datetime(1997, 7, 5, tzinfo=UTC),
    ),
    Known(
        "insects",
        "insects_gradual.parquet",
        "from .77 to .52 in the 40 minutes from 10:40 on 7 January",
        datetime(2026, 1, 7, 10, 40, tzinfo=UTC),
        datetime(2026, 1, 7, 16, 40, tzinfo=UTC),
        1,
        "at row 2,900 of 5,000 accuracy falls from .89 to .70",
    ),
)


@dataclass(frozen=True, eq=False)
class Labelled:
    """A stream with its lifecycle, as `examples/` has it."""

    known: Known
    lifecycle: Lifecycle
    data: Path
    folder: Path  # for what is written on the way

    def rows(self, split: str) -> pd.DataFrame:
        """Of one split, in order of time."""
        rows = pd.read_parquet(self.data)
        return rows[rows["split"] == split].reset_index(drop=True)


def load_stream(folder: Path, known: Known, place: Path) -> Labelled:
    """One of `STREAMS`, if its file is there."""
    written = EXAMPLES / f"{known.name}.yaml"
    (lifecycle,) = load(written.read_text("utf-8"), known.name)
    (place / written.name).write_bytes(written.read_bytes())
    return Labelled(known, lifecycle, folder / known.file, place)


def replayed(
    stream: Labelled,
    reference: Path | None = None,
    events: Path | None = None,
    split: str = "production",
) -> dict[str, list[bytes]]:
    """What a replay writes, topic by topic, one document per record."""
    where = parse_where([f"split={split}"])
    built = _baseline(stream, reference or stream.data)
    source = open_source(str(events or stream.data), [stream.lifecycle], where=where)
    found = replay(source, {stream.lifecycle.model_id: built})
    return {name: as_lines(of).splitlines() for name, of in found.topics.items()}


def _baseline(stream: Labelled, data: Path) -> Reference:
    """The reference that `leeway baseline` builds from the reference rows of a file."""
    written = stream.folder / f"{stream.known.name}.yaml"
    document = stream.folder / f"{stream.known.name}.reference.json"
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        code = main(["baseline", str(written), "--data", str(data), "--where", "split=reference"])
    if code:
        raise RuntimeError(f"{data}: no reference could be built")
    return from_document(json.loads(document.read_bytes()))


def expected(stream: Labelled) -> tuple[dict[str, Counted], dict[str, Counted]]:
    """Windows by the time their labels became known, and days by when their predictions were made."""
    length = windows(stream.lifecycle).outcomes
    assert length is not None  # it reads labels
    rows = stream.rows("production")
    found = by_pandas(rows, "label_timestamp", length)
    (metric,) = stream.lifecycle.monitoring.performance_metrics
    period = metric.measurement_frequency or length
    if period > length:  # the window that completes a week shows the accuracy of the week
        longer = by_pandas(rows, "label_timestamp", period)
        for start, one in found.items():
            end = datetime.fromisoformat(start) + length
            whole = longer.get(_text(pd.Timestamp(end - period)))
            if whole is not None:
                found[start] = replace(one, accuracy=whole.accuracy)
    return found, by_pandas(rows, "timestamp", DAY)


def alarms(alerts: Iterable[bytes]) -> list[datetime]:
    """When episodes of concept drift opened, all segments together."""
    found = [msgspec.json.decode(line)["value"] for line in alerts]
    return [
        datetime.fromisoformat(alert["at"])
        for alert in found
        if (alert["kind"], alert["change"], alert["segment"]) == ("concept_drift", "opened", "all")
    ]


def by_itself(stream: Labelled) -> tuple[int, int]:
    """Windows of the reference's own rows, and alarms in them, judged by the whole of it."""
    told = replayed(stream, split="reference")
    return len(by_leeway(told["results"], "outcomes")), len(alarms(told["alerts"]))


def quiet_folds(stream: Labelled) -> list[tuple[int, int]]:
    """Cross-validation in time order: each part of the reference judged by those before it.

    Returns
    -------
    list of (windows, alarms of concept drift)
    """
    rows = stream.rows("reference")
    cuts = [round(len(rows) * k / PARTS) for k in range(PARTS + 1)]
    found = []
    for k in range(PARTS // 2, PARTS):
        known, fresh = (stream.folder / f"{stream.known.name}.{part}.parquet" for part in "ab")
        rows.iloc[: cuts[k]].to_parquet(known)
        rows.iloc[cuts[k] : cuts[k + 1]].to_parquet(fresh)
        told = replayed(stream, known, fresh, "reference")
        found.append((len(by_leeway(told["results"], "outcomes")), len(alarms(told["alerts"]))))
    return found


def _text(moment: pd.Timestamp) -> str:
    return str(moment.strftime("%Y-%m-%dT%H:%M:%S.000Z"))
