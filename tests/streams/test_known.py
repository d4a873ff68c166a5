"""Which outcomes a reference knows: those of its labels, whole or joined, of segments and of slices."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from detectors.performance.metrics import confusion
from detectors.reference.build import Reference, with_outcomes
from detectors.reference.outcomes import Known
from streams.lifecycle import Lifecycle
from streams.offline.known import known_outcomes
from streams.outcomes import layout_of, slices_of
from tests.builders import HOUR_MS, START_MS, encode, lifecycle, reference, stream

FIRST_MS = START_MS - 48 * HOUR_MS
ROWS = 2_000


def of_labels(**keys: Any) -> Lifecycle:
    classes = {"classes": ["no", "yes"], "positive": "yes"}
    return lifecycle(
        **({"source": {"labels": {}}, "prediction": classes, "segments": ["country"]} | keys)
    )


def predictions() -> list[dict[str, Any]]:
    """Over forty hours; every fourth is of France."""
    rows = stream(ROWS, seed=5, start_ms=FIRST_MS, step_ms=72_000)
    for i, row in enumerate(rows):
        row |= {"event_id": f"e{i}", "tags": {"country": "DE" if i % 4 else "FR"}}
    return rows


def labels(
    rows: Sequence[Mapping[str, Any]], *, whole: bool, wrong: float = 0.2
) -> list[dict[str, Any]]:
    """One hour later each; errors are where the score is near the middle."""
    limit = np.quantile([abs(row["score"] - 0.5) for row in rows], wrong)
    found = []
    for row in rows:
        right = abs(row["score"] - 0.5) > limit
        other = {"yes": "no", "no": "yes"}[row["prediction"]]
        one = {
            "event_id": row["event_id"],
            "model_id": "m",
            "timestamp": row["timestamp"] + HOUR_MS,
            "label": row["prediction"] if right else other,
        }
        if whole:
            kept = ("model_version", "prediction", "score", "tags", "features")
            one |= {name: row[name] for name in kept}
            one["prediction_timestamp"] = row["timestamp"]
        found.append(one)
    return found


def known(
    of: Lifecycle, given: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]
) -> tuple[Reference, Known | None, tuple[str, ...]]:
    built = reference(of, rows)
    found, warnings = known_outcomes(of, built, encode(given), lambda: encode(rows))
    return built, found, warnings


def test_joined_and_whole_labels_make_the_same_reference() -> None:
    rows = predictions()
    built, joined, said = known(of_labels(), labels(rows, whole=False), rows)
    _, whole, _ = known(of_labels(), labels(rows, whole=True), rows)
    assert not any("left out" in one for one in said)
    assert joined is not None
    assert whole is not None
    assert with_outcomes(built, joined).digest == with_outcomes(built, whole).digest


def test_the_outcomes_of_a_reference_are_counted_in_all_and_in_each_segment() -> None:
    rows = predictions()
    built, found, _ = known(of_labels(), labels(rows, whole=True), rows)
    assert found is not None
    assert found.whole.errors == (ROWS // 5, ROWS)
    assert found.whole.span is not None
    # two windows of a day would be too few to see how dependent rows are
    assert found.whole.span.windows >= 30
    assert found.whole.span.window_ms < 24 * HOUR_MS
    whole = with_outcomes(built, found)
    parts = [whole.outcomes_of(f"country={name}") for name in ("DE", "FR")]
    assert [part.outcomes for part in parts if part is not None] == [1_500, 500]
    added = np.sum([part.counts for part in parts if part is not None], axis=0)
    assert added.tolist() == found.whole.counts.tolist()


def test_production_counts_in_the_layout_of_the_reference_and_its_slices() -> None:
    of, rows = of_labels(), predictions()
    built, found, _ = known(of, labels(rows, whole=True), rows)
    assert found is not None
    whole = with_outcomes(built, found)
    layout = layout_of(of, whole)
    assert layout.digest == found.whole.layout.digest != layout_of(of, built).digest
    slices = slices_of(of, whole, layout)
    assert slices is not None
    counts = found.sliced(slices.digest, slices.total)
    assert counts is not None
    assert counts[:2].tolist() == [ROWS, ROWS // 5]


def test_a_truth_that_was_corrected_counts_once() -> None:
    rows = predictions()
    given = labels(rows, whole=False, wrong=0.0)
    other = {"yes": "no", "no": "yes"}[given[0]["label"]]
    later = given[0] | {"label": other, "timestamp": given[-1]["timestamp"]}
    _, found, _ = known(of_labels(), [*given, later], rows)
    assert found is not None
    assert found.whole.errors == (2, ROWS)  # the row at the middle itself, and the corrected one


def test_classes_that_nobody_declared_are_those_of_the_labels() -> None:
    of = of_labels(prediction={}, features={"income": "number"})
    rows = predictions()
    _, found, _ = known(of, labels(rows, whole=True), rows)
    assert found is not None
    assert set(found.whole.layout.classes) == {"no", "yes"}
    assert (
        sum(sum(of.values()) for of in confusion(found.whole.layout, found.whole.counts).values())
        == ROWS
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"event_id": "nobody's"}, "2,000 of 2,000 labels were left out: of no prediction"),
        ({"label": None}, "2,000 of 2,000 labels were left out: of no prediction"),
    ],
)
def test_labels_that_cannot_be_used_are_said_to_be(change: Mapping[str, Any], says: str) -> None:
    rows = predictions()
    given = [{**one, **change} for one in labels(rows, whole=False)]
    _, found, warnings = known(of_labels(), given, rows)
    assert found is None
    assert warnings == (says, "no label can be used: outcomes will have no reference")


def test_few_labels_and_labels_of_unknown_age_are_warned_about() -> None:
    rows = predictions()
    given = [
        {name: value for name, value in one.items() if name != "prediction_timestamp"}
        for one in labels(rows, whole=True)[:500]
    ]
    _, found, warnings = known(of_labels(), given, rows)
    assert found is not None
    assert any("of at least 1000 wanted" in warning for warning in warnings)
    assert any("early windows are not comparable" in warning for warning in warnings)
    assert known(of_labels(), [], rows)[2] == (
        "the data hold no labels: outcomes will have no reference",
    )


def test_losses_of_numbers_are_told_apart_by_features_as_errors_are() -> None:
    of = of_labels(prediction={}, metadata={"model_type": "Regression"}, segments=[])
    rows = predictions()
    for row in rows:
        row |= {"prediction": row["score"], "score": 0.5}
    given = labels([row | {"prediction": "yes", "score": 1.0} for row in rows], whole=False)
    truths = [
        one | {"label": 1.5 * row["prediction"]} for one, row in zip(given, rows, strict=True)
    ]
    built, found, _ = known(of, truths, rows)
    assert found is not None
    whole = with_outcomes(built, found)
    slices = slices_of(of, whole, layout_of(of, whole))
    assert slices is not None
    counts = found.sliced(slices.digest, slices.total)
    assert counts is not None
    assert counts[0] == ROWS
    mean = np.mean([0.5 * row["prediction"] for row in rows])
    assert counts[1] * slices.unit / ROWS == pytest.approx(mean, rel=0.001)
