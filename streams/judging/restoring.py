"""How is what was kept of a model read again? Parts of `leeway.state`, those of older Leeways too, into memory."""

from typing import Any

import msgspec

from alerting.silences import Silence
from alerting.types import Episode, TriggerMemory
from detectors.judging.packing import unpack_ints
from detectors.performance.labels import LabelMemory
from detectors.reference.grown import Seen
from streams.commands import Inbox
from streams.judging.health import HealthMemory
from streams.judging.scopes import INPUTS, SCOPES
from streams.judging.subjects import ModelState, Reign, ScopeProgress, SubjectState
from streams.judging.truths import Closed, Day

_BY_PART = {scope.part: scope for scope in SCOPES}


def restore_model(model: ModelState, part: str, data: Any) -> None:
    """Read a part that belongs to a model as a whole."""
    name, _, rest = part.partition("/")
    if name == "progress":
        _restore_progress(model, data)
    elif name == "trigger":
        model.trigger = msgspec.convert(data, TriggerMemory)
    elif name == "joined":
        model.joined[int(rest)] = data
    elif name == "commands":
        model.inbox = Inbox.from_data(data)
    elif name == "silences":
        model.silences = msgspec.convert(data, tuple[Silence, ...])
    elif name == "reign":
        model.reign = msgspec.convert(data, Reign)
    elif name == "episodes":
        model.pipeline = msgspec.convert(data[0], Episode)


def restore_subject(subject: SubjectState, part: str, data: Any) -> None:
    """Read a part that belongs to one version and segment."""
    name, _, rest = part.partition("/")
    if name in _BY_PART:
        scope = _BY_PART[name]
        start, _, digest = rest.partition("/")
        subject.windows(scope).setdefault(int(start), {})[digest] = scope.read(data)
    elif name == "episodes":
        for one in data:  # until format 2 there was one source
            source = one.get("source", INPUTS.name)
            subject.episodes[source] = msgspec.convert(one, Episode)
    elif name == "late":
        # until format 2 there was one scope
        subject.late = data if isinstance(data, dict) else {INPUTS.name: data}
    elif name == "seen":
        cells = unpack_ints(data["cells"])
        subject.seen[int(rest)] = Seen(int(rest), data["events"], cells, data["digest"])
    elif name == "closed":
        subject.truths.closed[int(rest)] = Closed.from_data(data)
    elif name == "hope":
        subject.truths.hopes[int(rest)] = Closed.from_data(data)
    elif name == "day":
        subject.truths.days[int(rest)] = Day.from_data(data)
    elif name == "running":
        subject.health = HealthMemory.from_data(data)
    elif name == "concept":
        subject.truths.unread = data
    elif name == "singles":
        subject.truths.unread_singles = data
    elif name == "violated":
        subject.violated = {rule: tuple(ends) for rule, ends in data.items()}
    elif name == "predictions":
        subject.truths.predictions = dict(data["days"])
        subject.truths.labels = LabelMemory.from_data(data["labels"])
    else:
        subject.inputs.unread[part] = data


def _restore_progress(model: ModelState, data: Any) -> None:
    model.slots_until_ms = data["slots_until_ms"]
    # until format 2 there was one scope
    scopes = data.get("scopes", {INPUTS.name: data})
    model.progress = {name: msgspec.convert(of, ScopeProgress) for name, of in scopes.items()}
