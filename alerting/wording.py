"""How is a measurement said to a tired person? Short phrases, numbers with their interval, times in UTC."""

import re
from datetime import UTC, datetime, timedelta

from alerting.types import Affected
from alerting.types import Effect as Shown
from detectors.types import Culprit, Effect, SeriesVerdict

TITLE_LIMIT = 150  # of an alert, contracts 5.2
SUMMARY_LIMIT = 1024
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# not strftime's: those depend on the locale
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_RTL = "[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]"
_RUN = re.compile(rf"{_RTL}+(?: +{_RTL}+)*")
EFFECTS = {  # as people know them; the others are called what they are
    "psi": "PSI",
    "auc_shift": "AUC shift",
    "tv": "total variation",
    "js": "Jensen-Shannon",
    "hellinger": "Hellinger",
    "ks_statistic": "KS",
    "wasserstein": "Wasserstein",
    "mean_shift": "mean shift",
    "cramers_v": "Cramér's V",
    "difference": "difference",
}
_MOVED = {
    "location": "its values moved",
    "spread": "its values are spread differently",
    "category": "its categories are mixed differently",
    "unusual": "values other than the usual one appeared",
    "odd": "more invalid or unknown values",
    "missing": "more missing values",
}


def one_line(text: str) -> str:
    """`text` without line breaks and what else cannot be printed: control and formatting characters, half surrogates.

    >>> one_line("one\\n two\\x00three")
    'one two three'
    """
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(text.split())


def clip(text: str, limit: int) -> str:
    """`text` on one line, cut to `limit` characters.

    >>> clip("one two\\nthree", 9)
    'one two …'
    """
    line = one_line(text)
    return line if len(line) <= limit else line[: limit - 1] + "…"


def isolated(text: str, left: str = "\u2068", right: str = "\u2069") -> str:
    """`text` in which a script written from right to left keeps to itself: what stands beside a name stays there [1]_.

    Without it, the number after a Hebrew name is shown before it.

    >>> isolated("\u05d0 \u05d1: 83 %", "<bdi>", "</bdi>")
    '<bdi>\u05d0 \u05d1</bdi>: 83 %'

    References
    ----------
    .. [1] Unicode Standard Annex 9, §2.7: marks for text of unknown direction.
    """
    return text if text.isascii() else _RUN.sub(rf"{left}\g<0>{right}", text)


def number(value: float) -> str:
    """Two decimals, or two digits where that would say nothing.

    >>> number(0.404), number(0.0312), number(-12.5), number(0.0)
    ('0.40', '0.031', '-12.50', '0')
    """
    return f"{value:.2f}" if abs(value) >= 0.0995 else f"{value:.2g}"


def percent(share: float) -> str:
    """Two digits that matter.

    >>> percent(0.83), percent(0.011), percent(1.0)
    ('83 %', '1.1 %', '100 %')
    """
    hundredths = 100 * share
    return f"{hundredths:.0f} %" if hundredths >= 9.95 else f"{hundredths:.2g} %"


def duration(length_ms: int) -> str:
    """The two largest units.

    >>> duration(12_000_000), duration(86_400_000), duration(45_000)
    ('3 h 20 min', '1 d', '45 s')
    """
    seconds = length_ms // 1000
    counts = (
        (seconds // 86400, "d"),
        (seconds // 3600 % 24, "h"),
        (seconds // 60 % 60, "min"),
        (seconds % 60, "s"),
    )
    first = next((i for i, (count, _) in enumerate(counts) if count), 3)
    said = [f"{count} {unit}" for count, unit in counts[first : first + 2] if count]
    return " ".join(said) or "0 s"


def clock(time_ms: int, seen_from_ms: int) -> str:
    """Hour and minute, with the date where it is another one.

    >>> clock(1772430000000, 1772434800000), clock(1772300000000, 1772434800000)
    ('05:40 UTC', '28 Feb 17:33 UTC')
    """
    time, now = (_EPOCH + timedelta(milliseconds=ms) for ms in (time_ms, seen_from_ms))
    said = f"{time:%H:%M} UTC"
    if time.date() != now.date():
        said = f"{time.day} {_MONTHS[time.month - 1]} {said}"
    return said if abs(time.year - now.year) < 2 else f"{time.year} {said}"


def measured(effect: Effect | Shown) -> str:
    """An effect's name and size, as a renderer may want to emphasise it.

    >>> measured(Effect("psi", 0.404, 0.364, 0.451, 0.1))
    'PSI 0.40'
    """
    return f"{measure(effect)} {number(effect.value)}"


def measure(effect: Effect | Shown) -> str:
    """What was measured, as people call it: an effect, or the rule that a limit belongs to."""
    return clip(EFFECTS.get(effect.name, effect.name), 60)


def effect_in_full(effect: Effect | Shown, *, bound: str = "floor") -> str:
    """With interval and floor.

    >>> effect_in_full(Effect("psi", 0.404, 0.364, 0.451, 0.1))
    'PSI 0.40 (0.36 to 0.45, floor 0.1)'
    """
    interval = f"{number(effect.low)} to {number(effect.high)}"
    return f"{measured(effect)} ({interval}, {bound} {effect.floor:g})"


def is_joint(series: str) -> bool:
    """Whether a series is about how inputs go together (`detectors.reference.joint`), not about one of them.

    >>> is_joint("joint"), is_joint("joint:age"), is_joint("feature:joint")
    (True, True, False)
    """
    return series == "joint" or series.startswith("joint:")


def short_name(series: str) -> str:
    """A series as people call it.

    >>> short_name("feature:annual_income"), short_name("missing:home"), short_name("score")
    ('annual_income', 'home', 'score')
    >>> short_name("joint:annual_income"), short_name("joint")
    ('relations of annual_income', 'relations between inputs')
    """
    if is_joint(series):
        name = series.partition(":")[2]
        return clip(f"relations of {name}" if name else "relations between inputs", 48)
    return clip(series.partition(":")[2] or series, 48)


def listed_name(series: str) -> str:
    """A series as one of a list, where a feature and its missing rate may stand side by side.

    >>> listed_name("missing:home")
    'home (missing)'
    """
    return short_name(series) + (" (missing)" if series.startswith("missing:") else "")


def is_limit(series: Affected) -> bool:
    """Whether it broke a rule: its effect is named after that and held against a limit; it has no share of a change."""
    effect = series.effect
    return series.share_of_change == 0 and (effect is None or effect.name not in EFFECTS)


def in_numbers(series: Affected) -> str:
    """What one series contributes, and how large its effect is."""
    share = f"{percent(series.share_of_change)} of the change" if series.share_of_change else ""
    bound = "limit" if is_limit(series) else "floor"
    size = "" if series.effect is None else effect_in_full(series.effect, bound=bound)
    return ", ".join(part for part in (share, size) if part) or "beyond its limit"


def what_moved(culprit: Culprit, seen: SeriesVerdict | None) -> str:
    """What the leading score and the strongest bin say. Bins have numbers: feature values stay out of alerts."""
    if culprit.score == "missing" and seen is not None:
        return (
            f"missing in {percent(seen.missing_current)} of the events, "
            f"{percent(seen.missing_reference)} in the reference"
        )
    if culprit.score in ("odd", "missing", "unusual") or seen is None or not seen.top_bins:
        return _MOVED[culprit.score]
    top = seen.top_bins[0]
    if top.current > top.reference:
        change = "many more" if top.current >= 2 * top.reference else "more"
    else:
        change = "far fewer" if top.current <= top.reference / 2 else "fewer"
    if culprit.score == "category":
        place = f"category {top.bin} of {top.of}"
    else:
        ends = {1: "the lowest bin", top.of: "the highest bin"}
        place = ends.get(top.bin, f"bin {top.bin} of {top.of}")
    return f"{change} values in {place}"
