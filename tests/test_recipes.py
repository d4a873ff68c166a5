"""Do the recipes for schedulers read what a trigger says, and name their runs by it?"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from streams.cli.app import COMMANDS

RECIPES = Path(__file__).resolve().parents[1] / "examples" / "retrain" / "recipes"
GOLDEN = Path(__file__).parent / "alerting" / "golden"


def trigger() -> dict[str, Any]:
    """An approved trigger as the contract has it."""
    found: dict[str, Any] = json.loads((GOLDEN / "trigger.json").read_bytes())
    return found | {"status": found["status"] | {"name": "approved"}}


def member(path: str) -> Any:
    """What is at a dotted path of a trigger; a KeyError where there is no such member."""
    found: Any = trigger()
    for name in path.split("."):
        found = found[name]
    return found


@pytest.fixture
def recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(RECIPES.parent)
    monkeypatch.syspath_prepend(RECIPES)


class Scheduler:
    """A server on loopback: remembers what it is asked, and answers what it is told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        self.answers: list[tuple[int, Any]] = []
        self.url = ""


@contextmanager
def answering() -> Iterator[Scheduler]:
    scheduler = Scheduler()

    class Door(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            scheduler.asked.append((self.command, self.path, json.loads(body or b"null")))
            status, said = scheduler.answers.pop(0) if scheduler.answers else (200, {})
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(said).encode())

        do_GET = do_POST = _answer  # noqa: N815 - the names that are called

        def log_message(self, *args: object) -> None:
            """Nothing: pytest shows what failed."""

    with HTTPServer(("127.0.0.1", 0), Door) as server:
        scheduler.url = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield scheduler
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.usefixtures("recipes")
def test_airflow_runs_the_trigger_by_its_id_and_takes_a_conflict_for_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    airflow = import_module("airflow_rest")
    monkeypatch.setenv("AIRFLOW_TOKEN", "t")
    with answering() as scheduler:
        monkeypatch.setattr(airflow, "AIRFLOW", scheduler.url)
        scheduler.answers = [(200, {}), (409, {}), (500, {})]
        airflow.start(trigger())
        airflow.start(trigger())
        with pytest.raises(airflow.HTTPError):
            airflow.start(trigger())
    (method, path, body), again, _ = scheduler.asked
    assert (method, path) == ("POST", "/api/v2/dags/retrain/dagRuns")
    assert again == scheduler.asked[0]
    assert body == {
        "dag_run_id": trigger()["trigger_id"],
        "logical_date": None,
        "conf": trigger(),
    }


@pytest.mark.usefixtures("recipes")
def test_github_is_sent_no_more_than_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    github = import_module("github")
    monkeypatch.setenv("GITHUB_TOKEN", "t")
    monkeypatch.setenv("GITHUB_REPOSITORY", "us/loans")
    with answering() as scheduler:
        monkeypatch.setattr(github, "GITHUB", scheduler.url)
        github.start(trigger())
    ((_, path, body),) = scheduler.asked
    assert path == "/repos/us/loans/dispatches"
    assert len(body["client_payload"]) <= 10
    assert len(json.dumps(body["client_payload"])) < 64 * 1024
    written = yaml.safe_load((RECIPES / "github_workflow.yaml").read_text())
    assert written[True]["repository_dispatch"]["types"] == [body["event_type"]]  # `on` is true


@pytest.mark.usefixtures("recipes")
def test_sagemaker_is_given_the_trigger_as_its_token_and_texts_as_parameters() -> None:
    sagemaker = import_module("sagemaker")
    asked: list[dict[str, Any]] = []

    class Client:
        def start_pipeline_execution(self, **members: Any) -> None:
            asked.append(members)

    sagemaker.start(trigger(), Client())
    (members,) = asked
    assert 32 <= len(members["ClientRequestToken"]) <= 128
    shown = members["PipelineExecutionDisplayName"]
    assert re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,81}", shown)
    assert shown == members["ClientRequestToken"] == trigger()["trigger_id"]
    for one in members["PipelineParameters"]:
        assert one.keys() == {"Name", "Value"}
        assert 0 < len(one["Value"]) <= 1024


@pytest.mark.usefixtures("recipes")
def test_kubeflow_is_asked_for_a_run_of_this_name_before_one_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kubeflow = import_module("kubeflow")
    monkeypatch.setenv("KUBEFLOW_PIPELINE", "p")
    monkeypatch.setenv("KUBEFLOW_PIPELINE_VERSION", "v")
    with answering() as scheduler:
        monkeypatch.setattr(kubeflow, "KUBEFLOW", scheduler.url)
        scheduler.answers = [(200, {}), (200, {}), (200, {"runs": [{}]})]
        kubeflow.start(trigger())
        kubeflow.start(trigger())
    assert [method for method, _, _ in scheduler.asked] == ["GET", "POST", "GET"]
    ((_, looked, _), (_, path, run), _) = scheduler.asked
    (wanted,) = parse_qs(urlsplit(looked).query)["filter"]
    (same,) = json.loads(wanted)["predicates"]
    assert same["string_value"] == run["display_name"] == trigger()["trigger_id"]
    assert path == "/apis/v2beta1/runs"


def test_argo_reads_members_that_a_trigger_has_and_names_the_workflow_by_it() -> None:
    source, sensor = yaml.safe_load_all((RECIPES / "argo.yaml").read_text())
    kafka = source["spec"]["kafka"]["retraining"]
    assert kafka["topic"] == "leeway.retraining"
    path, value = re.fullmatch(r"body\.(\S+) == '(\w+)'", kafka["filter"]["expression"]).groups()  # type: ignore[union-attr]
    assert member(path) == value
    (dependency,) = sensor["spec"]["dependencies"]
    assert dependency["eventSourceName"] == source["metadata"]["name"]
    assert dependency["eventName"] in source["spec"]["kafka"]
    (one,) = sensor["spec"]["triggers"]
    assert one["atLeastOnce"] is True
    assert one["retryStrategy"]["steps"] > 1
    filled = {p["dest"]: p["src"]["dataKey"] for p in one["template"]["argoWorkflow"]["parameters"]}
    assert filled["metadata.name"] == "body.trigger_id"
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", trigger()["trigger_id"])
    for key in filled.values():
        assert isinstance(member(key.removeprefix("body.")), str)


def test_the_workflow_of_github_reads_members_that_a_trigger_has_and_commands_that_exist() -> None:
    text = (RECIPES / "github_workflow.yaml").read_text()
    read = re.findall(r"github\.event\.client_payload\.([\w.]+)", text)
    assert "trigger_id" in read
    for path in read:
        assert isinstance(member(path), str)
    assert yaml.safe_load(text)["concurrency"]["group"] == "${{ " + (
        "github.event.client_payload.trigger_id }}"
    )
    for name in re.findall(r"leeway (\w+)", text):
        assert name in [command.name for command in COMMANDS]


def test_the_watcher_of_airflow_names_a_function_of_its_file_that_takes_approvals_alone() -> None:
    text = (RECIPES / "airflow_watcher.py").read_text()
    (named,) = re.findall(r'apply_function="([\w.]+)"', text)
    module, _, function = named.partition(".")
    assert (RECIPES / f"{module}.py").exists()
    (source,) = re.findall(rf"^(def {function}\(.*?)^\S", text, re.M | re.S)
    names: dict[str, Any] = {"json": json, "Any": Any}
    compiled = compile(source, named, "exec")
    exec(compiled, names)  # noqa: S102 - our own file; Airflow is not here to import the rest

    class Message:
        def __init__(self, kind: bytes) -> None:
            self._kind = kind

        def headers(self) -> list[tuple[str, bytes]]:
            return [("ce_type", self._kind)]

        def value(self) -> bytes:
            return json.dumps(trigger()).encode()

    found = names[function](Message(b"leeway.retraining.approved.v1"))
    assert found["trigger_id"] == trigger()["trigger_id"]
    assert names[function](Message(b"leeway.retraining.requested.v1")) is None


def test_every_member_that_a_python_recipe_reads_is_one_of_a_trigger() -> None:
    for file in sorted(RECIPES.glob("*.py")):
        for found in re.findall(r'trigger((?:\["\w+"\])+)', file.read_text()):
            member(found.strip('[]"').replace('"]["', "."))
        compile(file.read_text(), file.name, "exec")
