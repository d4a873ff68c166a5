"""The outcomes of a reference: edges, over-dispersion, calibration, and a document that gives the same bits back."""

import json
from typing import Any

import numpy as np
import pytest

from detectors.alarm.scores import scores
from detectors.performance.document import from_document, to_document
from detectors.performance.layout import Layout
from detectors.performance.reference import OutcomeReference, build_outcomes
from detectors.samples.effects import Floats

HOUR = 3_600_000


def draws(rows: int = 4_000, seed: int = 1) -> tuple[list[str], list[str], Floats]:
    random = np.random.default_rng(seed)
    score = random.beta(1, 4, rows)
    truth = random.random(rows) < score
    return [_text(v) for v in truth], [_text(v) for v in score > 0.4], score


def _text(flag: bool) -> str:
    return "yes" if flag else "no"


def binary(**more: Any) -> OutcomeReference:
    truth, said, score = draws()
    plain: dict[str, Any] = {
        "classes": ("no", "yes"),
        "positive": "yes",
        "labels": truth,
        "predictions": said,
        "scores": score,
        "times_ms": np.arange(4_000) * 60_000,
        "window_ms": HOUR,
    }
    made, _ = build_outcomes("binary", **(plain | more))
    assert made is not None
    return made


def numbers(rows: int = 4_000, **more: Any) -> OutcomeReference:
    random = np.random.default_rng(3)
    truth = random.lognormal(10, 1, rows)
    plain: dict[str, Any] = {
        "labels": truth,
        "predictions": truth * random.lognormal(0, 0.2, rows),
        "times_ms": np.arange(rows) * 60_000,
        "window_ms": HOUR,
    }
    made, _ = build_outcomes("number", **(plain | more))
    assert made is not None
    return made


def feedback() -> OutcomeReference:
    losses = np.random.default_rng(4).random(4_000)
    made, _ = build_outcomes("feedback", losses=losses, window_ms=HOUR)
    assert made is not None
    return made


def classes() -> OutcomeReference:
    random = np.random.default_rng(5)
    truth = [f"class {k}" for k in random.zipf(1.7, 3_000) % 70]
    made, _ = build_outcomes("classes", labels=truth, predictions=truth[::-1], window_ms=HOUR)
    assert made is not None
    return made


def test_scores_are_cut_at_fifty_quantiles_and_losses_and_truths_at_ten() -> None:
    made = binary()
    assert len(made.layout.score_edges) == 49
    held = made.layout.read(made.counts, "score").sum(1)
    assert held.min() == held.max() == 80
    of_numbers = numbers()
    assert of_numbers.layout.label is not None
    assert of_numbers.layout.loss is not None
    assert len(of_numbers.layout.label.edges) == 9
    assert len(of_numbers.layout.loss.edges) == len(of_numbers.worth) - 1 == 10
    assert of_numbers.layout.loss.scale > 100


@pytest.mark.parametrize("make", [binary, numbers, feedback, classes])
def test_a_document_read_back_gives_the_same_bits(make: Any) -> None:
    made = make()
    text = json.dumps(to_document(made))
    read = from_document(json.loads(text))
    assert read.layout.digest == made.layout.digest
    assert (read.counts == made.counts).all()
    assert (read.worth, read.span, read.dispersion) == (made.worth, made.span, made.dispersion)
    assert read.layout.loss == made.layout.loss
    assert read.layout.label == made.layout.label
    assert json.dumps(to_document(read)) == text


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (("task",), "guess", "outcomes.task: expected one of binary"),
        (("positive",), "maybe", "outcomes.positive: expected one of the classes"),
        (("classes",), ["no"], "outcomes.positive|two classes"),
        (("score_edges",), [0.5, 0.5], "outcomes.score_edges: expected ascending numbers"),
        (("counts", "rows"), [1, 2], "outcomes.counts.rows: expected 1 integers, not 2"),
        (("counts", "rows"), [1.5], "outcomes.counts.rows.0.: expected a 64-bit integer"),
        (("counts", "rows"), [2**63], "expected a 64-bit integer"),
        (("counts", "more"), [1], "outcomes.counts.more: is not known"),
        (("dispersion", "error"), {"error": 0.5}, "expected a number of at least 1"),
        (("span", "end"), "1969-01-01T00:00:00Z", "outcomes.span: expected a start before the end"),
        (("span", "windows"), 0, "outcomes.span.windows: expected an integer of at least 1"),
        (("score_range",), [1, 1], "outcomes: score_range"),
        (("label",), {"scale": 0}, "outcomes.label.scale: expected a positive number"),
        (("loss",), {"edges": [1.0], "centre": 0, "scale": 1, "worth": []}, "expected 2 numbers"),
    ],
)
def test_a_changed_document_is_refused_with_its_place(
    place: tuple[str, ...], value: Any, said: str
) -> None:
    document = json.loads(json.dumps(to_document(binary())))
    inner = document
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    with pytest.raises(ValueError, match=said):
        from_document(document)


def test_independent_outcomes_are_hardly_dispersed_and_common_days_much() -> None:
    calm = binary()
    assert 1 <= calm.phi("error", "error") < 2
    truth = draws()[0]
    bad_hour = (np.arange(4_000) // 60) % 2 == 0
    swapped = ["yes" if s == "no" else "no" for s in truth]
    wild = binary(labels=[a if b else t for t, a, b in zip(truth, swapped, bad_hour, strict=True)])
    assert wild.phi("error", "error") > 5
    assert wild.phi("error", "none of this name") == wild.phi("none", "error") == 1


def test_every_score_that_is_betted_on_has_its_over_dispersion() -> None:
    made = numbers()
    assert made.loss_cells is not None
    assert made.layout.label is not None
    for rows in (30.0, 60.0, 500.0):
        truth = made.layout.read(made.counts, "label")
        for series, watched in (
            ("loss", made.loss_cells.scores(rows)),
            ("label", scores(made.layout.label, truth, rows)),
        ):
            known = dict(dict(made.dispersion)[series])
            assert {score.name for score in watched} <= set(known)


def test_without_times_or_enough_windows_dispersion_is_unknown_and_said_to_be() -> None:
    truth, said, _ = draws(300)
    plain: dict[str, Any] = {"labels": truth, "predictions": said, "window_ms": HOUR}
    made, warnings = build_outcomes("binary", positive="yes", **plain)
    assert made is not None
    assert (made.span, made.dispersion) == (None, ())
    assert any("have no times" in one for one in warnings)
    assert any("only 300, of at least 1000 wanted" in one for one in warnings)
    made, warnings = build_outcomes(
        "binary", positive="yes", times_ms=np.arange(300) * 60_000, **plain
    )
    assert made is not None
    assert made.span is not None
    assert (made.span.windows, made.span.rows, made.dispersion) == (5, 60, ())
    assert any("span 5 windows" in one for one in warnings)


def test_too_few_outcomes_are_said_to_be_insufficient() -> None:
    truth, said, _ = draws(100)
    made, warnings = build_outcomes("classes", labels=truth, predictions=said, window_ms=HOUR)
    assert made is not None
    assert made.outcomes == 100
    assert "insufficient" in warnings[0]


@pytest.mark.parametrize("task", ["classes", "number", "feedback"])
def test_no_usable_outcome_makes_no_reference(task: Any) -> None:
    absent = np.full(50, np.nan)
    labels = absent if task == "number" else [None] * 50
    made, warnings = build_outcomes(task, labels=labels, losses=absent, window_ms=HOUR)
    assert made is None
    assert warnings == ("outcomes: no row has a label and what was predicted",)


def test_a_binary_task_without_positive_class_takes_the_rarer_one() -> None:
    made = binary(positive=None, classes=())
    assert made.layout.classes[made.layout.positive or 0] == "yes"
    assert made.layout.classes == ("no", "yes")


def test_a_positive_class_that_no_label_has_is_known_all_the_same() -> None:
    truth, said, _ = draws(500)
    made, _ = build_outcomes(
        "classes", positive="maybe", labels=truth, predictions=said, window_ms=HOUR
    )
    assert made is not None
    assert made.layout.classes == ("no", "yes", "maybe")
    assert made.layout.positive == 2
    alone = Layout.of("classes", (), "maybe")
    assert (alone.classes, alone.positive) == (("maybe",), 0)
    with pytest.raises(ValueError, match="two classes"):
        build_outcomes("binary", labels=[*truth, "maybe"], predictions=[*said, "no"], window_ms=1)


def test_constant_and_rare_scores_still_make_a_layout() -> None:
    constant = binary(scores=np.full(4_000, 0.5))
    assert len(constant.layout.score_edges) > 50
    few = np.full(4_000, np.nan)
    few[:100] = 0.3
    assert len(binary(scores=few).layout.score_edges) > 50


def test_a_reference_without_an_error_has_cells_and_no_dispersion_to_speak_of() -> None:
    truth = np.arange(4_000.0)
    made = numbers(labels=truth, predictions=truth)
    assert made.loss_cells is not None
    assert made.phi("loss", "loss") == 1
    perfect = binary(predictions=draws()[0])
    assert perfect.errors == (0, 4_000)
    assert perfect.phi("error", "error") == 1
