"""A process that runs one stage until it is told to stop, or dies: what the tests kill and freeze.

    python -m tests.integration.worker '{"stage": "tests.integration.counting:Counting", ...}'

See `Spec` for what it is told. The stage is made by calling what ``stage`` names with ``arguments``.
"""

import importlib
import json
import sys
import threading
from dataclasses import asdict, dataclass, field
from typing import Any

from streams.broker import Stage
from streams.errors import LeewayError
from streams.kafka.broker import KafkaBroker
from streams.loop import run, stopping


@dataclass(frozen=True)
class Spec:
    """Everything a worker needs, as plain data."""

    stage: str  # "module:callable"
    properties: dict[str, str]
    group: str
    topics: list[str]
    instance: str = "0"
    arguments: dict[str, Any] = field(default_factory=dict)
    followed: list[str] = field(default_factory=list)
    state_topic: str | None = None
    followed_to_end: bool = False
    commit_every_s: float = 0.2
    dwell_s: float = 0.0  # stay in each transaction for so long, as a target for a kill

    def command(self) -> list[str]:
        """What starts such a worker."""
        return [sys.executable, "-m", "tests.integration.worker", json.dumps(asdict(self))]


class _Dwelling:
    """A producer that takes its time before it commits."""

    def __init__(self, producer: Any, dwell_s: float) -> None:
        self._producer, self._dwell_s = producer, dwell_s

    def __getattr__(self, name: str) -> Any:
        return getattr(self._producer, name)

    def commit_transaction(self, timeout_s: float) -> None:
        self._producer.flush(self._dwell_s)  # so that uncommitted records are in the log
        threading.Event().wait(self._dwell_s)
        self._producer.commit_transaction(timeout_s)


def main(spec: Spec) -> None:
    module, _, name = spec.stage.partition(":")
    stage: Stage = getattr(importlib.import_module(module), name)(**spec.arguments)
    with stopping() as stop:
        broker = KafkaBroker(spec.properties, spec.group, spec.instance)
        if spec.dwell_s:
            writer: Any = broker._writer
            writer._producer = _Dwelling(writer._producer, spec.dwell_s)
        run(
            broker,
            stage,
            topics=spec.topics,
            followed=spec.followed,
            state_topic=spec.state_topic,
            followed_to_end=spec.followed_to_end,
            commit_every_s=spec.commit_every_s,
            stop=stop,
        )


if __name__ == "__main__":
    try:
        main(Spec(**json.loads(sys.argv[1])))
    except LeewayError as failure:
        sys.stderr.write(f"worker ends: {failure}\n")
        sys.exit(failure.exit_code)
