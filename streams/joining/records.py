"""What is known under one event id, and what a prediction or a label changes about it.

The fold of one id. It does not matter in which order predictions and labels are read, as long as each of the two comes
in the order of its partition: the same outcomes are written, and the same is counted in the end. So nothing here asks
what has been read by now, only what the two partitions say:

* Of several predictions within the horizon of each other the first in the partition wins; a later one is a repeat.
* A label belongs to the first prediction that is not further away from it than the horizon. Is the prediction the
  later of the two, the label is not used.
* A prediction that is further behind those before it than the slack is too late for any label.
* A label is *early* if other predictions had reached its turn before its own was written.
* The first truth makes an outcome of weight 1. An equal one later is a duplicate; a different one takes the former
  outcome back (weight -1) and puts another in its place, both at the time of the first label.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from streams.profiling.fields import same

MATCHED, UNMATCHED, UNLABELLED = "matched", "unmatched", "unlabelled"
DUPLICATE, CORRECTED, EARLY, UNCERTAIN = "duplicate", "corrected", "early", "uncertain"
BEFORE = "label_before_prediction"
COUNTED = (MATCHED, UNMATCHED, UNLABELLED, DUPLICATE, CORRECTED, EARLY, UNCERTAIN, BEFORE)
MOST_WAITING = 64  # labels of one id for which no prediction has come: more are not waited for


class Terms(NamedTuple):
    """What a lifecycle says about joining."""

    window_ms: int  # how long a prediction waits for its label
    pane_ms: int
    min_confidence: float


class Said(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A truth, as JSON texts; empty where there is none."""

    label: bytes
    confidence: bytes = b""


class Prediction(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A prediction, and its truth once there is one.

    `reached_ms`: how far the predictions before it in its partition had come. `kept`: what its outcomes are made of,
    which whoever read it understands.
    """

    model_id: str
    time_ms: int
    reached_ms: int
    kept: bytes
    first_ms: int = 0  # when its truth became known first
    said: Said | None = None


class Label(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A label whose turn has come. `models`: whose it may be; `turn_ms`: how far the labels up to it have come."""

    models: tuple[str, ...]
    time_ms: int
    turn_ms: int
    said: Said


class Known(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Everything under one event id: predictions in the order of their partition, and labels that found none."""

    predictions: tuple[Prediction, ...]
    waiting: tuple[Label, ...] = ()


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Known).decode
NOTHING = Known(())


@dataclass(slots=True)
class Found:
    """What the fold has to tell since this was last emptied."""

    outcomes: list[tuple[bytes, bytes]] = field(default_factory=list)  # event id, JSON
    counts: defaultdict[tuple[str, int], Counter[str]] = field(
        default_factory=lambda: defaultdict(Counter)
    )  # by model and start of the pane of label time
    labelled: list[Prediction] = field(default_factory=list)  # that had no truth before

    def count(self, model_id: str, terms: Terms, time_ms: int, what: str, n: int = 1) -> None:
        self.counts[model_id, time_ms // terms.pane_ms * terms.pane_ms][what] += n


@dataclass(frozen=True, slots=True)
class Fold:
    """The rules, for the models that are joined.

    Parameters
    ----------
    terms : by model id
    slack_ms : how far events may be behind those before them in their partition: a prediction further behind is too
        late for any label; a label's own age within the horizon counts, and this is how much longer it is waited for
    members : of outcomes, those that are the prediction's, as JSON without the brackets
    """

    terms: Mapping[str, Terms]
    slack_ms: int
    members: Callable[[Prediction], bytes]

    def predicted(
        self, event_id: bytes, known: Known, new: Prediction, gone_ms: int, found: Found
    ) -> Known | None:
        """A prediction was read. None: it changes nothing, being a repeat or too late for any label.

        What is older than `gone_ms` nothing can belong to any more.
        """
        terms = self.terms[new.model_id]
        if new.reached_ms > new.time_ms + self.slack_ms:
            return None
        for one in known.predictions:
            if one.model_id == new.model_id and abs(new.time_ms - one.time_ms) <= terms.window_ms:
                return None
        waiting = []
        for label in known.waiting:
            if self._near(new, label):
                for model_id in label.models:
                    if other := self.terms.get(model_id):
                        found.count(model_id, other, label.time_ms, UNMATCHED, -1)
                new = self._told(event_id, new, label, found)
            elif label.time_ms >= gone_ms:
                waiting.append(label)
        kept = [one for one in known.predictions if one.time_ms >= gone_ms]
        return Known((*kept, new), tuple(waiting))

    def labelled(self, event_id: bytes, known: Known, label: Label, found: Found) -> Known | None:
        """A label has its turn. None: it changes nothing."""
        for at, one in enumerate(known.predictions):
            if self._near(one, label):
                told = self._told(event_id, one, label, found)
                if told is one:
                    return None
                before, after = known.predictions[:at], known.predictions[at + 1 :]
                return Known((*before, told, *after), known.waiting)
        for model_id in label.models:
            if terms := self.terms.get(model_id):
                found.count(model_id, terms, label.time_ms, UNMATCHED)
        if len(known.waiting) >= MOST_WAITING:
            return None
        return Known(known.predictions, (*known.waiting, label))

    def _near(self, one: Prediction, label: Label) -> bool:
        terms = self.terms.get(one.model_id)
        return (
            terms is not None
            and one.model_id in label.models
            and abs(label.time_ms - one.time_ms) <= terms.window_ms
            and label.turn_ms <= one.time_ms + terms.window_ms + self.slack_ms
        )

    def _told(self, event_id: bytes, one: Prediction, label: Label, found: Found) -> Prediction:
        """The prediction with what this label says."""
        terms = self.terms[one.model_id]
        counts = found.counts[one.model_id, label.time_ms // terms.pane_ms * terms.pane_ms]
        if label.time_ms < one.time_ms:
            counts[BEFORE] += 1
            return one
        if _below(label.said.confidence, terms.min_confidence):
            counts[UNCERTAIN] += 1
            return one
        if one.reached_ms >= label.turn_ms:
            counts[EARLY] += 1
        if one.said is None:
            counts[MATCHED] += 1
            found.labelled.append(one)
            first_ms = label.time_ms
        elif _equal(one.said.label, label.said.label):
            counts[DUPLICATE] += 1
            return one
        else:
            counts[CORRECTED] += 1
            first_ms = one.first_ms
            former = outcome(event_id, one, self.members(one), first_ms, one.said, -1)
            found.outcomes.append((event_id, former))
        now = outcome(event_id, one, self.members(one), first_ms, label.said, 1)
        found.outcomes.append((event_id, now))
        return Prediction(one.model_id, one.time_ms, one.reached_ms, one.kept, first_ms, label.said)


def outcome(
    event_id: bytes, one: Prediction, members: bytes, time_ms: int, said: Said, weight: int
) -> bytes:
    """A self-contained label event in the names of contracts §1.1.

    >>> one, members = Prediction("fraud", 1000, 0, b""), b'"model_version":"1","prediction":true'
    >>> outcome(b"e1", one, members, 5000, Said(b"false"), 1).decode()
    '{"event_id":"e1","model_id":"fraud","timestamp":5000,"label":false,"weight":1,"model_version":"1","prediction":true}'
    """
    confidence = b',"label_confidence":' + said.confidence if said.confidence else b""
    return b'{"event_id":%b,"model_id":"%b","timestamp":%d,"label":%b%b,"weight":%d,%b}' % (
        msgspec.json.encode(event_id.decode()),
        one.model_id.encode(),
        time_ms,
        said.label,
        confidence,
        weight,
        members,
    )


def _below(confidence: bytes, least: float) -> bool:
    if not confidence or least <= 0:
        return False
    value = _read(confidence)
    return isinstance(value, int | float) and not isinstance(value, bool) and value < least


def _equal(one: bytes, other: bytes) -> bool:
    if one == other:
        return True
    a, b = _read(one), _read(other)
    return a is not None and same(a, b)


def _read(text: bytes) -> Any:
    """A JSON value; None for one that is beyond a double, which nobody can use."""
    try:
        return msgspec.json.decode(text)
    except msgspec.MsgspecError:
        return None
