"""What is shown of a model over time? Sections of pictures: drift, performance, values, service, labels, segments.

Each is None where nothing is known of it. The model's page and the report in a file are made of the same ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from streams.console.html import Html, element, link
from streams.console.parts import (
    model_path,
    moment,
    name,
    picture,
    pill,
    section,
    series_path,
    table,
)
from streams.console.pictures import cells, lines
from streams.console.pictures import drift as drifts
from streams.console.pictures.picture import Picture
from streams.console.strips import strip
from streams.console.wording import explained, number, times
from streams.views.distribution import distribution
from streams.views.history import Line, heat
from streams.views.history import lines as known_lines
from streams.views.places import NOTHING, Recalled
from streams.views.read import ReadModel

MOST_METRICS = 12  # pictures; more metrics than that are in the API
MOST_SEGMENTS = 50
STRIP = 36  # windows
SERVICE = ("throughput", "error_rate", "availability")
LATENCIES = ("latency_p50", "latency_p90", "latency_p95", "latency_p99")
LABELS = ("label_coverage", "label_lag")
VALUES = ("prediction", "score")


@dataclass(frozen=True, slots=True)
class About:
    """What is shown: a version and a segment of a model, and the windows that end within a time."""

    model_id: str
    version: str
    segment: str
    start_ms: int
    end_ms: int

    def series_path(self, series: str) -> str:
        """The page of one of its series."""
        segment = {} if self.segment == "all" else {"segment": self.segment}
        return series_path(self.model_id, series, version=self.version, **segment)


def of_model(
    read: ReadModel, about: About, *, leads: bool = True, recalled: Recalled = NOTHING
) -> list[Html]:
    """All sections that there is something to show in; `leads`: names and cells lead to other pages.

    Raises
    ------
    Elsewhere
        Some of it is on the log only.
    """
    found = (
        drift(read, about, leads=leads),
        performance(read, about),
        values(read, about, recalled=recalled),
        service(read, about),
        labels(read, about),
        segments(read, about, leads=leads),
    )
    return [one for one in found if one is not None]


def drift(read: ReadModel, about: About, *, leads: bool = True) -> Html | None:
    """Which series moved, and when."""
    found = heat(read, about.model_id, about.version, about.segment, about.start_ms, about.end_ms)
    if not found.series or not found.end_ms.size:
        return None
    alarm = _lines(read, about, "inputs").get("alarm_ratio")
    shown = [drifts.heat(found, about.series_path if leads else None)]
    if alarm is not None:
        shown.append(lines.alarm(alarm))
    return _pictures("Drift", shown, "drift", wide=2)


def performance(read: ReadModel, about: About) -> Html | None:
    """Every metric that needs labels: as they came, estimated before, and matured."""
    told, matured = _lines(read, about, "outcomes"), _lines(read, about, "matured")
    names = [one for one in {**told, **matured} if _is_performance(one)][:MOST_METRICS]
    shown = [
        lines.trend(
            told[one] if one in told else matured[one],
            estimated=told.get(f"{one}_estimated"),
            matured=matured.get(one) if one in told else None,
        )
        for one in names
    ]
    return _pictures("Performance", shown, "performance")


def _is_performance(metric: str) -> bool:
    known = metric in LABELS or metric in _OF_WINDOWS or metric.startswith("latency_")
    return not known and not metric.endswith("_estimated")


_OF_WINDOWS = ("events", "late", "alarm_ratio")  # what every line of windows has


def values(read: ReadModel, about: About, *, recalled: Recalled = NOTHING) -> Html | None:
    """How prediction and score are distributed in the newest window, beside the reference."""
    shown = []
    for series in VALUES:
        found = distribution(
            read, about.model_id, about.version, about.segment, series, None, recalled
        )
        if found is not None:
            title = f"{series.capitalize()}: reference beside current"
            shown.append(cells.distribution(found, picture_id=f"picture-{series}", title=title))
    return _pictures("Prediction and score", shown, "values")


def service(read: ReadModel, about: About) -> Html | None:
    """How it answers: how much, how fast, and how often not."""
    found = _lines(read, about, "health")
    inputs = _lines(read, about, "inputs")
    shown: list[Picture] = []
    waits = [found[one] for one in LATENCIES if one in found]
    if waits:
        shown.append(lines.latency(waits))
    if "throughput" in found:
        shown.append(lines.throughput([found["throughput"]]))
    elif "events" in inputs:
        shown.append(lines.throughput([inputs["events"]]))
    shown += [lines.trend(found[one]) for one in SERVICE[1:] if one in found]
    others = [one for one in found if one not in (*SERVICE, *LATENCIES, *_OF_WINDOWS, *LABELS)]
    shown += [lines.trend(found[one]) for one in others[:MOST_METRICS]]
    if "late" in inputs:
        shown.append(lines.trend(inputs["late"]))
    return _pictures("Service", shown, "service")


def labels(read: ReadModel, about: About) -> Html | None:
    """How the truth comes: of how much it is known, and how late."""
    told, matured = _lines(read, about, "outcomes"), _lines(read, about, "matured")
    shown = [
        lines.trend(
            told[one] if one in told else matured[one],
            matured=matured.get(one) if one in told else None,
        )
        for one in LABELS
        if one in told or one in matured
    ]
    return _pictures("Labels", shown, "labels")


def segments(read: ReadModel, about: About, *, leads: bool = True) -> Html | None:
    """Every segment of the version: what its last window came to."""
    found = []
    for subject, past in read.results.get(about.model_id, {}).items():
        if (subject.version, subject.scope) == (about.version, "inputs") and len(past):
            found.append((subject.segment, past))
    if len(found) < 2:
        return None
    found.sort(
        key=lambda one: (one[0] != "all", _calm(one[1][-1].verdict), -one[1][-1].events, one[0])
    )
    rows = []
    for segment, past in found[:MOST_SEGMENTS]:
        newest = past[-1]
        to = model_path(about.model_id, version=about.version, segment=segment)
        ratio = newest.alarm_ratio
        rows.append(
            (
                link(name(segment), to) if leads else name(segment),
                pill(newest.verdict, "verdict"),
                explained(newest.reason),
                strip([one.verdict for one in past[-STRIP:]]),
                number(newest.events),
                "–" if ratio is None else times(ratio),
                moment(newest.end_ms, short=True),
            )
        )
    left = len(found) - len(rows)
    note = element("p", f"and {number(left)} more", class_="meta") if left else None
    head = ("Segment", "Verdict", "Because", "Last windows", "Events", "Alarm", "Window to")
    return section(
        "Segments",
        table(head, rows, figures=(4, 5), label="Segments", stacks=True),
        note,
        id_="segments",
    )


def _calm(verdict: str) -> int:
    order = ("severe", "drifting", "insufficient", "stable")
    return order.index(verdict) if verdict in order else len(order)


def _lines(read: ReadModel, about: About, scope: str) -> dict[str, Line]:
    found = known_lines(
        read,
        about.model_id,
        about.version,
        about.segment,
        scope,
        None,
        about.start_ms,
        about.end_ms,
    )
    return {one.name: one for one in found}


def _pictures(title: str, shown: Sequence[Picture], id_: str, wide: int = 0) -> Html | None:
    """A section of pictures; the first `wide` of them have a row for themselves."""
    if not shown:
        return None
    drawn = [
        element("div", picture(one), class_="wide" if at < wide else None)
        for at, one in enumerate(shown)
    ]
    return section(title, element("div", *drawn, class_="pictures"), id_=id_)
