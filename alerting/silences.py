"""What does somebody not want to hear for a while? Silences: whom they match, how long they hold, when they end."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from alerting.types import Kind, Severity, Subject

LONGEST_MS = 30 * 24 * 60 * 60 * 1000  # contracts §5.5


@dataclass(frozen=True, slots=True)
class Match:
    """What a silence is about; None matches anything.

    `series` is one as results name it (``feature:age``), or a field's name (``age``) for all that is about it.
    """

    version: str | None = None
    segment: str | None = None
    kind: Kind | None = None
    severity: Severity | None = None
    series: str | None = None


@dataclass(frozen=True, slots=True)
class Silence:
    """A person's wish, with an end and a reason: matching news of a model is published, not delivered."""

    id: str
    match: Match
    from_ms: int
    until_ms: int
    by: str
    reason: str


def matching(
    silences: Iterable[Silence],
    subject: Subject,
    kind: Kind,
    severity: Severity,
    series: Sequence[str],
    at_ms: int,
) -> str | None:
    """The id of the first silence that holds at this time and matches; they are those of the subject's model.

    A silence about a series holds while nothing else is affected: what joins it later is heard.

    Examples
    --------
    >>> quiet = Silence("s-1", Match(series="age"), 0, 3_600_000, "ann", "campaign")
    >>> of = Subject("churn", "1"), "data_drift", "warning"
    >>> matching([quiet], *of, ["feature:age", "missing:age"], 0)
    's-1'
    >>> matching([quiet], *of, ["feature:age", "feature:plan"], 0)
    >>> matching([quiet], *of, ["feature:age"], 3_600_000)
    """
    for silence in silences:
        if silence.from_ms <= at_ms < silence.until_ms and _matches(
            silence.match, subject, kind, severity, series
        ):
            return silence.id
    return None


def wrong(silence: Silence, at_ms: int) -> str | None:
    """Why a silence cannot be, in words; None: it can. A silence needs a person, a reason and an end.

    >>> wrong(Silence("s-1", Match(), 0, 31 * 86_400_000, "ann", "campaign"), 0)
    'it lasts longer than 30 days'
    """
    if not silence.by.strip():
        return "nobody asked for it"
    if not silence.reason.strip():
        return "it has no reason"
    if silence.until_ms <= silence.from_ms:
        return "it ends before it begins"
    if silence.until_ms <= at_ms:
        return "it is over already"
    if silence.until_ms - silence.from_ms > LONGEST_MS:
        return "it lasts longer than 30 days"
    return None


def added(silences: Sequence[Silence], silence: Silence) -> tuple[Silence, ...]:
    """With one more, in the order of their ids; one of the same id is replaced."""
    others = (one for one in silences if one.id != silence.id)
    return tuple(sorted((*others, silence), key=lambda one: one.id))


def split(
    silences: Sequence[Silence], at_ms: int
) -> tuple[tuple[Silence, ...], tuple[Silence, ...]]:
    """Those that hold or will hold, and those that are over."""
    held = tuple(one for one in silences if at_ms < one.until_ms)
    return held, tuple(one for one in silences if at_ms >= one.until_ms)


def _matches(
    match: Match, subject: Subject, kind: Kind, severity: Severity, series: Sequence[str]
) -> bool:
    pairs = (
        (match.version, subject.version),
        (match.segment, subject.segment),
        (match.kind, kind),
        (match.severity, severity),
    )
    if any(wanted is not None and wanted != found for wanted, found in pairs):
        return False
    wanted = match.series
    if wanted is None:
        return True
    exact = ":" in wanted
    about = [one if exact else one.partition(":")[2] or one for one in series]
    return bool(about) and all(one == wanted for one in about)
