"""What `deploy/` holds for Prometheus and Grafana, written from the lists here: `python -m streams.metrics`."""

from collections.abc import Mapping
from pathlib import Path

from streams.metrics.dashboards import DASHBOARDS
from streams.metrics.panels import dashboard_file
from streams.metrics.rules import rules_file, tests_file

FOLDER = Path(__file__).resolve().parent.parent.parent / "deploy"


def generated() -> Mapping[str, str]:
    """Every file below `deploy/` that is made from the lists, with its text."""
    return {
        "prometheus/rules.yaml": rules_file(),
        "prometheus/rules_test.yaml": tests_file(),
        **{f"grafana/dashboards/{of.uid}.json": dashboard_file(of) for of in DASHBOARDS},
    }


def main() -> None:
    for name, text in generated().items():
        path = FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
