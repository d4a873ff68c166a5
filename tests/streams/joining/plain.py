"""The join as one would write it down: all predictions and labels at once, no order of reading, no store."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

NEVER = -(2**62)


class Expected(NamedTuple):
    """Outcomes as (id, label time, label, weight), and what became of labels."""

    outcomes: Counter[tuple[str, int, str, int]]
    counts: Counter[str]
    open: int  # predictions without a truth


def join(
    predictions: Sequence[Sequence[dict[str, Any]]],
    labels: Sequence[Sequence[dict[str, Any]]],
    window_ms: int,
    slack_ms: int,
) -> Expected:
    """By partition, in the order of the log."""
    outcomes: Counter[tuple[str, int, str, int]] = Counter()
    counts: Counter[str] = Counter()
    still_open = 0
    for of_predictions, of_labels in zip(predictions, labels, strict=True):
        reached = NEVER
        kept: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        for one in of_predictions:
            time = one["timestamp"]
            mine = kept[one["event_id"]]
            near = any(abs(time - other["time"]) <= window_ms for other in mine)
            if not near and reached <= time + slack_ms:
                mine.append({"time": time, "reached": reached, "labels": []})
            reached = max(reached, time)
        turn = NEVER
        for label in of_labels:
            turn = max(turn, label["timestamp"])
            for one in kept[label["event_id"]]:
                near = abs(label["timestamp"] - one["time"]) <= window_ms
                if near and turn <= one["time"] + window_ms + slack_ms:
                    one["labels"].append((label, turn))
                    break
            else:
                counts["unmatched"] += 1
        for event_id, ones in kept.items():
            for one in ones:
                still_open += not _tell(event_id, one, outcomes, counts)
    return Expected(outcomes, counts, still_open)


def _tell(
    event_id: str,
    one: dict[str, Any],
    outcomes: Counter[tuple[str, int, str, int]],
    counts: Counter[str],
) -> bool:
    truth, first = None, 0
    for label, turn in one["labels"]:
        if label["timestamp"] < one["time"]:
            counts["label_before_prediction"] += 1
            continue
        counts["early"] += one["reached"] >= turn
        said = msgspec.json.encode(label["label"]).decode()
        if truth is None:
            counts["matched"] += 1
            truth, first = said, label["timestamp"]
        elif said == truth:
            counts["duplicate"] += 1
            continue
        else:
            counts["corrected"] += 1
            outcomes[event_id, first, truth, -1] += 1
            truth = said
        outcomes[event_id, first, truth, 1] += 1
    return truth is not None
