"""In which shapes may what is known come to a page? From nothing at all to names that nobody would give."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from streams.broker import Partition
from streams.views.read import ReadModel
from tests.streams.published import (
    alert,
    fleet,
    intake,
    lifecycle,
    read_model,
    record,
    result,
    series,
    told,
    trigger,
)

MARKUP = "<script>alert('x')</script>&"
LONG = "a_name_that_somebody_made_by_joining_every_word_that_came_to_mind_" * 4
LONG = LONG[:200]
RIGHT_TO_LEFT = "مبلغ القرض بالدينار العراقي שם התכונה"
EMOJI = "💶 Einkommen 🧑🏽‍💻"
NAMES = (LONG, RIGHT_TO_LEFT, EMOJI, MARKUP)


def named(text: str) -> ReadModel:
    """A model with everything a page shows, and `text` wherever somebody may give a name."""
    feature = text[:128]  # the longest that a lifecycle takes
    found = [series(f"feature:{feature}"), series("feature:income", verdict="stable")]
    settings: dict[str, Any] = {
        "model_name": text,
        "metadata": {"owner": text, "purpose": text},
        "features": {"income": "number", feature: {"type": "category", "description": text}},
    }
    recall = {"value": 0.8, "low": 0.7, "high": 0.9, "n": 900, "threshold": 0.5, "reference": 0.8}
    return read_model(
        record("models", "lifecycle|loans", lifecycle(**settings)),
        *(
            told("results", result(hour, version=version, found=found))
            for hour in range(12)
            for version in ("1.0.0", text)
        ),
        *(told("results", result(hour, segment=f"country={text}")) for hour in range(3)),
        *(
            told("results", result(hour, scope="outcomes") | {"metrics": {"recall": recall}})
            for hour in range(12)
        ),
        told("alerts", alert(title=text, summary=text, segment=text)),
        told("alerts", alert(kind="performance", severity="critical", title=text)),
        told("retraining", trigger(reason={"code": "data_drift", "summary": text})),
        record("state", "-|-|-|intake", intake(1, **{text: {"unregistered": {text: 1}}})),
    )


@dataclass(frozen=True)
class Shape:
    """What is known, the model whose pages are looked at, and how control stands."""

    read: Callable[[], ReadModel]
    model: str | None
    series: str = "feature:income"
    pages: tuple[str, ...] = ("overview", "model", "series")
    more: Mapping[str, Any] = field(default_factory=dict)


RESTARTED = {
    "ready": False,
    "reading": ((Partition("leeway.results", 0), 41_000, 90_000),),
}
NOTHING = ("overview",)
SHAPES = {
    "nothing": Shape(read_model, None, pages=NOTHING),
    "one": Shape(
        lambda: fleet(models=2, features=6, days=3, segments=("country=DE",)),
        "churn",
        pages=("overview", "model", "series", "versions"),
    ),
    "many": Shape(
        lambda: fleet(models=200, features=2, days=1, segments=()), "churn", pages=("overview",)
    ),
    "long": Shape(lambda: named(LONG), "loans", f"feature:{LONG[:128]}"),
    "right-to-left": Shape(lambda: named(RIGHT_TO_LEFT), "loans", pages=("overview", "model")),
    "markup": Shape(
        lambda: named(MARKUP + EMOJI), "loans", f"feature:{MARKUP + EMOJI}", ("series",)
    ),
    "restarted": Shape(
        lambda: fleet(models=2, features=6, days=1),
        "churn",
        pages=("overview",),
        more=RESTARTED,
    ),
}
