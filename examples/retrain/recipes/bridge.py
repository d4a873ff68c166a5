"""From Kafka to a scheduler elsewhere: one start per approved trigger. The pipeline reports by itself.

    PYTHONPATH=.. python bridge.py airflow_rest      # or github, sagemaker, kubeflow

Killed between `start` and the note of it, it starts again: each `start` gives the trigger's id to its scheduler, which
refuses or repeats the same run.
"""

import sys
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

from consumer import Say, expired, listen, once, read

start = import_module(sys.argv[1] if len(sys.argv) > 1 else "airflow_rest").start


def begin(run: Path, say: Say) -> None:
    trigger = read(run / "trigger.json")
    if trigger["status"]["name"] == "approved" and not expired(trigger, datetime.now(UTC)):
        once(run, "begun", lambda: start(trigger))


if __name__ == "__main__":
    listen(Path("runs"), begin)
