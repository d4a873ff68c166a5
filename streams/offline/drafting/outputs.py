"""What comes out of the model, which class is positive, and by what are events grouped?"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from streams.lifecycle.paths import UNREADABLE, path_text
from streams.offline.drafting.facts import Facts, Path, text_of
from streams.offline.drafting.inputs import Feature
from streams.offline.drafting.shape import Shape
from streams.offline.drafting.words import POSITIVE, SEGMENTS, plain

__all__ = ["Output", "Segment", "output_of", "segments_of"]

_MOST_CLASSES = 50  # texts that are outputs; more are no classes
_MOST_WHOLE_CLASSES = 20
_MOST_SEGMENTS = 3  # that are proposed: each is watched by itself, out of one budget
_MOST_VALUES, _LEAST_SHARE = 20, 0.02  # of a segment


@dataclass(frozen=True, slots=True)
class Output:
    """What comes out of the model. No classes: a number (`numeric`), or nobody knows."""

    target: str | None = None
    classes: tuple[str, ...] = ()
    positive: str | None = None
    why: str = ""
    numeric: bool = False
    score_range: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """A grouping that is proposed; `path` None: the tag of that name."""

    name: str
    path: str | None
    values: int


def output_of(
    fields: Mapping[str, Path],
    known: Mapping[Path, Facts],
    truth: Mapping[str, Path],
    truth_known: Mapping[Path, Facts],
) -> Output:
    """What comes out, by what was predicted and what turned out to be true.

    Parameters
    ----------
    fields, known : where fields are, and what is known of each place
    truth, truth_known : the same of labels
    """
    said = known.get(fields["prediction"]) if "prediction" in fields else None
    score = known.get(fields["score"]) if "score" in fields else None
    label = truth_known.get(truth["label"]) if "label" in truth else None
    target = label.name if label is not None and plain(label.name) != "label" else None
    bounds = None
    if score is not None and not (score.low >= 0 and score.high <= 1) and score.low < score.high:
        bounds = (score.low, score.high)
    first = said or label
    if first is None:
        return Output(target, score_range=bounds)
    most = _MOST_CLASSES if first.type in ("text", "boolean") else _MOST_WHOLE_CLASSES
    classes = set(first.distinct or ())
    if label is not None and label.type == first.type:
        classes |= set(label.distinct or ())
    if first.type == "number" or (first.type == "integer" and len(classes) > most):
        return Output(target, numeric=True, score_range=bounds)
    if not classes or len(classes) > most or any(len(text) > 256 for text in classes):
        return Output(target, score_range=bounds)
    positive, why = _positive(classes, said, score)
    return Output(target, tuple(sorted(classes)), positive, why, score_range=bounds)


def _positive(classes: set[str], said: Facts | None, score: Facts | None) -> tuple[str | None, str]:
    """The class that a high score speaks for; else the one that is called so; else the rarer one."""
    if len(classes) != 2:
        return None, ""
    if said is not None and score is not None:
        sums: dict[str, list[float]] = {}
        for value, number in zip(said.values, score.values, strict=True):
            if value is not None and isinstance(number, int | float):
                sums.setdefault(text_of(value), []).append(float(number))
        means = {text: sum(found) / len(found) for text, found in sums.items() if found}
        if len(means) == 2 and max(means.values()) > min(means.values()):
            return max(
                means, key=lambda text: means[text]
            ), "guessed: its scores are the higher ones"
    named = [text for text in sorted(classes) if text.lower() in POSITIVE]
    if len(named) == 1:
        return named[0], "guessed by its name"
    counts = (said.distinct if said is not None else None) or Counter()
    if len({counts.get(text, 0) for text in classes}) == 2:
        return min(classes, key=lambda text: (counts.get(text, 0), text)), "guessed: the rarer one"
    return None, ""


def segments_of(
    shape: Shape, known: Mapping[Path, Facts], held: Sequence[Feature], *, table: bool
) -> tuple[Segment, ...]:
    """Groupings by tags, and by features and columns that are called like one."""
    personal = {one.facts.path for one in held if one.personal}
    inputs = {one.facts.path for one in held}
    found = []
    for path in (*shape.others, *shape.inputs):
        one = known[path]
        tag = shape.tags is not None and path[: len(shape.tags)] == shape.tags
        if (
            not (tag or plain(path[-1]) in SEGMENTS)
            or path in personal
            or path[-1] == "all"
            or UNREADABLE.search(path[-1])
        ):
            continue
        distinct = one.distinct or Counter()
        if one.type not in ("text", "boolean") or not 2 <= len(distinct) <= _MOST_VALUES:
            continue
        if max(distinct.values()) < _LEAST_SHARE * one.rows or any(len(v) > 64 for v in distinct):
            continue
        if table and path not in inputs and path in shape.fields.values():
            continue
        own = table or (tag and path[:-1] == shape.tags)
        found.append((not tag, Segment(path[-1], None if own else path_text(path), len(distinct))))
    unique = {one.name: one for _, one in reversed(found)}
    ordered = [one for _, one in sorted(found, key=lambda each: each[0]) if unique[one.name] is one]
    return tuple(ordered[:_MOST_SEGMENTS])
