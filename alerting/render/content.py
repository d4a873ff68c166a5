"""What does every message about an alert say, whatever channel it takes? The same few facts, found once."""

import shlex
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from alerting.types import Affected, Alert, CauseClass
from alerting.types import Effect as Shown
from alerting.wording import (
    clip,
    clock,
    duration,
    in_numbers,
    is_limit,
    listed_name,
    measure,
    number,
    one_line,
    percent,
)

MOST_SERIES = 10
MOST_PICTURES = 3
ADDRESS_LIMIT = 600  # octets; a longer one is left out: one that was cut would lead nowhere
SILENCE_FOR = "4h"
CAUSES: dict[CauseClass, str] = {
    "pipeline_break": "the data look broken on their way here, not the world",
    "input_shift": "the inputs changed while the data look intact",
    "prediction_shift": "the model answers differently",
    "label_shift": "the truth itself is mixed differently",
    "relation_change": "the same inputs lead to other outcomes now",
    "unknown": "not known",
}
_NAME, _HINT, _SEGMENT = 70, 200, 100
_TYPED = 300  # octets
_MISSING = 0.02  # the smallest difference of a proportion that matters, statistics 3.6
_SCALED = 100.0  # a factor beyond it says nothing more
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Row:
    """Two bars that are compared, as lengths and in words."""

    label: str
    before: float
    current: float
    said: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Picture:
    """Bars of one series: `before` names what the window is compared with."""

    name: str
    before: str
    rows: tuple[Row, ...]

    @property
    def longest(self) -> float:
        """What a bar of full length stands for."""
        return max((max(row.before, row.current) for row in self.rows), default=0.0)


def is_over(alert: Alert) -> bool:
    return alert.change == "resolved"


def stands(alert: Alert) -> str:
    """The news in one or two words, for a subject or a badge."""
    if is_over(alert):
        return "resolved"
    if alert.change == "opened" and alert.reopened:
        return f"{alert.severity}, back again"
    said = {"acknowledged": "acknowledged", "repeated": f"{alert.severity}, still open"}
    return said.get(alert.change, alert.severity)


def kind_of(alert: Alert) -> str:
    """``severe data drift``; of what is over, how bad it was does not matter."""
    kind = alert.kind.replace("_", " ")
    return kind if is_over(alert) else f"{alert.verdict.value} {kind}"


def how_bad(alert: Alert) -> str:
    """The leading effect with its interval, and in words how far beyond what matters it is."""
    first = _leading(alert)
    if first is None:
        return ""
    said = in_numbers(replace(first, share_of_change=0.0))
    return "; ".join(part for part in (said, size(alert)) if part)


def size(alert: Alert) -> str:
    """`size_in_words` of the leading effect; nothing where there is none."""
    first = _leading(alert)
    if first is None or first.effect is None:
        return ""
    return size_in_words(first.effect, limit=is_limit(first))


def _leading(alert: Alert) -> Affected | None:
    return next((one for one in alert.affected if one.effect is not None), None)


def size_in_words(effect: Shown, *, limit: bool) -> str:
    """How far an effect is beyond the smallest size that matters, or a measurement beyond its limit.

    >>> size_in_words(Shown("psi", 0.404, 0.364, 0.451, 0.1), limit=False)
    '4 times the smallest size that matters'
    >>> size_in_words(Shown("recall", 0.534, 0.497, 0.571, 0.62), limit=True)
    '14 % below its limit'
    >>> size_in_words(Shown("latency_p99", 312, 290, 330, 200), limit=True)
    '1.6 times its limit'
    """
    size, floor = abs(effect.value), effect.floor
    if not floor > 0:
        return ""
    if limit and effect.value <= 0:
        return ""
    what = "its limit" if limit else "the smallest size that matters"
    if size < floor:
        return f"{percent(1 - size / floor)} below {what}"
    factor = size / floor
    if factor < 1.095:
        return f"just beyond {what}"
    if factor > _SCALED:
        return f"more than {_SCALED:.0f} times {what}"
    return f"{f'{factor:.1f}'.removesuffix('.0')} times {what}"


def since(alert: Alert) -> str:
    """When it began, how sure that is, and how long ago; of an episode that is over, how long it lasted."""
    at_ms = _ms(alert.at)
    if is_over(alert):
        lasted = duration(max(0, _ms(alert.resolved_at or alert.at) - _ms(alert.opened_at)))
        return f"opened {clock(_ms(alert.opened_at), at_ms)}, lasted {lasted}"
    if alert.since is None:
        return f"opened {clock(_ms(alert.opened_at), at_ms)}"
    begun, earliest, latest = (
        _ms(time) for time in (alert.since.estimate, alert.since.earliest, alert.since.latest)
    )
    lasted = duration(max(0, at_ms - begun))
    between = f"{clock(earliest, at_ms).removesuffix(' UTC')} to {clock(latest, at_ms)}"
    return f"about {clock(begun, at_ms)} ({between}), {lasted} so far"


def where(alert: Alert) -> str:
    """Which slice, and in which others the same is seen."""
    own = "all events" if alert.segment == "all" else clip(alert.segment, _SEGMENT)
    others = [clip(name, _SEGMENT) for name in alert.also_in[:MOST_SERIES]]
    more = len(alert.also_in) - len(others)
    if not others:
        return own
    return f"{own}, also in {', '.join(others)}" + (f" and {more} more" if more > 0 else "")


def seen(alert: Alert) -> str:
    """How much it rests on."""
    against = alert.evidence.n_reference
    tail = "events" if against is None else f"against {against:,} in the reference"
    return f"{alert.evidence.n_current:,} {tail}"


def cause(alert: Alert) -> str:
    """The class in words."""
    return CAUSES[alert.cause["class"]]


def hints(alert: Alert) -> tuple[str, ...]:
    """What speaks for the cause."""
    return tuple(clip(hint, _HINT) for hint in alert.cause["hints"][:5])


def cost(alert: Alert) -> str | None:
    """What it costs, as far as labels tell.

    The document says ``{"amount": 19800, "unit": "EUR", "per": 1000}``.
    """
    amount = None if alert.cost is None else alert.cost.get("amount")
    if alert.cost is None or not isinstance(amount, int | float):
        return None
    more = "more" if amount >= 0 else "less"
    per = alert.cost.get("per", 1000)
    unit = clip(str(alert.cost.get("unit", "")), 20)
    many = f"{per:,.0f}" if isinstance(per, int | float) else clip(per, 20)
    size = f"{abs(amount):,.0f}" if abs(amount) >= 100 else number(abs(amount))
    return f"about {size} {unit} {more} per {many} predictions".replace("  ", " ")


def lines(alert: Alert) -> tuple[list[tuple[str, str]], int]:
    """Name and numbers of the leading series, and how many more there are."""
    shown = [
        (clip(listed_name(one.series), _NAME), in_numbers(one))
        for one in alert.affected[:MOST_SERIES]
    ]
    return shown, max(0, alert.affected_total - len(shown))


def pictures(alert: Alert) -> tuple[Picture, ...]:
    """Reference beside current for the leading series, bin by bin; bins have numbers, never values."""
    found = (picture(one) for one in alert.affected[:MOST_SERIES])
    return tuple(one for one in found if one is not None)[:MOST_PICTURES]


def picture(series: Affected) -> Picture | None:
    name = clip(listed_name(series.series), _NAME)
    effect = series.effect
    if is_limit(series):
        if effect is None or effect.value < 0 or effect.floor <= 0:
            return None
        said = (number(effect.floor), number(effect.value))
        row = Row(measure(effect), effect.floor, effect.value, said)
        return Picture(name, "limit", (row,))
    rows = [
        _shares(f"bin {one.bin} of {one.of}", one.reference, one.current) for one in series.top_bins
    ]
    gone = series.missing
    if gone is not None and abs(gone.current - gone.reference) >= _MISSING:
        rows.append(_shares("missing", gone.reference, gone.current))
    return Picture(name, "reference", tuple(rows)) if rows else None


def commands(alert: Alert) -> tuple[tuple[str, str], ...]:
    """What to type: each with what it does. Of what is over, nothing."""
    if is_over(alert):
        return ()
    found = []
    if alert.status == "open":
        found.append(("Acknowledge", f"leeway ack {alert.episode_id}"))
    if named_exactly(alert.segment):
        quiet = f"leeway silence {alert.model.id} --kind {alert.kind}"
        if alert.segment != "all":
            quiet += f" --segment {shlex.quote(alert.segment)}"
        found.append(("Silence", f'{quiet} --for {SILENCE_FOR} --reason "being looked at"'))
    return tuple(found)


def named_exactly(segment: str) -> bool:
    """Whether a segment can stand in a command: cut or cleaned, it would be the name of another one."""
    return segment == one_line(segment) and len(segment.encode()) <= _TYPED


def address(text: str | None) -> str | None:
    """A link to the web, written so that no reader of any markup takes it for more; None if it is none.

    >>> address("https://wiki.example/a|b c"), address("javascript:x"), address("runbooks/x.md")
    ('https://wiki.example/a%7Cb%20c', None, None)
    """
    line = one_line(text or "")
    if not line.startswith(("https://", "http://")) or line.endswith("//"):
        return None
    written = "".join(
        c if c.isascii() and c not in " <>\"\\^`{|}'" else "".join(f"%{b:02X}" for b in c.encode())
        for c in line
    )
    return written if len(written) <= ADDRESS_LIMIT else None


def links(alert: Alert) -> tuple[tuple[str, str], ...]:
    """Runbook and console, where they are addresses."""
    both = (("Runbook", address(alert.links.runbook)), ("Console", address(alert.links.console)))
    return tuple((name, found) for name, found in both if found is not None)


def runbook(alert: Alert) -> str | None:
    """The runbook where it is none on the web: a name or a path."""
    said = alert.links.runbook
    return None if said is None or address(said) else clip(said, 150) or None


def _shares(label: str, before: float, current: float) -> Row:
    return Row(label, before, current, (percent(before), percent(current)))


def _ms(time: str) -> int:
    return (datetime.fromisoformat(time) - _EPOCH) // _MILLISECOND
