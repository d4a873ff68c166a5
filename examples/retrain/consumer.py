"""Retrain when Leeway asks for it: exactly one job per trigger, whatever is delivered twice, late or out of order.

    LEEWAY_BROKERS=localhost:9092 python consumer.py loans.yaml runs

All that it knows is in the folder `runs`, so it may be killed at any time. Of every trigger it keeps there the newest
event (`trigger.json`); `train.py` leaves beside it what its job came to (`report.json`). To make it yours, write your
own `train.py` and `release`.
"""

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaException, Producer

BROKERS = os.environ.get("LEEWAY_BROKERS", "localhost:9092")
PREFIX = os.environ.get("LEEWAY_TOPICS_PREFIX", "leeway.")
ME = "retrain"
Say = Callable[[dict[str, Any]], None]  # gives a command; returns once Kafka has it
Jobs = dict[str, "subprocess.Popen[bytes]"]  # by trigger


def keep(runs: Path, value: bytes) -> None:
    """Keep the newest event of its trigger: `sequence` counts them, in whatever order they come."""
    event = json.loads(value)
    run = runs / Path(event["trigger_id"]).name
    known = read(run / "trigger.json")
    if known is None or event["status"]["sequence"] > known["status"]["sequence"]:
        run.mkdir(parents=True, exist_ok=True)
        write(run / "trigger.json", value)


def step(run: Path, lifecycle: Path, jobs: Jobs, say: Say, now: datetime) -> None:
    """Do what the newest event of a trigger asks for. Doing it again changes nothing."""
    trigger = read(run / "trigger.json")
    assert trigger is not None
    report, job = read(run / "report.json"), jobs.get(run.name)
    runs = (job is not None and job.poll() is None) or locked(run)
    match trigger["status"]["name"]:
        case "approved" | "started" if report is not None:
            once(run, "reported", lambda: say(command(trigger, "report", **report)))
        case "approved" if not (run / "job").exists() and expired(trigger, now):
            once(run, "expired", lambda: print(f"{run.name}: approved too long ago, not started"))
        case "approved":
            once(run, "job", lambda: say(command(trigger, "report", status="started")))
            if not runs:
                jobs[run.name] = train(run, lifecycle)
        case "started" if (run / "job").exists() and not runs:  # we were killed, or the job was
            jobs[run.name] = train(run, lifecycle)
        case "completed" if report is not None and trigger["gates"]["decision"] == "promote":
            once(run, "released", lambda: release(run, lifecycle, trigger, report, say))
        case "rejected" | "cancelled" | "failed" if job is not None:
            job.terminate()  # nobody waits for it any more


def train(run: Path, lifecycle: Path) -> "subprocess.Popen[bytes]":
    """Begin the job. It locks its folder, so that a second one ends at once where the first still runs."""
    program = Path(__file__).with_name("train.py")
    return subprocess.Popen([sys.executable, str(program), str(run), str(lifecycle)])


def locked(run: Path) -> bool:
    """Whether a job works in this folder: perhaps one that outlived the consumer that began it."""
    with (run / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def release(run: Path, lifecycle: Path, trigger: Any, report: Any, say: Say) -> None:
    """The reference first, then the model, then the word: from then on its answers are held against that reference."""
    reference = ["--reference", str(run / "reference.json")]
    subprocess.run(["leeway", "apply", str(lifecycle), *reference], check=True)
    write(run.parent / "current.json", (run / "model.json").read_bytes())  # what your service loads
    version = report["model_version"]
    of = {"model_version": version, "trigger_id": run.name, "reference_id": run.name}
    say(command(trigger, "deployed", **of))


def command(trigger: Any, word: str, **members: Any) -> dict[str, Any]:
    """A command about a trigger. Its id is always the same: given twice, it is applied once."""
    trigger_id, model_id = trigger["trigger_id"], trigger["model"]["id"]
    command_id = f"{trigger_id}.{members.get('status', word)}"
    about = {"command": word, "command_id": command_id, "model_id": model_id, "by": ME}
    return {**about, "trigger_id": trigger_id, **members}


def expired(trigger: Any, now: datetime) -> bool:
    """Whether it is so old that its reason may be gone."""
    return now > datetime.fromisoformat(trigger["policy"]["expires_at"])


def once(run: Path, name: str, act: Callable[[], None]) -> None:
    """Act, then remember it. Killed in between it is done again, which is why everything here may be."""
    if not (run / name).exists():
        act()
        write(run / name, b"")


def read(path: Path) -> Any:
    """What a file holds; None: there is none."""
    return json.loads(path.read_bytes()) if path.exists() else None


def write(path: Path, value: bytes) -> None:
    """All of it or nothing, also where the power fails."""
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    with beside.open("wb") as file:
        file.write(value)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def listen(runs: Path, act: Callable[[Path, Say], None]) -> None:
    """Keep what is told, and let `act` look at every trigger that is known, again and again."""
    group = {
        "group.id": f"{PREFIX}{ME}",
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
    }
    consumer = Consumer(
        {"bootstrap.servers": BROKERS, **group, "isolation.level": "read_committed"}
    )
    producer = Producer({"bootstrap.servers": BROKERS, "enable.idempotence": True})

    def say(given: dict[str, Any]) -> None:
        producer.produce(f"{PREFIX}commands", json.dumps(given), given["model_id"])
        if producer.flush(30):
            raise SystemExit("Kafka does not take our commands")

    consumer.subscribe([f"{PREFIX}retraining"])
    runs.mkdir(exist_ok=True)
    while True:
        messages = consumer.consume(500, timeout=1.0)
        for message in messages:
            if error := message.error():
                raise KafkaException(error)
            keep(runs, message.value())
        if messages:  # after it was kept: nothing is lost, much may be told twice
            consumer.commit(asynchronous=False)
        if len(messages) < 500:  # what takes something back was read, too
            for known in sorted(runs.glob("*/trigger.json")):
                act(known.parent, say)


if __name__ == "__main__":
    RUNNING: Jobs = {}
    LIFECYCLE, RUNS = map(Path, sys.argv[1:])
    listen(RUNS, lambda run, say: step(run, LIFECYCLE, RUNNING, say, datetime.now(UTC)))
