"""What one window of one subject comes to, whatever its scope."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from alerting.types import Finding
from detectors.types import Check, Status
from streams.judging.subjects import SubjectKey, source_of
from streams.messages import ResultDocument

LOUD = (Status.DRIFTING, Status.SEVERE)


class Conclusion(NamedTuple):
    """The document that people read, and the problems it shows, in the order in which one explains the next."""

    key: SubjectKey
    end_ms: int
    document: ResultDocument
    findings: tuple[Finding, ...]
    rebaselined: str | None = None  # the source whose episode is over: the present is normal now
    tests: Mapping[str, Check] = {}  # what it says of the parts of compound conditions


def worst(found: Sequence[Status]) -> Status:
    """The worst of what is known; insufficient where nothing is."""
    order = (Status.SEVERE, Status.DRIFTING, Status.STABLE)
    return next((status for status in order if status in found), Status.INSUFFICIENT)


def shows(conclusion: Conclusion, scope: str, source: str) -> bool:
    """Whether a source sees a problem in it."""
    from_source = (f for f in conclusion.findings if source_of(scope, f.kind) == source)
    return any(finding.status in LOUD for finding in from_source)


@dataclass(slots=True)
class Judged:
    """What the metrics want to know; they take it away and begin anew."""

    windows: Counter[tuple[str, str]] = field(default_factory=Counter)  # by model and verdict
    late: Counter[str] = field(default_factory=Counter)  # events by model
    capped: int = 0  # records of subjects beyond the cap
    unreadable_commands: int = 0  # records of `leeway.commands` that name no command
