"""Did the inputs change, or the predictions? Windows of scope `inputs`, from summaries to findings."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from alerting.findings import from_verdict
from alerting.types import Subject
from detectors.judging import decision
from detectors.types import Verdict, Window
from streams.judging.conclusions import Conclusion
from streams.judging.plans import ModelPlan
from streams.judging.results import result
from streams.judging.scopes import INPUTS
from streams.judging.share import Share
from streams.judging.subjects import SubjectKey
from streams.judging.windows import OpenWindow


class _Measured(NamedTuple):
    """A closed window's verdict, and the counts it came from (None: of another reference, or none)."""

    verdict: Verdict
    counted: OpenWindow | None
    anew: bool = False  # the detector knew nothing of what came before


def close(
    share: Share, plan: ModelPlan, start: int, due: Sequence[SubjectKey]
) -> Sequence[Conclusion]:
    """Judge one window of these subjects."""
    measured = {key: _measure(share, plan, key, start) for key in due}
    return [_conclude(plan, key, of) for key, of in measured.items()]


def _measure(share: Share, plan: ModelPlan, key: SubjectKey, start: int) -> _Measured:
    """Fold one closed window into the detector of its subject."""
    subject = share.models[plan.lifecycle.model_id].subjects[key]
    closed = share.close_window(plan, key, INPUTS, start)
    counted = closed.get(plan.digest)
    window = _window(share, plan, key, start, closed)
    # Counts of other edges can be compared with nothing.
    detector = plan.detector(*key) if counted is not None or not closed else None
    if detector is None:
        _, verdict = decision.decide(None, None, window, np.zeros(0, np.int64))
        return _Measured(verdict, counted)
    memory, anew = subject.inputs.recall(plan, detector)
    cells = counted.cells if counted is not None else np.zeros(detector.cells, np.int64)
    subject.inputs.memory, verdict = decision.decide(detector, memory, window, cells)
    share.put_memory(plan, key, detector, memory, window)
    return _Measured(verdict, counted, anew)


def _window(
    share: Share,
    plan: ModelPlan,
    key: SubjectKey,
    start: int,
    closed: Mapping[str, OpenWindow],
) -> Window:
    events = sum(window.events for window in closed.values())
    panes = len({pane for window in closed.values() for pane in window.panes})
    late = share.take_late(plan, key, INPUTS)
    return Window(start, start + plan.window_ms, events, late, panes, plan.slot_of(start))


def _conclude(plan: ModelPlan, key: SubjectKey, measured: _Measured) -> Conclusion:
    about = Subject(plan.lifecycle.model_id, *key)
    document = result(plan, about, measured.verdict, measured.counted)
    finding = from_verdict(measured.verdict)
    # Under another reference the present is normal.
    rebaselined = INPUTS.name if measured.anew else None
    return Conclusion(key, measured.verdict.window.end_ms, document, (finding,), rebaselined)
