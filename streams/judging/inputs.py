"""Did the inputs change, or the predictions? Windows of scope `inputs`, from summaries to findings."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from alerting.findings import from_verdict
from alerting.types import Subject
from detectors.judging import decision
from detectors.samples.effects import Ints
from detectors.types import Check, Verdict, Window
from streams.judging import growing
from streams.judging.conclusions import Conclusion, Judged
from streams.judging.plans import ModelPlan
from streams.judging.results import result
from streams.judging.scopes import INPUTS
from streams.judging.share import Share
from streams.judging.sizes import sizes
from streams.judging.subjects import SubjectKey, keys_of
from streams.judging.windows import OpenWindow
from streams.lifecycle.conditions import SeriesTest
from streams.messages import Summary
from streams.segments import ALL


class _Measured(NamedTuple):
    """A closed window's verdict, and the counts it came from (None: of another reference, or none)."""

    verdict: Verdict
    counted: OpenWindow | None
    anew: bool = False  # the detector knew nothing of what came before
    tests: Mapping[str, Check] = {}  # what it says of the parts of conditions
    compared: Mapping[str, list[int]] = {}  # what the series were judged by, cell by cell


def merge(share: Share, plan: ModelPlan, summary: Summary, judged: Judged) -> None:
    """Add a summary to its window, and to that of `all`; a window that was judged takes no more."""
    model = share.models[summary.model_id]
    share.align(plan, INPUTS)
    start = plan.start_of(summary.pane_start_ms)
    judged_until_ms = model.of(INPUTS).judged_until_ms
    for key in keys_of(summary):
        subject = model.subject(key)
        if subject is None:
            judged.capped += 1
            continue
        if judged_until_ms is not None and start < judged_until_ms:
            share.add_late(plan, key, INPUTS, summary.events)
            judged.late[summary.model_id] += summary.events if key[1] == ALL else 0
            continue
        windows = subject.windows(INPUTS).setdefault(start, {})
        if summary.reference_digest not in windows:
            windows[summary.reference_digest] = OpenWindow.like(summary)
        windows[summary.reference_digest].merge(summary)
        share.put_window(plan, key, INPUTS, start, summary.reference_digest)


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
        if plan.lent and counted is not None and counted.events:
            growing.see(share, plan, key, start, counted)
        _, verdict = decision.decide(None, None, window, np.zeros(0, np.int64))
        return _Measured(verdict, counted)
    memory, anew = subject.inputs.recall(plan, detector)
    carried = memory.carried
    cells = counted.cells if counted is not None else np.zeros(detector.cells, np.int64)
    subject.inputs.memory, verdict = decision.decide(detector, memory, window, cells)
    share.put_memory(plan, key, detector, memory, window)
    tests = _tests(plan, detector, window, cells) if key == (plan.lifecycle.version, ALL) else {}
    compared = _compared(detector, carried, cells) if verdict.series else {}
    return _Measured(verdict, counted, anew, tests, compared)


def _compared(
    detector: decision.Plan, carried: Sequence[decision.Past], cells: Ints
) -> dict[str, list[int]]:
    """The counts of each series: of the window, and of those before it that were too small to be judged alone."""
    flat: list[int] = sum((past.counts for past in carried), start=cells).tolist()
    return {
        series.name: flat[at : at + series.cells]
        for series, at in zip(detector.series, detector.offsets, strict=True)
    }


def _tests(
    plan: ModelPlan, detector: decision.Plan, window: Window, cells: Ints
) -> Mapping[str, Check]:
    """How much features changed, by the methods that conditions name."""
    parts = plan.conditions.parts[INPUTS.name]
    tests = [test for test in parts if isinstance(test, SeriesTest)]
    if not tests or plan.reference is None:
        return {}
    return sizes(detector, plan.reference.derived, window.slot, cells, tests)


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
    document = result(plan, about, measured.verdict, measured.counted, measured.compared)
    finding = from_verdict(measured.verdict)
    # Under another reference the present is normal.
    rebaselined = INPUTS.name if measured.anew else None
    end_ms = measured.verdict.window.end_ms
    return Conclusion(key, end_ms, document, (finding,), rebaselined, measured.tests)
