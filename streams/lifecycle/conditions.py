"""What does a written condition mean? (contracts 2.2)

A condition is tests joined by ``and``, then perhaps ``for 10m`` or ``for 2 of 3 windows``. It is data:
nothing is evaluated here.
"""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from streams.lifecycle.grammar import (
    Persistence,
    fold,
    human,
    longer_than_nothing,
    persistence,
)
from streams.lifecycle.metrics import (
    METRICS,
    UNKNOWN,
    Unit,
    amount,
    metric,
    metric_name,
    operator,
    without_lead,
)
from streams.lifecycle.mistakes import Wrong, bare, quoted, shown

KINDS = (
    "data_drift",
    "prediction_drift",
    "concept_drift",
    "performance",
    "data_quality",
    "label_health",
    "operational",
    "pipeline",
    "version_regression",
)
Level = Literal["drifting", "severe"]
DRIFT_THRESHOLD = "drift"  # "drift threshold exceeded": the one kind word that stands for three
EXAMPLE = 'a condition such as "data drift detected" or "accuracy < 0.82"'


@dataclass(frozen=True, slots=True)
class KindTest:
    """An episode of `kind` is open at `level` or worse.

    `kind` is one of `KINDS`, or ``drift`` for "drift threshold exceeded": severe data drift, or any concept drift or
    performance episode. `holds` knows this, so callers need not.
    """

    kind: str
    level: Level = "drifting"

    def holds(self, kind: str, *, severe: bool) -> bool:
        """Whether an open episode of `kind` satisfies this test."""
        if self.kind == DRIFT_THRESHOLD:
            return kind in ("concept_drift", "performance") or (kind == "data_drift" and severe)
        return kind == self.kind and (severe or self.level == "drifting")

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds whose episodes can satisfy it."""
        if self.kind == DRIFT_THRESHOLD:
            return ("data_drift", "concept_drift", "performance")
        return (self.kind,)

    def __str__(self) -> str:
        if self.kind == DRIFT_THRESHOLD:
            return "drift threshold exceeded"
        severe = "severe " if self.level == "severe" else ""
        return severe + self.kind.replace("_", " ")


@dataclass(frozen=True, slots=True)
class Value:
    """A number (times in ms), or `baseline` or `current` with an offset."""

    amount: float
    base: Literal["number", "baseline", "current"] = "number"
    unit: Literal["", "ms", "points", "%"] = ""  # of the amount; points are 0.01, % is relative

    def __str__(self) -> str:
        if self.base == "number":
            return bare(self.amount) + self.unit
        if not self.amount:
            return self.base
        size = abs(self.amount)
        size = round(size * 100, 10) if self.unit in ("points", "%") else size
        sign = "-" if self.amount < 0 else "+"
        unit = f" {self.unit}" if self.unit == "points" else self.unit
        return f"{self.base} {sign} {bare(size)}{unit}"


@dataclass(frozen=True, slots=True)
class MetricTest:
    """A metric, or the mean of a feature, against a value."""

    metric: str
    op: str  # < > <= >=
    value: Value

    def __str__(self) -> str:
        return f"{self.metric} {self.op} {self.value}"


STATISTICS = (
    "psi",
    "js",
    "ks",
    "wasserstein",
    "missing",
    "unseen",
    "invalid",
    "out_of_range",
    "stale",
)
SHARES = ("missing", "unseen", "invalid", "out_of_range", "stale")
SIZES = ("psi", "js", "ks", "wasserstein")  # how much a feature changed


@dataclass(frozen=True, slots=True)
class SeriesTest:
    """One statistic of one feature (or `prediction`, `score`) against a number."""

    statistic: str
    feature: str
    op: str
    value: float

    def __str__(self) -> str:
        return f"{self.statistic}({self.feature}) {self.op} {bare(self.value)}"


@dataclass(frozen=True, slots=True)
class SilenceTest:
    """No prediction for this long."""

    time: timedelta

    def __str__(self) -> str:
        return f"no predictions for {human(self.time)}"


@dataclass(frozen=True, slots=True)
class WordTest:
    """``all gates pass``, ``always`` or ``never``: for the approval process only."""

    word: str

    def __str__(self) -> str:
        return self.word


Test = KindTest | MetricTest | SeriesTest | SilenceTest | WordTest
_APPROVAL_WORDS = ("all gates pass", "always", "never")


@dataclass(frozen=True, slots=True)
class Condition:
    """Tests that must all hold, for `persistence` if that is given."""

    tests: tuple[Test, ...]
    persistence: Persistence | None = None

    def __str__(self) -> str:
        text = " and ".join(map(str, self.tests))
        return f"{text} for {self.persistence}" if self.persistence else text


def condition(
    value: object, features: frozenset[str] | None = None, *, approval: bool = False
) -> Condition:
    """Read a condition.

    Parameters
    ----------
    value
        As written.
    features
        The declared features, which may stand in for a metric; None accepts any name.
    approval
        Also accept ``all gates pass``, ``always`` and ``never``.

    Raises
    ------
    Wrong
        Quotes the first word that cannot be read.

    Examples
    --------
    >>> str(condition("Alert if Recall drops below 62% for 2 of 3 windows"))
    'recall < 0.62 for 2 of 3 windows'
    """
    if isinstance(value, Condition):
        return value
    if not isinstance(value, str) or not value.strip():
        raise Wrong(
            shown(value) if value else "", "is not a condition" if value else "is empty", EXAMPLE
        )
    clauses = _clauses(without_lead(value), value)
    clauses[-1], lasting = _lasting(clauses[-1], value)
    tests = tuple(_test(clause, value, features, approval) for clause in clauses)
    if len(set(tests)) != len(tests):
        raise Wrong(quoted(value), "has the same test twice", "each test once")
    return Condition(tests, lasting)


_CALL = re.compile(r"\s*([A-Za-z_ -]+?)\s*\(((?:[^()]|\([^()]*\))*)\)\s*(.*)", re.S)


def _clauses(text: str, whole: str) -> list[str]:
    """Split at ``and`` outside parentheses."""
    clauses, start, depth = [], 0, 0
    for found in re.finditer(r"[()]|\b(?:and|or)\b", text, re.I):
        token = found[0].lower()
        if token in "()":
            depth += 1 if token == "(" else -1
        elif depth == 0 and token == "or":
            raise Wrong(
                '"or"',
                f"joins two conditions in {quoted(whole)}",
                "one condition",
                "write two entries",
            )
        elif depth == 0:
            clauses.append(text[start : found.start()].strip())
            start = found.end()
    clauses.append(text[start:].strip())
    if not all(clauses):
        raise Wrong('"and"', f"joins nothing in {quoted(whole)}", "a test on both sides")
    return clauses


def _lasting(clause: str, whole: str) -> tuple[str, Persistence | None]:
    """The last clause without its ``for …``, and what that says."""
    found = re.fullmatch(r"(.*\S)\s+for\s+(\S.*)", clause, re.I | re.S)
    if found is None or fold(found[1]) == "no predictions":
        return clause, None
    try:
        return found[1], persistence(found[2])
    except Wrong as error:
        hint = error.hint
        raise Wrong(
            quoted("for " + found[2]), f"in {quoted(whole)} {error.what}", error.expected, hint
        ) from None


def _test(clause: str, whole: str, features: frozenset[str] | None, approval: bool) -> Test:
    call = _CALL.fullmatch(clause)
    if call and metric_name(clause[: call.start(3)]) is None:
        return _series_test(call[1], call[2].strip(), call[3], whole)
    words = fold(clause)
    if approval and words in _APPROVAL_WORDS:
        return WordTest(words)
    if words in _APPROVAL_WORDS:
        raise Wrong(quoted(clause), "belongs to the approval process", EXAMPLE)
    if words.startswith("no predictions"):
        return _silence_test(words.removeprefix("no predictions").strip(), whole)
    kind = _kind_test(words, clause, whole)
    if kind is not None:
        return kind
    for start in range(len(clause)):
        if start and not (clause[start - 1].isspace() or clause[start] in "<>≤≥"):
            continue
        sign, rest = operator(clause[start:])
        if sign:
            return _metric_test(clause[:start].strip(), sign, rest.strip(), whole, features)
    raise _unreadable(_leftover(clause), whole)


def _unreadable(word: str, whole: str) -> Wrong:
    return Wrong("cannot read", f"{quoted(word)} in {quoted(whole)}", EXAMPLE)


def _leftover(clause: str) -> str:
    """The first word that no known beginning explains."""
    words = clause.split()
    for count in range(len(words), 0, -1):
        lead = " ".join(words[:count])
        if (
            metric_name(lead)
            or fold(lead).removeprefix("severe ") in _KIND_WORDS
            or fold(lead) == "severe"
        ):
            return words[count] if count < len(words) else words[-1]
    return words[0]


_KIND_WORDS = {fold(kind): kind for kind in KINDS} | {"performance degradation": "performance"}
_KIND_TAILS = ("detected", "is detected", "below threshold", "exceeded")


def _kind_test(words: str, clause: str, whole: str) -> KindTest | None:
    if words in ("drift threshold exceeded", "drift threshold is exceeded"):
        return KindTest(DRIFT_THRESHOLD, "severe")
    if words in ("drift", "drift detected", "severe drift", "severe drift detected"):
        raise Wrong(
            quoted(clause),
            "may be data drift, prediction drift or concept drift",
            "one of them, such as data drift detected",
        )
    level: Level = "severe" if words.startswith("severe ") else "drifting"
    words = words.removeprefix("severe ")
    for name, kind in _KIND_WORDS.items():
        tail = words.removeprefix(name).strip()
        if words.startswith(name) and (
            not tail
            or tail == "detected"
            or tail == "is detected"
            or (tail, kind) == ("below threshold", "performance")
        ):
            return KindTest(kind, level)
    return None


def _silence_test(rest: str, whole: str) -> SilenceTest:
    if not rest.startswith("for "):
        raise Wrong(quoted(whole), "does not say for how long", "no predictions for 15m")
    try:
        return SilenceTest(longer_than_nothing(rest.removeprefix("for ")))
    except Wrong as error:
        raise Wrong(error.subject, f"in {quoted(whole)} {error.what}", error.expected) from None


def _series_test(name: str, feature: str, rest: str, whole: str) -> SeriesTest:
    statistic = fold(name).replace(" ", "_")
    if statistic not in STATISTICS:
        raise Wrong(
            "cannot read",
            f"{quoted(name)} in {quoted(whole)}",
            "psi, js, ks, wasserstein, missing, unseen, invalid, out_of_range or stale before the parenthesis",
        )
    if not feature:
        raise Wrong(quoted(whole), "names no feature", f"{name}(FEATURE) > VALUE")
    sign, written = operator(rest)
    if not sign:
        raise (
            _unreadable(rest.split()[0], whole)
            if rest
            else Wrong(quoted(whole), "compares with nothing", f"{name}({feature}) > VALUE")
        )
    unit: Unit = "share" if statistic in SHARES else "number"
    return SeriesTest(statistic, feature, sign, _number(written.strip(), unit, whole))


def _metric_test(
    left: str, sign: str, right: str, whole: str, features: frozenset[str] | None
) -> MetricTest:
    if not left:
        raise Wrong(quoted(whole), "compares nothing", EXAMPLE)
    name = metric_name(left)
    if name is None and (features is not None and left in features):
        name = left
    if name is None:
        words = left.split()
        if fold(words[0]).replace(" ", "_") in STATISTICS:
            wanted = f"{words[0]}(FEATURE) {sign} {right}"
            raise Wrong(quoted(whole), "has no feature in parentheses", wanted)
        if len(words) > 1:  # "model accuracy": one word too many
            raise _unreadable(next((w for w in words if metric_name(w) is None), words[0]), whole)
        name = metric(left, features)
    unit = METRICS.get(name, UNKNOWN).unit
    if not right:
        raise Wrong(quoted(whole), "compares with nothing", EXAMPLE)
    return MetricTest(name, sign, value(right, unit, whole))


_BASE = re.compile(r"(baseline|current)\b\s*(?:([+\-±−])\s*(\S.*))?", re.I)
_OFFSET = re.compile(r"(\d{1,20}(?:\.\d{1,20})?)\s*(%|pp|percentage points?|points?|)", re.I)


def value(text: object, unit: Unit, whole: str = "") -> Value:
    """A number, a time, or ``baseline`` or ``current`` with ``- 2 points``, ``+ 5%`` or ``+ 20 ms``."""
    whole = whole or (text if isinstance(text, str) else "")
    if isinstance(text, Value):
        return text
    found = _BASE.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None:
        size = _number(text, unit, whole)
        return Value(size, unit="ms" if unit == "time" else "")
    base: Literal["baseline", "current"] = (
        "baseline" if found[1].lower() == "baseline" else "current"
    )
    sign, offset = found[2], found[3]
    if not sign:
        return Value(0.0, base)
    if sign == "±":
        raise Wrong(
            quoted(whole), "may be above or below", f"{base} - {offset} or {base} + {offset}"
        )
    direction = 1 if sign == "+" else -1
    size_unit = _OFFSET.fullmatch(offset.strip())
    if size_unit is None or (not size_unit[2] and unit == "share"):
        if unit == "time":
            return Value(direction * amount(offset, "time"), base, "ms")
        if size_unit is None:
            raise _unreadable(offset, whole)
        raise Wrong(
            quoted(whole),
            "may be relative or absolute",
            f'"{offset}%" or "{offset} {"point" if offset == "1" else "points"}" after {base}',
        )
    if size_unit[2] == "%":
        return Value(direction * round(float(size_unit[1]) / 100, 12), base, "%")
    if unit == "time":
        raise Wrong(quoted(whole), "has no time unit", f"{base} {sign} 20 ms or {base} {sign} 5%")
    if size_unit[2]:
        return Value(direction * round(float(size_unit[1]) / 100, 12), base, "points")
    return Value(direction * float(size_unit[1]), base)


def _number(text: object, unit: Unit, whole: str) -> float:
    try:
        return amount(text, unit)
    except Wrong as error:
        if error.what == "is not a number" and isinstance(text, str) and text.split():
            words = text.split()
            raise _unreadable(words[-1] if len(words) > 1 else words[0], whole) from None
        what = f"in {quoted(whole)} {error.what}" if whole and whole != text else error.what
        raise Wrong(error.subject, what, error.expected, error.hint) from None
