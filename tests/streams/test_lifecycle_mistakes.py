"""Every mistake a person can make in a lifecycle has its one line, at its place."""

from pathlib import Path

import pytest

from streams.errors import LifecycleError, UsageError
from streams.lifecycle import load, read

BAD = Path(__file__).parent / "bad"
FILES = sorted(BAD.glob("*.yaml"))
FEATURES = "features: {income: number, home: category, employed: boolean, note: text}"


def mistakes(text: str, receivers: tuple[str, ...] = ()) -> list[str]:
    """The lines for a text, without the name of the file."""
    with pytest.raises(LifecycleError) as error:
        load(text, "m.yaml", receivers=receivers)
    assert all(line.startswith("m.yaml:") for line in error.value.mistakes)
    return [line.removeprefix("m.yaml:") for line in error.value.mistakes]


def lifecycle(*sections: str) -> str:
    """A lifecycle with these sections; the first is on line 4."""
    return "\n  ".join(["model_lifecycle:", "model_id: m", 'version: "2.3.1"', *sections]) + "\n"


def sections() -> list[tuple[str, list[str]]]:
    """The cases of `bad/sections.txt`: sections that begin on line 4, and the lines they cause."""
    cases = []
    for block in (BAD / "sections.txt").read_text(encoding="utf-8").strip("\n").split("\n\n"):
        rows = block.split("\n")
        written = [row for row in rows if not row.startswith("    ")]
        cases.append(
            ("\n  ".join(written), [row.strip() for row in rows if row.startswith("    ")])
        )
    return cases


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.stem))
def test_a_bad_file_has_exactly_the_line_that_it_begins_with(path: Path) -> None:
    expected = path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
    with pytest.raises(LifecycleError) as error:
        read(path)
    assert error.value.mistakes == [f"{path}:{expected}"]


def test_all_fifteen_typical_mistakes_and_many_more_are_there() -> None:
    assert len(FILES) >= 15
    assert len(sections()) >= 150


@pytest.mark.parametrize(("written", "expected"), sections())
def test_each_mistake_in_a_section_has_its_line(written: str, expected: list[str]) -> None:
    rest = (
        [] if written.startswith(("features", "prediction", " ")) or "\n" in written else [FEATURES]
    )
    assert mistakes(lifecycle(*filter(None, [written, *rest]))) == expected


GOOD = "model_lifecycle: {model_id: a, version: '1', features: {x: number}}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", '1:1: the file is empty: expected "model_lifecycle:"'),
        ("# nothing\n", '1:1: the file is empty: expected "model_lifecycle:"'),
        ("---\n", '2:1: the document is empty: expected "model_lifecycle:"'),
        (
            "model_lifecycle:\n",
            "1:1: model_lifecycle: is empty: expected model_id, version and what to watch",
        ),
        (
            "model_lifecycel: {}\n",
            '1:1: model_lifecycel: is not a key of the document: expected "model_lifecycle" alone; '
            'did you mean "model_lifecycle"?',
        ),
        ("- a\n", '1:1: the document is not a mapping: expected "model_lifecycle:"'),
        (
            "model_lifecycle: [1]\n",
            "1:18: model_lifecycle: is not a mapping: expected model_id, version and what to watch",
        ),
        (GOOD + "more: 1\n", '2:1: more: is not a key of the document: expected "model_lifecycle" alone'),
        (
            GOOD + "---\n" + GOOD,
            '3:29: model_id: "a" is the id of another model of this file: expected each model once (first on line 1)',
        ),
        (
            GOOD.replace("a,", "a b,"),
            '1:29: model_id: "a b" is not a model id: '
            "expected a letter or digit, then at most 99 letters, digits, dots, underscores or dashes",
        ),
        (GOOD.replace("model_id: a, ", ""), "1:18: model_id: is missing: expected a name such as churn"),
        (GOOD.replace("version: '1', ", ""), '1:18: version: is missing: expected text such as "1.0.0"'),
        (
            GOOD.replace(", features: {x: number}", ""),
            "1:18: nothing is watched: expected one of features, prediction and monitoring",
        ),
        (GOOD.replace("a,", "!!str a,"), '1:29: model_id: has the tag "!!str": expected no tags'),
        (
            GOOD.replace("a,", "!!python/name:os.system a,"),
            '1:29: model_id: has the tag "!!python/name:os.system": expected no tags',
        ),
        (GOOD.replace("a,", "*a,"), '1:29: not YAML: alias "*a" names nothing: expected &a above'),
        (
            GOOD.replace("{model_id: a", "&a {model_id: *a"),
            '1:32: not YAML: alias "*a" stands inside what it names',
        ),
        (GOOD.replace("}}", "}, <<: {b: 1}}"), "1:69: <<: is a merge key: expected the keys themselves"),
        (
            GOOD.replace("model_id", "? [a] : 1, model_id"),
            "1:21: a key is not text: expected a name, a colon and a value",
        ),
        ("model_lifecycle:\n\tmodel_id: a\n", "2:1: not YAML: a tab: expected blanks for indentation"),
        ("model_lifecycle: {model_id: a\n", '1:18: not YAML: a "{" that is not closed: expected "," or "}"'),
        ("a: [1, {}\n", '1:4: not YAML: a "[" that is not closed: expected "," or "]"'),
        (
            "model_lifecycle:\n  model_id: 'a\n",
            "2:13: not YAML: a quote that is not closed: expected a closing quote",
        ),
        (
            "model_lifecycle:\n  model_id: a\n version: b\n",
            "3:2: not YAML: this is no key of the mapping it stands in: "
            "expected the same indentation as its neighbours",
        ),
        (
            "model_lifecycle:\n  model_id\n  version: b\n",
            '3:10: not YAML: a ":" that starts no key: expected one key on each line',
        ),
        (
            'model_lifecycle:\n  model_id: "a\\q"\n',
            "2:15: not YAML: an unknown escape in double quotes: "
            "expected single quotes, or \\\\ for a backslash",
        ),
        (GOOD.replace("a,", "a\x00,"), "1:30: not YAML: a control character: expected printable text"),
        ("a: " + "[" * 60 + "]" * 60, "1:36: is nested deeper than 32: expected a flatter file"),
        ("a: &x [1]\nb: [" + "*x," * 101 + "]", "2:305: b[100]: is alias 101: expected 100 at most"),
        ("x" * 1_000_001, "1:1: the file is longer than 1,000,000 characters: expected one short document per model"),
    ],
)  # fmt: skip
def test_each_mistake_in_a_document_has_its_line(text: str, expected: str) -> None:
    assert expected in mistakes(text)


def test_aliases_cannot_be_multiplied_into_a_giant() -> None:
    rows = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    assert any("more than 50,000 values" in line for line in mistakes("\n".join(rows)))


def test_all_mistakes_of_a_file_are_told_at_once_in_the_order_of_their_places() -> None:
    found = mistakes(
        lifecycle(
            "metadata: {owner: 7}",
            "features: {age: nmber, age: number}",
            "monitoring:",
            "  window: {pane: 1m, size: 90s}",
            "  alerts:",
            "  - {condition: model looks bad, severity: High}",
            "  - condition: Scheduled: Daily",
            "    severity: Low",
        )
    )
    assert [line.split(": ")[0] for line in found] == [
        "4:21", "5:19", "5:26", "7:30", "9:19", "9:46", "10:18", "11:17",
    ]  # fmt: skip


def test_a_mistake_of_one_item_does_not_shift_the_places_of_others() -> None:
    found = mistakes(
        lifecycle(
            FEATURES,
            "monitoring:",
            "  alerts:",
            "  - {condition: nonsense, severity: Warning}",
            "  - {condition: data drift, severity: Warning, channel: Teams}",
            "  - {condition: psi(incme) > 0.2, severity: Warning}",
        )
    )
    assert [line.split(": ")[1] for line in found] == [
        "monitoring.alerts[0].condition",
        "monitoring.alerts[1].channel",
        "monitoring.alerts[2].condition",
    ]


def test_a_mistake_is_not_told_twice_by_what_depends_on_it() -> None:
    broken_feature = lifecycle(
        "features: {income: {type: nmber}}",
        "monitoring: {drift_detection: {data_drift: {features_monitored: [income]}}}",
    )
    assert len(mistakes(broken_feature)) == 1
    broken_pane = lifecycle("monitoring: {window: {pane: 1M, size: 90s}}")
    assert len(mistakes(broken_pane)) == 1
    misspelt = lifecycle(FEATURES, "monitoring: {alerts: [{conditoin: data drift}]}")
    assert len(mistakes(misspelt)) == 1


def test_a_mistake_of_a_parent_is_dropped_when_its_child_has_one() -> None:
    (line,) = mistakes(lifecycle("segments: [{by: [a, 5]}]", "features: {x: number}"))
    assert "segments[0].by" in line


def test_quotes_that_are_put_in_do_not_move_what_stands_behind_them() -> None:
    found = mistakes(
        lifecycle(
            FEATURES,
            "retraining: {trigger_conditions: [{trigger: Scheduled: Monthly, action: retrian}]}",
        )
    )
    assert [line.split(": ")[0] for line in found] == ["5:47", "5:75"]


def test_values_of_pii_features_and_their_hints_are_never_quoted() -> None:
    for written in (
        "{type: number, range: [0, 4711x]}",
        "{type: number, range: [4711, 4710]}",
        "{type: number, nullable: 4711}",
        "{type: category, allowed: [4711.5]}",
        "{type: number, range: 4711}",
        "{type: category, allowed: 4711}",
        "{type: number, range: > 4711}",
        "{type: category, allowed: [a: 4711: b]}",
    ):
        text = lifecycle("privacy: {pii: [x]}", f"features: {{x: {written}}}")
        assert "471" not in "\n".join(mistakes(text))


def test_a_receiver_may_be_a_channel_only_where_it_is_known() -> None:
    text = lifecycle(FEATURES, "monitoring: {alerts: [{condition: data drift, channel: team-a}]}")
    assert "is not a channel" in mistakes(text)[0]
    (loaded,) = load(text, "m.yaml", receivers=["team-a"])
    assert loaded.monitoring.alerts[0].channels == ("team-a",)
    assert 'did you mean "team-a"?' in mistakes(text.replace("team-a", "team-b"), ("team-a",))[0]


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        read(tmp_path / "none.yaml")
    with pytest.raises(UsageError, match="is a folder"):
        read(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"model_lifecycle: {model_id: \xe9}")
    with pytest.raises(LifecycleError, match=r"latin\.yaml:1:1: the file is not UTF-8"):
        read(tmp_path / "latin.yaml")
