"""Does the reference consumer run one job per trigger, whatever comes twice, out of order, late, or is taken back?"""

import fcntl
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detectors.reference.build import from_document
from streams.cli import main
from streams.commands import Deployed, Report, decode
from streams.lifecycle import load

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "retrain"
LIFECYCLE = EXAMPLE / "loans.yaml"
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
REPORT = {"status": "completed", "model_version": "1.1.0", "metrics": {"accuracy": 0.9}}
SEQUENCE = ("requested", "approved", "started", "completed")


@pytest.fixture
def consumer(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module, as a copy of it would be imported."""
    monkeypatch.syspath_prepend(EXAMPLE)
    return import_module("consumer")


class Job:
    """A job that runs until it is told otherwise."""

    def __init__(self) -> None:
        self.ended: int | None = None

    def poll(self) -> int | None:
        return self.ended

    def terminate(self) -> None:
        self.ended = -15


class Pipeline:
    """The consumer on a folder, with jobs that only pretend and commands that are remembered."""

    def __init__(self, consumer: Any, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.consumer, self.runs = consumer, runs
        self.begun: list[Job] = []
        self.said: list[dict[str, Any]] = []
        self.applied: list[list[str]] = []
        self.jobs: dict[str, Job] = {}
        self.now = NOW
        monkeypatch.setattr(consumer, "train", self._train)
        monkeypatch.setattr(consumer.subprocess, "run", self._run)

    def _train(self, run: Path, lifecycle: Path) -> Job:
        self.begun.append(Job())
        return self.begun[-1]

    def _run(self, line: list[str], *, check: bool) -> None:
        assert check
        self.applied.append(line)

    def hears(self, *events: bytes) -> None:
        """Events come, and what is known is acted on."""
        for event in events:
            self.consumer.keep(self.runs, event)
        self.turns()

    def turns(self) -> None:
        for known in sorted(self.runs.glob("*/trigger.json")):
            self.consumer.step(known.parent, LIFECYCLE, self.jobs, self.said.append, self.now)

    def is_killed(self) -> None:
        """Kill -9: only the folder is left, the jobs died as well."""
        self.jobs = {}

    def trained(self, report: dict[str, Any] = REPORT, trigger_id: str = "rt-1") -> None:
        """What `train.py` leaves when it is done."""
        run = self.runs / trigger_id
        (run / "report.json").write_text(json.dumps(report))
        (run / "model.json").write_text("{}")
        self.begun[-1].ended = 0

    @property
    def words(self) -> list[str]:
        return [str(c.get("status", c["command"])) for c in self.said]


@pytest.fixture
def pipeline(consumer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    return Pipeline(consumer, tmp_path / "runs", monkeypatch)


def event(status: str, sequence: int = 0, trigger_id: str = "rt-1", **members: Any) -> bytes:
    """One event in the life of a trigger."""
    number = sequence or SEQUENCE.index(status) + 1
    document: dict[str, Any] = {
        "trigger_id": trigger_id,
        "status": {"name": status, "sequence": number},
        "model": {"id": "loans", "version": "1.0.0"},
        "policy": {"expires_at": (NOW + timedelta(hours=72)).isoformat()},
        "gates": {"decision": "promote" if status == "completed" else None},
    }
    return json.dumps(document | members).encode()


def test_a_trigger_is_trained_reported_and_deployed_once_however_often_it_is_told(
    pipeline: Pipeline,
) -> None:
    for status in ("requested", "approved", "started"):
        pipeline.hears(event(status), event(status))
    pipeline.turns()
    assert len(pipeline.begun) == 1
    pipeline.trained()
    pipeline.turns()
    pipeline.hears(event("completed"), event("completed"))
    pipeline.hears(*(event(status) for status in SEQUENCE), event("approved"))
    pipeline.turns()
    assert len(pipeline.begun) == 1
    assert pipeline.words == ["started", "completed", "deployed"]
    assert len({c["command_id"] for c in pipeline.said}) == 3
    assert all(len(c["command_id"]) <= 64 for c in pipeline.said)
    assert len(pipeline.applied) == 1
    assert (pipeline.runs / "current.json").exists()


def test_what_was_requested_but_not_approved_starts_nothing(pipeline: Pipeline) -> None:
    pipeline.hears(event("requested"))
    assert (pipeline.begun, pipeline.said) == ([], [])


@pytest.mark.parametrize("status", ["cancelled", "rejected", "failed"])
def test_an_approval_that_comes_after_its_end_starts_nothing(
    pipeline: Pipeline, status: str
) -> None:
    pipeline.hears(event(status, 3))
    pipeline.hears(event("approved"), event("requested"))
    assert (pipeline.begun, pipeline.said) == ([], [])


def test_an_approval_that_is_read_together_with_its_end_starts_nothing(pipeline: Pipeline) -> None:
    pipeline.hears(event("requested"), event("approved"), event("failed", 3))
    assert (pipeline.begun, pipeline.said) == ([], [])


def test_an_approval_that_has_expired_starts_nothing(pipeline: Pipeline) -> None:
    pipeline.now = NOW + timedelta(hours=73)
    pipeline.hears(event("approved"))
    assert (pipeline.begun, pipeline.said) == ([], [])


def test_a_job_that_runs_when_its_trigger_expires_goes_on(pipeline: Pipeline) -> None:
    pipeline.hears(event("approved"))
    pipeline.now = NOW + timedelta(hours=73)
    pipeline.turns()
    pipeline.trained()
    pipeline.turns()
    assert pipeline.words == ["started", "completed"]


def test_a_cancelled_job_is_ended_and_says_no_more(pipeline: Pipeline) -> None:
    pipeline.hears(event("approved"))
    pipeline.hears(event("cancelled", 3))
    assert pipeline.begun[0].ended is not None
    pipeline.trained()
    pipeline.turns()
    assert pipeline.words == ["started"]


def test_a_cancelled_job_that_had_just_ended_deploys_nothing(pipeline: Pipeline) -> None:
    pipeline.hears(event("approved"))
    pipeline.trained()
    pipeline.hears(event("cancelled", 3))
    assert pipeline.words == ["started"]


@pytest.mark.parametrize("status", ["approved", "started"])
def test_a_killed_consumer_takes_its_job_up_again_and_repeats_only_what_is_applied_once(
    pipeline: Pipeline, status: str
) -> None:
    pipeline.hears(event("approved"))
    pipeline.is_killed()
    pipeline.hears(event(status))
    assert len(pipeline.begun) == 2
    pipeline.trained()
    pipeline.turns()
    assert pipeline.words == ["started", "completed"]


def test_a_job_that_outlives_its_consumer_is_not_begun_again(pipeline: Pipeline) -> None:
    pipeline.hears(event("approved"))
    pipeline.is_killed()
    with (pipeline.runs / "rt-1" / "lock").open("w") as alive:
        fcntl.flock(alive, fcntl.LOCK_EX)
        pipeline.hears(event("started"))
        assert len(pipeline.begun) == 1
    pipeline.turns()
    assert len(pipeline.begun) == 2, "it died without a report"


def test_killed_before_it_remembered_what_it_said_it_says_the_same_again(
    pipeline: Pipeline,
) -> None:
    pipeline.hears(event("approved"))
    pipeline.trained()
    pipeline.hears(event("completed"))
    (pipeline.runs / "rt-1" / "released").unlink()
    pipeline.is_killed()
    pipeline.turns()
    first, again = (c for c in pipeline.said if c["command"] == "deployed")
    assert first == again


@pytest.mark.parametrize("decision", ["hold", "reject", None])
def test_a_model_that_is_not_to_be_promoted_is_not_deployed(
    pipeline: Pipeline, decision: str | None
) -> None:
    pipeline.hears(event("approved"))
    pipeline.trained()
    pipeline.turns()
    pipeline.hears(event("completed", gates={"decision": decision}))
    assert pipeline.words == ["started", "completed"]


def test_a_held_model_is_deployed_once_its_last_check_is_ticked(pipeline: Pipeline) -> None:
    pipeline.hears(event("approved"))
    pipeline.trained()
    pipeline.hears(event("completed", gates={"decision": "hold"}))
    pipeline.hears(event("completed", 5))
    assert pipeline.words[-1] == "deployed"


def test_a_run_of_somebody_else_is_left_alone(pipeline: Pipeline) -> None:
    pipeline.hears(event("started"))
    pipeline.hears(event("completed"))
    assert (pipeline.begun, pipeline.said) == ([], [])


def test_a_failed_job_is_reported_with_its_error_and_not_tried_again(pipeline: Pipeline) -> None:
    pipeline.hears(event("approved"))
    pipeline.trained({"status": "failed", "error": "ValueError: 3 labelled events"})
    pipeline.turns()
    pipeline.turns()
    assert pipeline.words == ["started", "failed"]
    assert len(pipeline.begun) == 1


def test_the_commands_are_those_that_leeway_reads(pipeline: Pipeline) -> None:
    pipeline.hears(event("approved"))
    pipeline.trained()
    pipeline.turns()
    pipeline.hears(event("completed"))
    started, completed, deployed = (decode(json.dumps(c).encode()) for c in pipeline.said)
    assert isinstance(started, Report)
    assert isinstance(completed, Report)
    assert isinstance(deployed, Deployed)
    assert completed.metrics == {"accuracy": 0.9}
    assert (deployed.trigger_id, deployed.reference_id) == ("rt-1", "rt-1")


# ---- the job


@pytest.fixture
def job(consumer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Path]:
    """Let `train.py` run on a file with so many labelled events; its `leeway` is that of this process."""
    module = import_module("train")

    def leeway(line: list[str], *, check: bool, stdout: int) -> None:
        assert (line[0], check) == ("leeway", True)
        assert main(line[1:]) == 0

    monkeypatch.setattr(module.subprocess, "run", leeway)

    def run(events: int) -> Path:
        folder = tmp_path / "rt-1"
        folder.mkdir(exist_ok=True)
        data = tmp_path / "events.jsonl"
        data.write_text("\n".join(json.dumps(one) for one in _labelled(events)))
        window = {"start": NOW.isoformat(), "end": (NOW + timedelta(days=1)).isoformat()}
        sources = {"data_sources": [str(data)]}
        (folder / "trigger.json").write_bytes(
            event("approved", training_window=window, pipeline=sources)
        )
        module.main(folder, LIFECYCLE)
        return folder

    return run


def _labelled(count: int) -> list[dict[str, Any]]:
    """Predictions that are no good, every second of them outside the window, and their labels."""
    dice = np.random.default_rng(7)
    start = int(NOW.timestamp() * 1000)
    found: list[dict[str, Any]] = []
    for k in range(1, 2 * count + 1):
        income, debt, age = dice.normal(size=3).round(3).tolist()
        late = dice.random() < 1 / (1 + np.exp(3 * (income - debt)))
        time_ms = start + k * 10_000 * (1 if k % 2 else -1)
        known = {"event_id": f"e{k}", "model_id": "loans", "model_version": "1.0.0"}
        features = {"income": income, "debt": debt, "age": age}
        said = {"timestamp": time_ms, "prediction": "repaid", "score": 0.5}
        found.append(known | said | {"features": features})
        truth = {"timestamp": time_ms + 60_000, "label": "default" if late else "repaid"}
        found.append(known | truth | {"prediction": "repaid"})
    return found


def test_a_job_makes_a_model_and_the_reference_of_its_version(job: Callable[[int], Path]) -> None:
    run = job(600)
    report = json.loads((run / "report.json").read_bytes())
    assert (report["status"], report["model_version"]) == ("completed", "1.1.0")
    assert report["metrics"]["accuracy"] > 0.8
    model = json.loads((run / "model.json").read_bytes())
    assert model["features"] == ["income", "debt", "age"]
    assert np.sign(model["weights"])[:2].tolist() == [-1, 1]
    reference = from_document(json.loads((run / "reference.json").read_bytes()))
    assert (reference.reference_id, reference.model_version) == ("rt-1", "1.1.0")
    assert reference.built_from.events == 600
    assert reference.outcomes is not None


def test_a_job_that_cannot_train_says_why(job: Callable[[int], Path]) -> None:
    report = json.loads((job(10) / "report.json").read_bytes())
    assert report["status"] == "failed"
    assert "10 labelled events" in report["error"]


def test_a_second_job_of_a_trigger_ends_at_once_while_the_first_still_runs(
    job: Callable[[int], Path], tmp_path: Path
) -> None:
    (tmp_path / "rt-1").mkdir()
    with (tmp_path / "rt-1" / "lock").open("w") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        assert not (job(10) / "report.json").exists()


def test_a_job_that_was_done_is_not_done_again(job: Callable[[int], Path]) -> None:
    (job(10) / "report.json").write_text('{"status": "completed"}')
    assert (job(600) / "report.json").read_text() == '{"status": "completed"}'


def test_the_lifecycle_of_the_example_is_one() -> None:
    (one,) = load(LIFECYCLE.read_text(), "loans.yaml")
    assert one.retraining.trigger_conditions[0].approval == "auto"
