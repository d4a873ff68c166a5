"""How are numbers and times put so that a person reads them at a glance?"""

from datetime import UTC, datetime, timedelta

from alerting.wording import EFFECTS
from detectors.types import Reason
from streams.views.documents import Effect

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# on a page there is less room than in a message
_EFFECTS = EFFECTS | {"tv": "TV"}
_REASONS = {reason.value: reason.explanation for reason in Reason}
_SMALLEST_P = 1e-16  # below this a p-value says nothing more


def words(name: str) -> str:
    """
    >>> words("data_drift")
    'data drift'
    """
    return name.replace("_", " ")


def clock(ms: int, *, short: bool = False) -> str:
    """
    >>> clock(1772434800000), clock(1772434800000, short=True)
    ('2026-03-02 07:00 UTC', '03-02 07:00')
    """
    moment = _EPOCH + timedelta(milliseconds=ms)
    return moment.strftime("%m-%d %H:%M" if short else "%Y-%m-%d %H:%M UTC")


def ago(elapsed_ms: int) -> str:
    """
    >>> [ago(ms) for ms in (900, 90_000, 7_200_000, 260_000_000)]
    ['just now', '1 min ago', '2 h ago', '3 d ago']
    """
    for unit, ms in (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000)):
        if elapsed_ms >= ms:
            return f"{elapsed_ms // ms} {unit} ago"
    return "just now"


def number(value: float) -> str:
    """
    >>> [number(value) for value in (50000, 8791.5, 0.4042, 12.3456, 0.02, -0.0311)]
    ['50,000', '8,792', '0.404', '12.3', '0.02', '-0.0311']
    """
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def roughly(count: int) -> str:
    """A count where there is little room.

    >>> [roughly(count) for count in (7, 9999, 12_345, 4_200_000)]
    ['7', '9,999', '12k', '4.2M']
    """
    if count < 10_000:
        return f"{count:,}"
    return f"{count // 1000}k" if count < 1_000_000 else f"{count / 1_000_000:.3g}M"


def percent(share: float) -> str:
    r"""
    >>> [percent(share) for share in (0.0, 0.0004, 0.016, 0.355, 1.0)]
    ['0\xa0%', '0.04\xa0%', '1.6\xa0%', '35.5\xa0%', '100\xa0%']
    """
    digits = 3 if abs(share) >= 0.1 else 2
    return f"{100 * share:.{digits}g}\N{NO-BREAK SPACE}%"


def times(ratio: float) -> str:
    r"""
    >>> [times(ratio) for ratio in (0.0, 0.09, 1.0, 2.67, 2200.4)]
    ['0\xa0%', '9\xa0%', '1\xa0×', '2.7\xa0×', '2,200\xa0×']
    """
    if ratio < 1:
        return percent(ratio)
    return f"{ratio:.2g}\N{NO-BREAK SPACE}×" if ratio < 10 else f"{ratio:,.0f}\N{NO-BREAK SPACE}×"


def sentence(text: str) -> str:
    """
    >>> sentence("nothing surprising")
    'Nothing surprising.'
    """
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def p_value(p: float | None) -> str:
    """
    >>> [p_value(p) for p in (None, 1e-300, 0.00004, 0.042)]
    ['–', '< 1e-16', '4.0e-05', '0.042']
    """
    if p is None:
        return "–"
    if p < _SMALLEST_P:
        return "< 1e-16"
    return f"{p:.1e}" if p < 0.001 else f"{p:.2g}"


def effect(shown: Effect) -> str:
    """An effect with its interval.

    >>> effect(Effect(name="psi", value=0.404, low=0.364, high=0.451, floor=0.1))
    'PSI 0.404 (0.364 to 0.451)'
    """
    name = _EFFECTS.get(shown.name, words(shown.name))
    return f"{name} {number(shown.value)} ({number(shown.low)} to {number(shown.high)})"


def explained(reason: str) -> str:
    """The sentence of a reason; the word itself where a later release says something new.

    >>> explained("quiet"), explained("new_reason")
    ('nothing surprising', 'new reason')
    """
    return _REASONS.get(reason, words(reason))
