"""Has a broken rule been broken for long enough? Every rule waits for itself; what is still waiting is not calm."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from alerting.checks import Check, from_checks, persisted
from alerting.settings import Persistence
from alerting.types import Kind
from detectors.types import Status, Window

USUAL = Persistence()
_LOUD = (Status.DRIFTING, Status.SEVERE)
Violated = dict[str, tuple[int, ...]]  # by kind and rule: ends of the windows that broke it


def patient(
    kind: Kind,
    checks: Iterable[Check],
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
    found, moved = [], False
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
            check = replace(check, status=Status.STABLE, calm=False)
        found.append(check)
    return found, moved
