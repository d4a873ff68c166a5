"""How is a dashboard said in Grafana's words? Its parts as data, and the JSON that Grafana reads.

The classic model of dashboards, which Grafana 10 and later import and provision.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

SCHEMA_VERSION = 39
WIDTH = 24  # columns of a dashboard
_SOURCE = {"type": "prometheus", "uid": "${source}"}
Kind = Literal["timeseries", "stat", "table", "bargauge"]


@dataclass(frozen=True, slots=True)
class Query:
    """A question to Prometheus, and what its answers are called."""

    expression: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """A picture. `at` is a line drawn across it, such as the one at which an alarm fires."""

    title: str
    queries: tuple[Query, ...]
    unit: str = "short"
    kind: Kind = "timeseries"
    meaning: str = ""
    width: int = 8
    at: float | None = None
    colours: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """Pictures about one question."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A page of rows. `by_model`: a person chooses a model; `marks`: what is drawn across all pictures."""

    uid: str
    title: str
    since: str
    rows: tuple[Row, ...]
    by_model: bool = False
    marks: tuple[tuple[str, str, str], ...] = ()  # name, expression, text


def expressions(dashboard: Dashboard) -> Iterator[str]:
    """Everything a dashboard asks Prometheus."""
    for row in dashboard.rows:
        for panel in row.panels:
            yield from (query.expression for query in panel.queries)
    yield from (expression for _, expression, _ in dashboard.marks)


def dashboard_file(dashboard: Dashboard) -> str:
    """The JSON of a dashboard as its file holds it."""
    return json.dumps(_dashboard(dashboard), indent=2, ensure_ascii=False) + "\n"


def _dashboard(of: Dashboard) -> dict[str, Any]:
    variables: list[dict[str, Any]] = [
        {
            "name": "source",
            "label": "Data source",
            "type": "datasource",
            "query": "prometheus",
            "current": {},
            "hide": 0,
        }
    ]
    if of.by_model:
        values = "label_values(leeway_model_state, model)"
        variables.append(
            {
                "name": "model",
                "label": "Model",
                "type": "query",
                "datasource": _SOURCE,
                "definition": values,
                "query": {"query": values, "refId": "model"},
                "refresh": 2,
                "sort": 1,
                "multi": False,
                "includeAll": False,
                "current": {},
                "hide": 0,
            }
        )
    return {
        "uid": of.uid,
        "title": of.title,
        "tags": ["leeway"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": False,
        "graphTooltip": 1,
        "timezone": "utc",
        "time": {"from": of.since, "to": "now"},
        "refresh": "1m",
        "templating": {"list": variables},
        "annotations": {"list": [_mark(*mark) for mark in of.marks]},
        "links": [
            {
                "type": "dashboards",
                "title": "Leeway",
                "tags": ["leeway"],
                "asDropdown": True,
                "includeVars": False,
                "keepTime": True,
            }
        ],
        "panels": list(_panels(of)),
    }


def _mark(name: str, expression: str, text: str) -> dict[str, Any]:
    return {
        "name": name,
        "enable": True,
        "iconColor": "blue",
        "datasource": _SOURCE,
        "expr": expression,
        "step": "5m",
        "titleFormat": text,
    }


def _panels(of: Dashboard) -> Iterator[dict[str, Any]]:
    number, top = 0, 0
    for row in of.rows:
        number += 1
        yield {
            "id": number,
            "type": "row",
            "title": row.title,
            "collapsed": False,
            "gridPos": {"h": 1, "w": WIDTH, "x": 0, "y": top},
            "panels": [],
        }
        top, left = top + 1, 0
        height = 4 if all(panel.kind == "stat" for panel in row.panels) else 8
        for panel in row.panels:
            if left + panel.width > WIDTH:
                top, left = top + height, 0
            number += 1
            place = {"h": height, "w": panel.width, "x": left, "y": top}
            yield _panel(panel, number, place)
            left += panel.width
        top += height


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    instant = panel.kind != "timeseries"
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    defaults: dict[str, Any] = {"unit": panel.unit}
    if panel.at is not None:
        steps.append({"color": "red", "value": panel.at})
        if panel.kind == "timeseries":
            defaults["custom"] = {"thresholdsStyle": {"mode": "line"}}
    defaults["thresholds"] = {"mode": "absolute", "steps": steps}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.meaning,
        "gridPos": place,
        "datasource": _SOURCE,
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": _SOURCE,
                "expr": query.expression,
                "legendFormat": query.legend,
                "instant": instant,
                "range": not instant,
            }
            for index, query in enumerate(panel.queries)
        ],
        "fieldConfig": {
            "defaults": defaults,
            "overrides": [
                {
                    "matcher": {"id": "byName", "options": name},
                    "properties": [
                        {"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}
                    ],
                }
                for name, colour in panel.colours.items()
            ],
        },
        "options": _options(panel.kind),
    }


def _options(kind: Kind) -> dict[str, Any]:
    if kind == "stat":
        return {
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "textMode": "value_and_name",
            "colorMode": "value",
            "graphMode": "none",
        }
    if kind == "bargauge":
        return {
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "orientation": "horizontal",
            "displayMode": "basic",
        }
    return {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
