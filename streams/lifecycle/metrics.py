"""Which metrics are there, which way is better, and what does a written threshold mean? (contracts 2.2)"""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from streams.lifecycle.grammar import duration, fold, number
from streams.lifecycle.mistakes import Wrong, bare, did_you_mean, quoted, shown

Unit = Literal["share", "number", "time"]


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric's direction (None: neither) and unit; times are kept in milliseconds."""

    better: Literal["higher", "lower"] | None
    unit: Unit


_HIGHER = "accuracy balanced_accuracy precision recall f1 auc availability label_coverage"
_LOWER = "calibration_error false_positive_rate false_negative_rate error_rate timeout_rate fallback_rate"
METRICS: dict[str, Metric] = {
    **{name: Metric("higher", "share") for name in _HIGHER.split()},
    **{name: Metric("lower", "share") for name in _LOWER.split()},
    **{
        name: Metric("lower", "number")
        for name in ("log_loss", "brier", "mae", "rmse", "mape", "cost", "mean_loss")
    },
    **{
        name: Metric("lower", "time")
        for name in ("latency_p50", "latency_p95", "latency_p99", "label_lag")
    },
    **{name: Metric(None, "number") for name in ("bias", "throughput", "mean_score")},
    "r2": Metric("higher", "number"),
    "positive_rate": Metric(None, "share"),
}
UNKNOWN = Metric(None, "number")  # a business or operational feature, or what a pipeline reports
_OTHER_NAMES = {
    "f1 score": "f1",
    "roc auc": "auc",
    "auc roc": "auc",
    "p50 latency": "latency_p50",
    "p95 latency": "latency_p95",
    "p99 latency": "latency_p99",
}
_FOLDED = {fold(name): name for name in METRICS} | _OTHER_NAMES
NEEDS_LABELS = frozenset(METRICS) - {
    *[
        "availability",
        "error_rate",
        "timeout_rate",
        "fallback_rate",
        "latency_p50",
        "latency_p95",
        "latency_p99",
    ],
    *["throughput", "positive_rate", "mean_score"],
}


def metric_name(text: str) -> str | None:
    """The metric that `text` names; None when it is none of ours.

    >>> metric_name("Latency p99"), metric_name("F1-Score"), metric_name("tenure")
    ('latency_p99', 'f1', None)
    """
    return _FOLDED.get(fold(re.sub(r"[()]", " ", text)))


def metric(value: object, features: frozenset[str] | None = None) -> str:
    """A metric's name, or that of a feature whose mean is watched.

    Parameters
    ----------
    features
        The declared features; None accepts any name.
    """
    expected = (
        "one such as accuracy, recall, auc, mae, latency_p99 or error_rate, or a declared feature"
    )
    if not isinstance(value, str):
        raise Wrong(shown(value), "is not a metric", expected)
    name = metric_name(value)
    if name is not None:
        return name
    if fold(value) == "latency" and (features is None or value not in features):
        raise Wrong(quoted(value), "has no percentile", "latency_p50, latency_p95 or latency_p99")
    if features is None or value in features:
        return value
    hint = did_you_mean(fold(value).replace(" ", "_"), [*METRICS, *sorted(features)])
    raise Wrong(quoted(value), "is not a metric", expected, hint)


def amount(value: object, unit: Unit) -> float:
    """A metric's value: a number, a percentage, or a time in milliseconds.

    >>> amount("82%", "share"), amount("0.2s", "time")
    (0.82, 200.0)
    """
    if unit == "time":
        try:
            return duration(value) / timedelta(milliseconds=1)
        except Wrong as error:
            raise Wrong(error.subject, error.what, 'a time such as "200 ms" or "2s"') from None
    if isinstance(value, str):
        percent = re.fullmatch(r"\s*([+-]?\d{1,20}(?:\.\d{1,20})?)\s*%\s*", value)
        if percent:
            return round(float(percent[1]) / 100, 12)
        money = re.fullmatch(r"\s*([+-]?\d[\d.]{0,30})\s*[A-Z€$£]{1,3}\s*", value)
        if money:
            raise Wrong(shown(value), "has a unit", f"a number, write {money[1]}")
    size = number(value)
    if unit == "share" and size > 1:
        raise Wrong(
            shown(value), "is above 1", "a share such as 0.82 or 82%", f'write "{bare(size)}%"'
        )
    return size


def amount_text(size: float, unit: Unit) -> str:
    """The text that `amount` reads as `size`."""
    return f"{bare(size)}ms" if unit == "time" else bare(size)


@dataclass(frozen=True, slots=True)
class Bound:
    """A line and its good side: alert below `min`, or above `max`. Times are milliseconds."""

    min: float | None = None
    max: float | None = None

    @property
    def line(self) -> float:
        """The number of the side that is set."""
        return self.min if self.min is not None else self.max or 0.0


OPERATORS: dict[str, str] = {
    "drops below": "<",
    "falls below": "<",
    "below": "<",
    "above": ">",
    "rises above": ">",
    "exceeds": ">",
    "at least": ">=",
    "at most": "<=",
    "<=": "<=",
    ">=": ">=",
    "≤": "<=",
    "≥": ">=",
    "<": "<",
    ">": ">",
}
_LEAD = re.compile(r"^\s*(?:alert\s+)?(?:if|when)\s+|^\s*alert\s+", re.I)


def without_lead(text: str) -> str:
    """`text` without a leading "if", "when" or "alert if"."""
    return _LEAD.sub("", text).strip()


def operator(text: str) -> tuple[str, str]:
    """The comparison that begins `text`, and what follows it; ("", text) when there is none."""
    for words, meaning in OPERATORS.items():
        pattern = r"[\s_-]+".join(map(re.escape, words.split())) + (
            r"\b" if words[0].isalpha() else ""
        )
        found = re.match(rf"\s*{pattern}\s*", text, re.I)
        if found:
            return meaning, text[found.end() :]
    return "", text


def bound(value: object, name: str) -> Bound:
    """When to alert about the metric `name`.

    A comparison says when to *alert*; a bare value takes the metric's direction.

    Raises
    ------
    Wrong
        It would alert while the metric is good; a bare value for a metric without direction; a time without unit.

    Examples
    --------
    >>> bound("below 0.82", "accuracy"), bound("200 ms", "latency_p99"), bound({"min": 50}, "throughput")
    (Bound(min=0.82, max=None), Bound(min=None, max=200.0), Bound(min=50.0, max=None))
    """
    if isinstance(value, Bound):
        return value
    about = METRICS.get(name, UNKNOWN)
    subject, written = shown(value), value
    if isinstance(value, dict):
        if len(value) != 1 or not set(value) <= {"min", "max"}:
            raise Wrong(subject, "is not a threshold", "{min: VALUE} or {max: VALUE}")
        ((side, written),) = value.items()
        sign = "<" if side == "min" else ">"
        subject = f"{{{side}: {shown(written)}}}"
    elif isinstance(value, str):
        sign, rest = operator(without_lead(value))
        if not sign and metric_name(rest.split(" ")[0]) == name:  # "accuracy below 0.82"
            sign, rest = operator(rest.partition(" ")[2])
        written = rest.strip()
    else:
        sign = ""
    try:
        line = amount(written, about.unit)
    except Wrong as error:
        expected = 'when to alert, such as "below 0.82" or {min: 0.82}'
        if error.what == "is not a number":
            raise Wrong(subject, "is not a threshold", expected) from None
        raise Wrong(subject, error.what, error.expected, error.hint) from None
    said = bare(line) if about.unit != "time" else f'"{amount_text(line, "time")}"'
    if not sign:
        if about.better is None:
            raise Wrong(
                subject, f"has no direction for {name}", f"{{min: {said}}} or {{max: {said}}}"
            )
        sign = "<" if about.better == "higher" else ">"
    below = sign in ("<", "<=")
    if about.better == ("lower" if below else "higher"):
        words, side = ("above", "max") if below else ("below", "min")
        example = f'"{words} {said.strip(chr(34))}" or {{{side}: {said}}}'
        raise Wrong(subject, f"alerts when {name} is good", f"when to alert, such as {example}")
    return Bound(min=line) if below else Bound(max=line)


def bound_document(line: Bound, name: str) -> dict[str, object]:
    """The mapping that `bound` reads as `line`."""
    unit = METRICS.get(name, UNKNOWN).unit
    side, size = ("min", line.min) if line.min is not None else ("max", line.max)
    assert size is not None
    return {side: amount_text(size, unit) if unit == "time" else size}
