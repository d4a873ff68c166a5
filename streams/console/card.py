"""What is this model for, and who answers for it? The part of its lifecycle that is for people."""

from typing import Any

from streams.console.html import Content, Html, element, link
from streams.console.wording import words

_PARTS = (
    (
        "metadata",
        ("purpose", "owner", "framework", "model_type", "deployed_date", "training_data_snapshot"),
    ),
    ("prediction", ("target", "entity", "decision_owner", "serving", "fallback", "review")),
    ("deployment", ("environment", "endpoint", "infrastructure")),
)
_TITLES = {
    "target": "Predicts",
    "entity": "About",
    "decision_owner": "Who decides with it",
    "serving": "Served as",
    "fallback": "If it cannot answer",
    "review": "Reviewed by people",
    "training_data_snapshot": "Trained on",
    "deployed_date": "Deployed",
    "model_type": "Type",
}


def card(lifecycle: dict[str, Any]) -> Html | None:
    """What the lifecycle says of a model to people; None: nothing.

    Examples
    --------
    >>> card({"prediction": {"fallback": "ask a person"}})
    '<dl class="model-card"><div><dt>If it cannot answer</dt><dd>ask a person</dd></div></dl>'
    >>> card({}) is None
    True
    """
    facts: list[tuple[str, Content]] = []
    for part, names in _PARTS:
        said = lifecycle.get(part) or {}
        for name in names:
            if said.get(name) not in (None, "", "Other"):
                facts.append((_TITLES.get(name, words(name).capitalize()), _value(said[name])))
    facts += _scaling((lifecycle.get("deployment") or {}).get("scaling_config") or {})
    costs = (lifecycle.get("prediction") or {}).get("costs") or {}
    if costs.get("unacceptable"):
        facts.append(("Must never happen", "; ".join(map(str, costs["unacceptable"]))))
    if not facts:
        return None
    shown = (element("div", element("dt", k), element("dd", v)) for k, v in facts)
    return element("dl", *shown, class_="model-card")


def _value(said: object) -> Content:
    text = str(said)
    return link(text, text) if text.startswith(("https://", "http://")) else text


def _scaling(said: dict[str, Any]) -> list[tuple[str, Content]]:
    least, most = said.get("min_instances"), said.get("max_instances")
    by = said.get("auto_scale_metric")
    if least is None and most is None:
        return [] if by is None else [("Scales by", str(by))]
    if least is not None and most is not None:
        text = f"{least}" if least == most else f"{least} to {most}"
    else:
        text = f"at least {least}" if least is not None else f"at most {most}"
    return [("Instances", text + (f", by {by}" if by is not None else ""))]
