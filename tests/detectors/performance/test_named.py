"""Detectors that a user named: what they find, that a restart changes nothing, and that they open nothing."""

import json

import numpy as np
import pytest

from detectors.performance.concept import ConceptPlan, ConceptPolicy, decide
from detectors.performance.named import (
    KINDS,
    Founds,
    beside,
    detectors,
    evidence,
    extend,
    from_data,
    start,
    to_data,
)
from detectors.sequences.contract import Sample, sample
from tests.detectors.golden import lcg
from tests.detectors.performance.made import BINARY, binary, window

PANE = 500


def panes() -> list[Sample]:
    """The golden errors, .2 and from 10,000 on .5, in panes; the events of a pane come in any order."""
    wrong = lcg(12_000) < np.where(np.arange(12_000) < 10_000, 0.2, 0.5)
    events = [(f"e{at:05}", at * 1000, float(w)) for at, w in enumerate(wrong)]
    return [sample(reversed(events[a : a + PANE])) for a in range(0, len(events), PANE)]


def test_what_was_named_finds_the_published_changes_whatever_is_restarted() -> None:
    made, notes = detectors(KINDS, errors=True, mean=0.2, sd=0.4)
    assert notes == ()
    found: Founds = start(made)
    again: Founds = start(made)
    for at, pane in enumerate(panes()):
        found = extend(made, found, pane)
        if at in (3, 20):
            again = from_data(made, json.loads(json.dumps(to_data(made, again))))
        again = extend(made, again, pane)
    last = {d.kind: one.last_ms for d, one in zip(made, found, strict=True)}
    assert (last["adwin"], last["hddm_a"], last["ddm"]) == (10_111_000, 10_225_000, 10_404_000)
    assert [e.statistic for e in evidence(made, found)] == [1.0, 1.0, 1.0, 3.0]
    assert evidence(made, again) == evidence(made, found)
    assert [one.last_ms for one in again] == [one.last_ms for one in found]
    assert all(e.p_value is None and e.e_value is None for e in evidence(made, found))


def test_detectors_that_cannot_read_the_values_are_left_out_with_a_note() -> None:
    made, notes = detectors(KINDS, errors=False, mean=2.0, sd=1.5)
    assert [d.kind for d in made] == ["adwin", "page_hinkley"]
    assert notes == ("hddm reads errors, not losses", "ddm reads errors, not losses")
    assert detectors(KINDS, errors=False, mean=2.0, sd=0.0)[0] == ()
    with pytest.raises(ValueError, match="of 1 detectors, not of 2"):
        from_data(made, [1])


def test_they_are_evidence_and_conclude_nothing() -> None:
    plan = ConceptPlan.compile(BINARY, binary(8_000, 2_000), ConceptPolicy(9.0), rows=100)
    _, verdict = decide(plan, None, window(0), binary(80, 20))
    made, _ = detectors(["adwin"], errors=True)
    found = beside(verdict, "loss", evidence(made, start(made)))
    assert [e.detector for e in found.series[0].evidence] == [
        "two_proportion",
        "bernoulli",
        "adwin",
    ]
    assert found.status == verdict.status
    assert found.culprits == ()
