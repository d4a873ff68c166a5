"""In which layouts are a model's outcomes counted? Asked by who counts and by who judges; both must agree."""

from typing import get_args

from detectors.performance.layout import Layout, Task
from detectors.performance.slices import SliceLayout
from detectors.performance.unlabelled import EstimateLayout
from detectors.reference.build import Reference
from detectors.series import Series, SeriesType
from streams.lifecycle import Lifecycle

_JUDGED = ("Ranking", "Recommendation", "Embedding", "LLM")  # by feedback, where no class is right
_SINGLE = ("adwin", "hddm", "page_hinkley", "ddm")  # methods that read errors one by one


def task_of(lifecycle: Lifecycle, reference: Reference | None) -> Task:
    """What is predicted.

    Declared classes decide, then the model's type, then which fields its labels have, then how the reference holds its
    prediction. A model of which nothing is known has classes, as any text can be right or wrong.
    """
    prediction = lifecycle.prediction
    if prediction is not None and prediction.classes:
        two = len(prediction.classes) == 2 and prediction.positive is not None
        return "binary" if two else "classes"
    if lifecycle.metadata.model_type in ("Regression", "Forecasting"):
        return "number"
    labels = lifecycle.source.labels
    losses = labels is not None and "loss" in labels.fields and "label" not in labels.fields
    if losses or lifecycle.metadata.model_type in _JUDGED:
        return "feedback"
    found = _prediction(reference)
    return "number" if found is not None and found.numeric else "classes"


def settings_of(
    lifecycle: Lifecycle,
) -> tuple[tuple[str, ...], str | None, tuple[float, float]]:
    """Declared classes, the positive one, and the range of scores."""
    prediction = lifecycle.prediction
    if prediction is None:
        return (), None, (0.0, 1.0)
    return prediction.classes, prediction.positive, prediction.score_range


def layout_of(lifecycle: Lifecycle, reference: Reference | None) -> Layout:
    """The layout of outcomes: that of the reference's own outcomes, if it has any that fit."""
    task, (classes, positive, score_range) = task_of(lifecycle, reference), settings_of(lifecycle)
    outcomes = reference.outcomes if reference is not None else None
    if outcomes is not None and outcomes.layout.fits(task, classes, positive, score_range):
        return outcomes.layout
    found = _prediction(reference)
    if not classes and task == "classes" and found is not None:
        classes = found.categories
    return Layout.of(task, classes, positive, score_range)


def _prediction(reference: Reference | None) -> Series | None:
    series = reference.series if reference is not None else ()
    return next((one.series for one in series if one.series.name == "prediction"), None)


def slices_of(
    lifecycle: Lifecycle, reference: Reference | None, layout: Layout
) -> SliceLayout | None:
    """Where errors are told apart by features, the most important ones first; None without a reference."""
    series = sliced(lifecycle, reference)
    if not series:
        return None
    if layout.task in ("binary", "classes"):
        return SliceLayout.of(series)
    return None if layout.loss is None else SliceLayout.of(series, "loss", layout.loss.scale)


def hopes_of(lifecycle: Lifecycle, reference: Reference | None) -> EstimateLayout | None:
    """Where predictions are counted for an estimate before their labels come; None where there can be none.

    It takes labels, which the estimate is held against, and a reference that knows what its scores were worth.
    """
    known = reference.outcomes if reference is not None else None
    if lifecycle.source.labels is None or known is None:
        return None
    layout = layout_of(lifecycle, reference)
    found = EstimateLayout(layout)
    return found if found.total and layout.digest == known.layout.digest else None


def digest_of(layout: Layout, slices: SliceLayout | None) -> str:
    """What records have in common whose counts may be added: both layouts."""
    return layout.digest if slices is None else f"{layout.digest}-{slices.digest}"


def label_types(layout: Layout) -> dict[str, str]:
    """What the fields of a label event are read as."""
    if layout.task == "number":
        truth = "number"
    elif layout.task == "feedback":
        truth = "output"
    else:
        booleans = layout.classes and set(layout.classes) <= {"true", "false"}
        truth = "boolean" if booleans else "category"
    return {"label": truth, "prediction": truth, "score": "number"}


def sliced(lifecycle: Lifecycle, reference: Reference | None) -> list[Series]:
    """The declared features that have cells of their own, the most important ones first."""
    if reference is None:
        return []
    declared = {f"feature:{name}": about for name, about in lifecycle.features.items()}
    kept = [
        one.series
        for one in reference.series
        if one.series.name in declared and declared[one.series.name].type in get_args(SeriesType)
    ]
    return sorted(kept, key=lambda series: -(declared[series.name].importance or 0.0))


def one_by_one(lifecycle: Lifecycle) -> bool:
    """Whether a method is named that reads errors one by one."""
    concept = lifecycle.monitoring.drift_detection.concept_drift
    return concept is not None and not set(_SINGLE).isdisjoint(concept.method)
