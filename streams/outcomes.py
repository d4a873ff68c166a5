"""In which layouts are a model's outcomes counted? Asked by who counts and by who judges; both must agree."""

from typing import get_args

from detectors.performance.layout import Layout, Task
from detectors.performance.slices import SliceLayout
from detectors.reference.build import Reference
from detectors.series import Series, SeriesType
from streams.lifecycle import Lifecycle

_JUDGED = ("Ranking", "Recommendation", "Embedding", "LLM")  # by feedback, where no class is right
_SINGLE = ("adwin", "hddm", "page_hinkley", "ddm")  # methods that read errors one by one


def task_of(lifecycle: Lifecycle, reference: Reference | None) -> tuple[Task, tuple[str, ...]]:
    """What is predicted, and the classes known beforehand.

    Declared classes decide, then the model's type, then which fields its labels have, then how the reference holds its
    prediction. A model of which nothing is known has classes, as any text can be right or wrong.
    """
    prediction = lifecycle.prediction
    if prediction is not None and prediction.classes:
        two = len(prediction.classes) == 2 and prediction.positive is not None
        return "binary" if two else "classes", prediction.classes
    if lifecycle.metadata.model_type in ("Regression", "Forecasting"):
        return "number", ()
    labels = lifecycle.source.labels
    losses = labels is not None and "loss" in labels.fields and "label" not in labels.fields
    if losses or lifecycle.metadata.model_type in _JUDGED:
        return "feedback", ()
    series = reference.series if reference is not None else ()
    found = next((one.series for one in series if one.series.name == "prediction"), None)
    if found is None:
        return "classes", ()
    return ("number", ()) if found.numeric else ("classes", found.categories)


def layout_of(lifecycle: Lifecycle, reference: Reference | None) -> Layout:
    """The layout of outcomes: that of the reference's own outcomes, if it has any that fit."""
    task, classes = task_of(lifecycle, reference)
    prediction = lifecycle.prediction
    return Layout.of(
        task,
        classes,
        prediction.positive if prediction is not None and classes else None,
        prediction.score_range if prediction is not None else (0.0, 1.0),
    )


def slices_of(
    lifecycle: Lifecycle, reference: Reference | None, layout: Layout
) -> SliceLayout | None:
    """Where errors are told apart by features, the most important ones first; None without a reference."""
    series = sliced(lifecycle, reference)
    classified = layout.task in ("binary", "classes")
    return SliceLayout.of(series) if series and classified else None


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
