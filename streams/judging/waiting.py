"""Has a broken rule been broken for long enough? Every rule waits for itself; what is still waiting is not calm."""

from collections.abc import Mapping, Sequence

from alerting.checks import from_checks, in_words, persisted
from alerting.settings import Persistence
from alerting.types import Kind
from detectors.types import Check, Status, Window

USUAL = Persistence()
_LOUD = (Status.DRIFTING, Status.SEVERE)
_WELL = Check("", "", Status.STABLE, True, None, None, None, None, 0)
Violated = dict[str, tuple[int, ...]]  # by kind and rule: ends of the windows that broke it


def called(check: Check, metric: str) -> Check:
    """A check that people read as one of the metric, whatever its rule is called."""
    if check.rule == metric or check.said is not None:
        return check
    return check._replace(said=in_words(check._replace(rule=metric)))


def patient(
    kind: Kind,
    checks: Sequence[Check],
    violated: Violated,
    window: Window,
    rules: Mapping[str, Persistence] | None = None,
) -> tuple[list[Check], bool]:
    """The checks of one kind, those that broke their rule too recently as if they had not; whether `violated` changed.

    Parameters
    ----------
    violated : what is remembered; changed in place
    rules : how long a rule waits, by name; the usual is two windows of three
    """
    found, moved = [], _age(kind, checks, violated, window, rules or {})
    for check in checks:
        key = f"{kind}/{check.rule}"
        before = violated.get(key, ())
        if not before and check.status not in _LOUD:
            found.append(check)
            continue
        alone = from_checks(kind, [check], window.start_ms, window.end_ms)
        wait = (rules or {}).get(check.rule, USUAL)
        length = window.end_ms - window.start_ms
        after, heard = persisted(wait, before, alone, window.end_ms, length)
        if after != before:
            moved = True
            violated[key] = after
            if not after:
                del violated[key]
        if heard.status != alone.status:
            check = check._replace(status=Status.STABLE, calm=False)
        found.append(check)
    return found, moved


def _age(
    kind: Kind,
    checks: Sequence[Check],
    violated: Violated,
    window: Window,
    rules: Mapping[str, Persistence],
) -> bool:
    """Rules that are not named any more are well; whether anything changed by that."""
    named, moved = {f"{kind}/{check.rule}" for check in checks}, False
    for key in [key for key in violated if key.startswith(f"{kind}/") and key not in named]:
        wait = rules.get(key.removeprefix(f"{kind}/"), USUAL)
        well = from_checks(kind, [_WELL], window.start_ms, window.end_ms)
        length = window.end_ms - window.start_ms
        after, _ = persisted(wait, violated[key], well, window.end_ms, length)
        moved = moved or after != violated[key]
        violated[key] = after
        if not after:
            del violated[key]
    return moved
