"""What do checks know of a file, and what do they find?"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from streams.lifecycle.mistakes import Steps, Wrong, did_you_mean, quoted


@dataclass(frozen=True, slots=True)
class Names:
    """What the file declares, right or wrong, so that one mistake does not cause a second."""

    raw: Any
    features: frozenset[str]
    receivers: frozenset[str] | None  # None: any channel will do
    personal: frozenset[str]

    @classmethod
    def of(cls, raw: Any, receivers: Collection[str] | None) -> "Names":
        """Collect the names of a file's plain data."""
        declared = _at(raw, ("features",))
        watched = _at(raw, ("monitoring", "drift_detection", "data_drift", "features_monitored"))
        pii = _at(raw, ("privacy", "pii"))
        names = declared if isinstance(declared, dict) else watched
        return cls(
            raw,
            frozenset(name for name in names if isinstance(name, str))
            if isinstance(names, dict | list)
            else frozenset(),
            None if receivers is None else frozenset(receivers),
            frozenset(
                name for name in (pii if isinstance(pii, list) else [pii]) if isinstance(name, str)
            ),
        )

    def is_personal(self, path: Steps) -> bool:
        """Whether what stands at `path` may hold values of a PII feature."""
        return len(path) > 2 and path[0] == "features" and path[1] in self.personal

    def written(self, path: Steps) -> Any:
        """What was written at `path`; None where nothing was."""
        return _at(self.raw, path)


def _at(raw: Any, path: Steps) -> Any:
    for step in path:
        if isinstance(raw, dict):
            raw = raw.get(step)
        elif isinstance(raw, list) and isinstance(step, int) and step < len(raw):
            raw = raw[step]
        else:
            return None
    return raw


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two parts that cannot both be meant; `because` are the other parts that were read."""

    path: Steps
    wrong: Wrong
    because: tuple[Steps, ...] = ()


Found = Iterator[Contradiction]


def unknown(name: str, noun: str, known: Iterable[str]) -> Wrong:
    """A name that nobody declared."""
    return Wrong(quoted(name), f"is not a {noun}", "a declared one", did_you_mean(name, known))


def repeated(items: Sequence[str], path: Steps, noun: str) -> Found:
    """Items that are listed twice."""
    for place, item in enumerate(items):
        if item in items[:place]:
            yield Contradiction(
                (*path, place), Wrong(quoted(item), "is listed twice", f"{noun} once")
            )


def with_article(word: str) -> str:
    """`a number`, `an integer`."""
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"
