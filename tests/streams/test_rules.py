"""What `method`, `threshold`, `severe`, `alarm` and `share` mean for each series, and what `check` says of them."""

import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from detectors.judging.decision import Rule
from detectors.judging.rules import LEAST_ROWS
from detectors.reference.build import to_document
from detectors.samples.methods import METHODS, Method
from streams.cli import main
from streams.cli.output import readable
from streams.judging.plans import policy
from streams.judging.rules import rule_of, rules
from streams.lifecycle import Lifecycle, drift, load
from streams.lifecycle.detection import DataDrift
from streams.lifecycle.mistakes import Wrong
from streams.offline.expectations import expectations
from tests.detectors import cases

N, B, C = cases.number("n"), cases.flag("b"), cases.category("c", 4)
REFERENCE = cases.reference(
    [N, B, C],
    [
        cases.counts(N, np.full(10, 0.1), 10_000),
        cases.counts(B, [0.9, 0.1], 10_000),
        cases.counts(C, np.full(4, 0.25), 10_000),
    ],
)
FEATURES = "features: {n: number, b: boolean, c: category}"


def lifecycle(drift: str, features: str = FEATURES) -> Lifecycle:
    text = f'{{model_id: m, version: "1", {features}, monitoring: {{drift_detection: {drift}}}}}'
    return load(f"model_lifecycle: {text}", "m.yaml")[0]


def section(written: str) -> DataDrift:
    return lifecycle(f"{{data_drift: {{{written}}}}}").monitoring.drift_detection.data_drift


def test_the_grammar_knows_every_method_and_what_it_compares() -> None:
    assert {drift.methods(m.label).number for m in METHODS.values()} == set(METHODS)
    assert {drift.methods(name).number for name in METHODS} == set(METHODS)
    for kind, names in (("number", drift.ONLY_NUMBERS), ("category", drift.ONLY_CATEGORIES)):
        assert set(names) == {n for n, method in METHODS.items() if method.compares == (kind,)}


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_a_threshold_that_is_never_exceeded_is_refused(method: Method) -> None:
    kind = "number" if "number" in method.compares else "category"
    sign = {"ks": "D >", "chi2": "V >", "two_proportion": "difference >"}.get(method.name, ">")
    of = drift.Methods(**{kind: method.name})
    assert drift.threshold(f"{sign} {method.threshold}", of).value == method.threshold
    if method.most < np.inf:
        with pytest.raises(Wrong, match="is never exceeded"):
            drift.threshold(f"{sign} {method.most}", of)
    else:
        assert drift.threshold(f"{sign} 1000", of).value == 1000


def test_the_page_tells_what_every_method_compares_and_its_defaults() -> None:
    page = Path(__file__).parents[2] / "docs" / "lifecycle.md"
    (table,) = re.findall(r"### Methods by name\n\n(.*?)\n\n", page.read_text("utf-8"), re.S)
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in table.split("\n")[2:]]
    assert {drift.methods(row[0]).number for row in rows} == set(METHODS)
    for name, compares, effect, threshold, rule in rows:
        method = METHODS[drift.methods(name).number]
        words = {"number": "numbers", "category": "categories"}
        assert compares == ("any type" if len(method.compares) == 2 else words[method.compares[0]])
        assert effect.startswith(f"`{method.effect}`")
        assert float(threshold) == method.threshold
        assert rule == (
            f"p < {method.level:g}" if method.level else f"{name} > {method.threshold:g}"
        )


@pytest.mark.parametrize(
    ("written", "number", "category"),
    [
        ("method: auto", None, None),
        ("method: PSI", Rule("psi", 0.2, 0.4), Rule("psi", 0.2, 0.4)),
        ("method: PSI, threshold: 0.1", Rule("psi", 0.1, 0.2), Rule("psi", 0.1, 0.2)),
        ("method: JS, threshold: 0.1, severe: 0.3", Rule("js", 0.1, 0.3), Rule("js", 0.1, 0.3)),
        ("threshold: 0.05", Rule("auto", 0.05, 0.1), Rule("auto", 0.05, 0.1)),
        ("method: KS, threshold: D > 0.2", Rule("ks", 0.2, 0.4), None),
        ("method: KS, threshold: p < 0.01", Rule("ks", 0.1, 0.2, 0.01), Rule(level=0.01)),
        ("method: Chi-Square, threshold: V > 0.1", None, Rule("chi2", 0.1, 0.2)),
        (
            "method: {number: KS, category: PSI}, threshold: D > 0.2",
            Rule("ks", 0.2, 0.4),
            Rule("psi", 0.2, 0.4),
        ),
        (
            "method: PSI, alarm: every_window",
            Rule("psi", 0.2, 0.4, literal=True),
            Rule("psi", 0.2, 0.4, literal=True),
        ),
        (
            "method: KS, alarm: every_window",
            Rule("ks", 0.1, 0.2, 0.05, literal=True),
            Rule("chi2", 0.05, 0.1, 0.05, literal=True),
        ),
        (
            "method: KS, threshold: p < 0.05, severe: p < 0.001, alarm: every_window",
            Rule("ks", 0.1, 0.2, 0.05, 0.001, literal=True),
            Rule("chi2", 0.05, 0.1, 0.05, 0.001, literal=True),
        ),
        (
            "method: Wasserstein, alarm: every_window",
            Rule("wasserstein", 0.1, 0.2, literal=True),
            None,
        ),
        (
            "method: Two-proportion, threshold: difference > 0.1, alarm: every_window",
            None,
            Rule("two_proportion", 0.1, 0.2, literal=True),
        ),
    ],
)
def test_what_is_written_becomes_a_rule_for_numbers_and_one_for_categories(
    written: str, number: Rule | None, category: Rule | None
) -> None:
    of = section(written)
    assert (rule_of(of, numeric=True), rule_of(of, numeric=False)) == (number, category)


def test_features_and_outputs_have_rules_of_their_own() -> None:
    one = lifecycle("{data_drift: {method: PSI}, prediction_drift: {method: TV, threshold: 0.3}}")
    prediction = cases.flag("p").__class__("prediction", "boolean", categories=("false", "true"))
    found = rules(one, [N, prediction], aside=["feature:n"])
    assert found == {"prediction": Rule("tv", 0.3, 0.6)}
    assert rules(one, [N])["feature:n"].method == "psi"


def test_a_feature_may_have_a_smallest_effect_of_its_own() -> None:
    features = "features: {n: {type: number, min_effect: 0.05}, c: category}"
    auto = rules(lifecycle("{data_drift: {}}", features), [N, C])
    assert auto == {"feature:n": Rule("auto", 0.05, 0.1)}
    drift = "{data_drift: {method: PSI, threshold: 0.1, severe: 0.4}}"
    found = rules(lifecycle(drift, features), [N, C])
    assert found["feature:n"] == Rule("psi", 0.05, 0.2)
    assert found["feature:c"] == Rule("psi", 0.1, 0.4)


def test_a_plan_joins_small_windows_only_where_a_budget_wants_them() -> None:
    names = [s.name for s in (N, B, C)]

    def rows(written: str) -> int:
        return policy(lifecycle(f"{{data_drift: {{{written}}}}}"), REFERENCE, names, 9.0).min_rows

    assert rows("method: PSI, alarm: every_window") == LEAST_ROWS
    assert rows("method: Wasserstein, alarm: every_window") == 200
    assert rows("method: PSI") == 200
    shared = policy(lifecycle("{data_drift: {share: 30%}}"), REFERENCE, names, 9.0)
    assert (shared.share, shared.inputs, shared.rules) == (0.3, tuple(names), {})


# ------------------------------------------------------------------------------- what check says

FIFTY = "features: {" + ", ".join(f"f{i}: number" for i in range(50)) + "}"


def test_check_says_what_a_rule_does_without_drift_and_what_it_misses() -> None:
    one = lifecycle("{data_drift: {method: KS, threshold: p < 0.05, alarm: every_window}}", FIFTY)
    (line,) = expectations(one, None)
    said, _, flags = line.partition(": about ")
    assert (
        said
        == "monitoring.drift_detection.data_drift: ks p < 0.05 on 50 numbers, hourly, ~1,000 rows"
    )
    count, _, rest = flags.partition(" ")
    assert 130 < int(count) < 170  # statistics 2.3: 150
    assert rest == (
        "false flags a week with no drift; finds a .25 sd shift in 100 % of windows. "
        "alarm: budget: at most 1 per 90 days. "
        "(no reference yet: even cells, 10,000 reference rows and 1,000 a window assumed)"
    )


def test_where_nothing_was_flagged_check_tells_the_rule_of_three() -> None:
    (line,) = expectations(lifecycle("{data_drift: {method: PSI}}", FIFTY), None)
    assert ": fewer than 1.3 false flags a week" in line
    assert "in 0 % of windows" in line


def test_check_says_what_a_method_does_not_compare() -> None:
    of = lifecycle("{data_drift: {method: Wasserstein, threshold: 0.2}}")
    number, category = expectations(of, REFERENCE)
    assert "wasserstein > 0.2 on 1 number, hourly, ~1,000 rows" in number
    assert "no reference yet" not in number
    assert category == (
        "monitoring.drift_detection.data_drift: wasserstein does not compare 2 categories: "
        "auto watches, under the budget"
    )


def test_check_says_how_often_a_detector_without_a_budget_is_wrong_at_the_rate_of_labels() -> None:
    written = "{concept_drift: {method: [Performance degradation, DDM, ADWIN]}}"
    ddm, adwin = expectations(lifecycle(written), None)
    assert ddm == (
        "monitoring.drift_detection.concept_drift.method: ddm has no budget: about 1.5 false alarms a week at "
        "24,000 labels a day while nothing changes, if they are independent, and many more if not; evidence in "
        "results only, it opens nothing; not for alarms anywhere (no labels in a reference yet: so many assumed)"
    )
    assert "adwin has no budget: about 0.1 false alarms a week" in adwin
    assert "not for alarms" not in adwin


def test_a_feature_with_its_own_smallest_effect_has_its_own_line() -> None:
    features = "features: {a: number, b: {type: number, min_effect: 0.05}}"
    first, second = expectations(lifecycle("{data_drift: {method: JS}}", features), None)
    assert "js > 0.1 on 1 number" in first
    assert "js > 0.05 on 1 number" in second


def test_equal_files_get_equal_lines_and_auto_gets_none() -> None:
    one = lifecycle("{data_drift: {method: PSI, threshold: 0.01}, prediction_drift: {method: JS}}")
    assert expectations(one, REFERENCE) == expectations(one, REFERENCE)
    assert expectations(lifecycle("{data_drift: {threshold: 0.1}}"), REFERENCE) == ()


def test_the_reference_beside_a_lifecycle_is_read_by_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "features: {n: number}, monitoring: {drift_detection: {data_drift: {method: PSI}}}"
    (tmp_path / "m.yaml").write_text(f'model_lifecycle: {{model_id: m, version: "1", {text}}}')
    assert main(["check", str(tmp_path / "m.yaml")]) == 0
    assert "no reference yet" in capsys.readouterr().out
    (tmp_path / "m.reference.json").write_text(readable(to_document(REFERENCE)))
    assert main(["check", str(tmp_path / "m.yaml")]) == 0
    printed = capsys.readouterr().out
    assert "  rule: monitoring.drift_detection.data_drift: psi > 0.2 on 1 number" in printed
    assert "no reference yet" not in printed


# ------------------------------------------------------------------------------- from file to alert


HOUR_MS, START_MS = 3_600_000, 1_772_409_600_000


def events(first: int, last: int, shift: float = 0.0, per_hour: int = 250) -> bytes:
    """Hours of a number between 0 and 1 with an even spread, shifted upwards."""
    lines = []
    for hour in range(first, last):
        for n in range(per_hour):
            x = (n * 0.6180339887 + hour * 0.17) % 1.0 + shift
            at = START_MS + hour * HOUR_MS + n * HOUR_MS // per_hour
            lines.append(f'{{"model_id":"m","timestamp":{at},"features":{{"x":{x}}}}}')
    return ("\n".join(lines) + "\n").encode()


def replayed(folder: Path, written: str) -> list[dict[str, Any]]:
    """The results of three quiet hours, two with a shift of .6 sd, and five quiet ones."""
    text = (
        f"features: {{x: number}}, monitoring: {{drift_detection: {{data_drift: {{{written}}}}}}}"
    )
    (folder / "m.yaml").write_text(f'model_lifecycle: {{model_id: m, version: "1", {text}}}')
    (folder / "past.jsonl").write_bytes(events(-40, 0))
    now = events(0, 3) + events(3, 5, shift=0.17) + events(5, 10)
    (folder / "now.jsonl").write_bytes(now)
    lifecycle, found = str(folder / "m.yaml"), folder / "found"
    assert main(["baseline", lifecycle, "--data", str(folder / "past.jsonl")]) == 0
    events_of = ["--events", str(folder / "now.jsonl"), "--output", str(found)]
    assert main(["replay", lifecycle, *events_of]) == 0
    lines = (found / "leeway.results.jsonl").read_bytes().splitlines()
    results = [msgspec.json.decode(line)["value"] for line in lines]
    return [result for result in results if result["scope"] == "inputs"]


def test_a_rule_of_every_window_goes_from_the_file_to_the_results(tmp_path: Path) -> None:
    found = replayed(tmp_path, "method: PSI, threshold: 0.25, severe: 5, alarm: every_window")
    assert [(r["verdict"], r["reason"]) for r in found] == [
        *[("stable", "quiet")] * 3,
        *[("drifting", "rule")] * 4,
        *[("stable", "quiet")] * 3,
    ]
    loud = found[3]
    assert loud["alarm"] is None
    assert loud["notes"][-1] == "1 series have rules of every window, outside the budget"
    (series,) = loud["series"]
    assert (series["verdict"], series["reason"]) == ("drifting", "rule")
    assert series["evidence"][0]["detector"] == "psi"
    assert (series["effect"]["name"], series["effect"]["floor"]) == ("psi", 0.25)
    alerts = (tmp_path / "found" / "leeway.alerts.jsonl").read_bytes().splitlines()
    assert len(alerts) == 2  # opened and resolved
    opened = msgspec.json.decode(alerts[0])["value"]["evidence"]
    assert (opened["budget"], opened["log_threshold"]) == (None, None)


def test_a_named_method_under_a_budget_goes_from_the_file_to_the_results(tmp_path: Path) -> None:
    found = replayed(tmp_path, "method: KS-test, threshold: D > 0.05")
    assert found[4]["verdict"] in ("drifting", "severe")
    assert all(r["alarm"] is not None for r in found)
    effects = {s["effect"]["name"] for r in found for s in r["series"]}
    assert effects == {"ks_statistic"}
    assert {s["evidence"][0]["detector"] for r in found for s in r["series"]} == {"ks"}
