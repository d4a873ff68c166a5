"""Rules and dashboards: what the lists say, in what Prometheus and Grafana read, about metrics that exist."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streams.metrics import METRICS, PROCESS, Kind
from streams.metrics.__main__ import FOLDER, generated
from streams.metrics.dashboards import DASHBOARDS, FLEET, MODEL, SERVICE
from streams.metrics.panels import WIDTH, Dashboard, expressions
from streams.metrics.rules import RULES, Rule

PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="promtool is not installed: deploy/tools, or apt install prometheus"
)
NOT_SHOWN: set[str] = set()  # metrics that no dashboard and no rule uses
SCRAPED = {"job", "instance"}  # labels that Prometheus adds
WORDS = {
    *("and", "bool", "by", "count", "group_left", "ignoring", "max", "offset", "on", "or", "sum"),
    *("topk", "unless", "time", "rate", "increase", "changes", "max_over_time"),
    "histogram_quantile",
}

LABELS: dict[str, set[str]] = {
    **{metric.full_name: set(metric.labels) for metric in METRICS},
    **{
        f"{metric.full_name}_bucket": {*metric.labels, "le"}
        for metric in METRICS
        if metric.kind is Kind.HISTOGRAM
    },
    **{name: set() for name in PROCESS},
}


def asked() -> Iterator[tuple[str, str]]:
    """Where something is asked of Prometheus, and what."""
    yield from ((rule.name, rule.expression) for rule in RULES)
    for dashboard in DASHBOARDS:
        yield from ((dashboard.uid, expression) for expression in expressions(dashboard))


def metrics_of(expression: str) -> set[str]:
    return set(re.findall(r"\b(?:leeway|process)_\w+", expression))


def run(*arguments: str, folder: Path | None = None) -> str:
    assert PROMTOOL is not None
    done = subprocess.run(
        [PROMTOOL, *arguments], capture_output=True, text=True, timeout=60, cwd=folder, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("name", generated())
def test_a_generated_file_is_what_the_lists_say(name: str) -> None:
    assert (FOLDER / name).read_text("utf-8") == generated()[name], "run: make deploy"


def test_no_other_dashboard_or_rule_lies_beside_them() -> None:
    there = {
        str(path.relative_to(FOLDER))
        for folder in ("grafana/dashboards", "prometheus")
        for path in (FOLDER / folder).iterdir()
    }
    assert there - generated().keys() == {"prometheus/prometheus.yaml"}


@pytest.mark.parametrize(("where", "expression"), list(asked()))
def test_only_metrics_and_labels_that_exist_are_asked_for(where: str, expression: str) -> None:
    names = metrics_of(expression)
    assert names
    assert names <= LABELS.keys()
    known = set.union(*(LABELS[name] for name in names))
    bare = re.sub(r'"[^"]*"|\$__rate_interval', "", expression)
    words = set(re.findall(r"(?<![\d.$])\b[a-z_]+\b", bare)) - names - WORDS - {"role"}
    assert words - known - SCRAPED <= set(), where
    for name, selector in re.findall(r"((?:leeway|process)_\w+)\{([^}]*)\}", expression):
        assert set(re.findall(r"(\w+)(?==~?|!=|!~)", selector)) <= LABELS[name] | SCRAPED


def test_every_metric_is_shown_or_said_not_to_be() -> None:
    used = {name.removesuffix("_bucket") for _, text in asked() for name in metrics_of(text)}
    assert {metric.full_name for metric in METRICS} - used == NOT_SHOWN


@needs_promtool
def test_the_rules_are_rules() -> None:
    assert f"{len(RULES)} rules found" in run(
        "check", "rules", "rules.yaml", folder=FOLDER / "prometheus"
    )


@needs_promtool
def test_every_rule_fires_when_it_should_and_rests_when_it_should() -> None:
    assert "SUCCESS" in run("test", "rules", "rules_test.yaml", folder=FOLDER / "prometheus")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule.name))
def test_a_rule_is_tried_both_ways_and_says_what_to_do(rule: Rule) -> None:
    assert rule.fires.labels is not None
    assert rule.rests.labels is None
    assert rule.severity in ("info", "warning", "error", "critical")
    assert rule.summary.endswith(".")
    assert "{{" in rule.description or rule.name in ("LeewayNoEvents", "LeewayCircuitOpen")
    runbook = (FOLDER.parent / "docs/operating.md").read_text("utf-8")
    assert f"\n### {rule.name}\n\n`{rule.severity}`. " in runbook


@needs_promtool
def test_everything_a_dashboard_asks_is_promql(tmp_path: Path) -> None:
    lines = ["groups:", "  - name: asked", "    rules:"]
    for number, (_, expression) in enumerate(asked()):
        meant = expression.replace("$__rate_interval", "5m").replace("$model", "m")
        lines += [f"      - record: asked:{number}", f"        expr: {json.dumps(meant)}"]
    (tmp_path / "asked.yaml").write_text("\n".join(lines), "utf-8")
    run("check", "rules", str(tmp_path / "asked.yaml"))


ROWS = {
    FLEET.uid: ["Models", "Drift, worst 20", "Alerts and retraining"],
    SERVICE.uid: [
        *("Throughput", "Lag and watermark", "Transactions", "Rejected and late", "Delivery"),
        "Memory and processor",
    ],
    MODEL.uid: ["Health", "Performance", "Drift", "Labels", "Versions", "Operations"],
}


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: str(dashboard.uid))
def test_a_dashboard_is_one_that_grafana_loads(dashboard: Dashboard) -> None:
    path = FOLDER / f"grafana/dashboards/{dashboard.uid}.json"
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    assert found["uid"] == dashboard.uid
    assert "id" not in found  # Grafana gives it one
    assert [panel["title"] for panel in found["panels"] if panel["type"] == "row"] == ROWS[
        dashboard.uid
    ]
    numbers = [panel["id"] for panel in found["panels"]]
    assert len(set(numbers)) == len(numbers)
    taken: set[tuple[int, int]] = set()
    for panel in found["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= WIDTH
        assert not cells & taken
        taken |= cells
        assert panel["type"] in ("row", "timeseries", "stat", "bargauge")
        if panel["type"] != "row":
            assert panel["datasource"] == {"type": "prometheus", "uid": "${source}"}
            targets = [target["refId"] for target in panel["targets"]]
            assert targets
            assert len(set(targets)) == len(targets)
    variables = {variable["name"] for variable in found["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(found))) - {"__rate_interval"}
    assert used <= variables
    assert variables == ({"source", "model"} if dashboard is MODEL else {"source"})
