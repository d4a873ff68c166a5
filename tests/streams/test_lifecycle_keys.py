"""Do editors and pages know the keys of a lifecycle as `leeway check` knows them?"""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from streams.cli import main
from streams.lifecycle.keys import file_schema, keys
from streams.schemas import FILES, FOLDER, of_files
from tests.test_documentation import ROOT, blocks, text_of

VALIDATOR = Draft202012Validator(file_schema())
WRITTEN = [
    *(
        (path.name, path.read_text("utf-8"))
        for folder in ("examples", "streams")
        for path in sorted((ROOT / folder).glob("**/*.yaml"))
        if "model_lifecycle:" in path.read_text("utf-8")
    ),
    *(
        (f"{page}, block {number}", block.text)
        for page in ("lifecycle.md", "tutorial.md", "how-to.md", "outcomes.md", "retraining.md")
        for number, block in enumerate(blocks(text_of(page)))
        if block.language == "yaml" and block.text.startswith("model_lifecycle:")
    ),
]


def documents(text: str) -> list[Any]:
    """As an editor reads them: a date is text."""
    found = yaml.safe_load_all(text)
    return [json.loads(json.dumps(one, default=str)) for one in found if one is not None]


def lifecycle(**more: Any) -> dict[str, Any]:
    return {
        "model_lifecycle": {"model_id": "m", "version": "1.0", "features": {"a": "number"}, **more}
    }


def test_the_file_equals_the_code() -> None:
    assert (FOLDER / FILES).read_bytes() == of_files(), "run python -m streams.schemas"
    Draft202012Validator.check_schema(file_schema())


@pytest.mark.parametrize(("name", "text"), WRITTEN, ids=[name for name, _ in WRITTEN])
def test_an_editor_takes_every_file_that_leeway_takes(name: str, text: str) -> None:
    found = [one for one in documents(text) if "model_lifecycle" in one]
    assert found
    for one in found:
        assert [error.message for error in VALIDATOR.iter_errors(one)] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"model_lifecycle": {"version": "1.0"}},
        {"model_lifecycle": {"model_id": "m", "version": 1.0}},
        {"lifecycle": {"model_id": "m", "version": "1.0"}},
        lifecycle(monitorring={}),
        lifecycle(features={"a": {"type": "number", "rnage": [0, 1]}}),
        lifecycle(features={"a": {"range": [0, 1]}}),
        lifecycle(monitoring={"window": {"size": 60}}),
        lifecycle(monitoring={"alerts": [{"severity": "Critical"}]}),
        lifecycle(source={"predictions": True}),
        lifecycle(privacy={"show_values": "maybe"}),
    ],
)
def test_an_editor_sees_what_leeway_would_refuse(wrong: Any, tmp_path: Path) -> None:
    assert not VALIDATOR.is_valid(wrong)
    path = tmp_path / "wrong.yaml"
    path.write_text(yaml.safe_dump(wrong))
    assert main(["check", str(path)]) == 2


@pytest.mark.parametrize(
    "short",
    [
        lifecycle(segments=["country", {"by": ["country", "plan"]}]),
        lifecycle(source={"predictions": False, "features": {"topic": "t"}, "join": False}),
        lifecycle(
            monitoring={"drift_detection": {"data_drift": {"method": "psi", "share": "30%"}}}
        ),
        lifecycle(metadata={"owner": None, "model_type": "llm"}),
        lifecycle(features={"a": "Number", "b": {"type": "category", "allowed": ["x", 1, True]}}),
    ],
)
def test_an_editor_takes_the_short_ways_to_write_something(short: Any) -> None:
    assert [error.message for error in VALIDATOR.iter_errors(short)] == []


def test_every_key_says_what_it_means_in_one_line() -> None:
    for key in keys():
        assert key.meaning, key.path
        assert "\n" not in key.meaning
        assert not key.meaning.endswith("."), key.path


def test_check_prints_the_schema_and_needs_no_file_for_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["check", "--schema"]) == 0
    assert json.loads(capsys.readouterr().out) == file_schema()
