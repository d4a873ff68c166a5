"""Does `python -m benchmarks.bernoulli_service` hold its targets, and does it fail when an alarm is elsewhere?"""

from typing import Any

import numpy as np
import pytest

from benchmarks import _bernoulli, bernoulli_service
from benchmarks._bernoulli import Service, events, first_half, lifecycle, reference
from benchmarks._labels import TARGETS, Stream
from streams.judging.plans import compile_plan
from streams.registry import Registered
from streams.topics import Names


def test_in_part_of_a_stream_the_service_alarms_where_its_detector_does(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bernoulli_service, "SHORT_HALF", 300)
    assert bernoulli_service.main(["--short"]) == 0
    table = capsys.readouterr().out
    assert table.count("2 of 2") == 2
    assert "NO" not in table


def test_an_alarm_at_another_label_is_an_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def late(stream: Stream, a: int, half: Any, after: Any) -> _bernoulli.Heard:
        return _bernoulli.Heard(1 + bernoulli_service.SHORT_HALF // 2, None)

    monkeypatch.setattr(bernoulli_service, "SHORT_HALF", 60)
    monkeypatch.setattr(bernoulli_service, "second_half", late)
    assert bernoulli_service.main(["--short"]) == 1


@pytest.mark.parametrize("a", sorted(TARGETS))
def test_the_threshold_is_exactly_the_one_of_the_targets(a: int) -> None:
    of = lifecycle(a)
    plan = compile_plan(Registered(of, reference(of, 2_000)), Names(), (), None)
    assert plan.truths is not None
    assert plan.truths.policy.log_threshold == round(float(np.log(a)), 6)
    assert plan.truths.policy.tolerance == 0


def test_after_a_false_alarm_the_rest_is_read_by_a_model_that_begins_anew() -> None:
    errors = np.tile([0.0, 0, 0, 0, 1], 12)
    errors[20:50] = 1
    stream = Stream(2_000, np.tile(errors, 2), ())
    own = bernoulli_service.detector(stream, 100_000)
    _, found = own.extend(own.start(), stream.before)
    half = first_half(stream, 100_000)
    assert len(found) >= 2
    assert half.false == tuple(found.tolist())


def test_a_judge_that_is_started_anew_goes_on_with_the_same_evidence() -> None:
    of = lifecycle(100_000)
    known, labels = reference(of, 2_000), events((np.arange(120) % 3 == 0) * 1.0, 0)
    whole = Service(of, known)
    expected = [*whole.feed(labels), *whole.rest()]
    first = Service(of, known)
    before = [*first.feed(labels[:50]), *first.rest()]
    second = Service(of, known, first.kept)
    assert [*before, *second.feed(labels[50:]), *second.rest()] == expected
    assert [seen.label for seen in expected] == list(range(120))
