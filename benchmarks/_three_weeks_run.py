"""What does the judge make of the simulated stream? Its stages on a log in memory, hour by hour."""

from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from alerting.settings import Receiver
from benchmarks._three_weeks import (
    HOUR_MS,
    START_MS,
    Deploy,
    Hours,
    Model,
    World,
    labels_of,
    lifecycle,
    model_of,
    name_of,
    reference,
    stream,
    summaries,
    topic_of,
    version_at,
)
from detectors.reference.build import to_document
from detectors.reference.frozen import Reference
from streams.broker import Outgoing
from streams.commands import Acknowledge, Command, Deployed, Report, command_record
from streams.judging.judge import Judge
from streams.loop import Loop
from streams.memory import MemoryBroker, MemoryLog
from streams.messages import Progress, encode_profile
from streams.messages import Report as Read
from streams.profiling.profiler import Profiler
from streams.registry import lifecycle_record, reference_record
from streams.topics import TOPICS, Names

NAMES = Names()
RECEIVERS = (Receiver("slack", "slack", "#ml-alerts"), Receiver("pagerduty", "pagerduty"))
LATENESS_MS = 60_000


class Simulation:
    """A log in memory with everything that is registered, and the stages that read it."""

    def __init__(self, world: World) -> None:
        self.world, self.log = world, MemoryLog()
        self.models: list[Model] = [model_of(world, n) for n in range(world.models)]
        self.hours: list[Hours] = [stream(world, model) for model in self.models]
        self.counts = [of.all for of in self.hours]  # by model: (hours, cells)
        self.references: dict[tuple[int, str], Reference] = {}  # by model and version
        self._sources = sorted({topic_of(world, n) for n in range(world.models)})
        self._last_ms = dict.fromkeys(self._sources, START_MS)  # the last event of a source
        for topic in (*self._sources, NAMES("labels")):
            self.log.create(topic, 1)
        for one in TOPICS:
            self.log.create(NAMES(one.name), one.partitions or 1)
        for model in self.models:
            self._write(lifecycle_record(NAMES, lifecycle(world, model.number)))
            self._refer(model, "1.0.0")
        self._judge = Loop(
            MemoryBroker(self.log, "judge"),
            Judge(NAMES, 1, RECEIVERS),
            [NAMES("profiles"), NAMES("commands")],
            [NAMES("models")],
            NAMES("state"),
            followed_to_end=True,
        )
        labels = Profiler(NAMES, 1, self.log.partition_count)
        self._profiler = Loop(
            MemoryBroker(self.log, "profiler"), labels, [NAMES("labels")], [NAMES("models")]
        )
        self._trigger: str | None = None  # the last one that was approved
        self._seen: set[tuple[str, int, int]] = set()  # records that people looked at
        self._judge.start()
        self._profiler.start()

    def hour(self, hour: int) -> None:
        """Let one hour pass: what people and pipelines say at its start, what comes in it, and its judgement."""
        self._answer(hour)
        for deploy in self.world.deploys:
            if deploy.hour == hour:
                self._deploy(deploy)
        for model in self.models:
            compared = self.reference_at(model.number, hour)
            for summary in summaries(self.world, model, self.hours[model.number], hour, compared):
                key = summary.model_id.encode()
                self._write(Outgoing(NAMES("profiles"), key, encode_profile(summary)))
        for number in self.world.labelled:
            for value in labels_of(self.world, number, [hour]):
                self.log.append(NAMES("labels"), value)
        if self.world.labelled:
            _exhaust(self._profiler)
        for progress in self._progress(hour):
            self._write(Outgoing(NAMES("profiles"), None, encode_profile(progress), (), 0))
        _exhaust(self._judge)

    def reference_at(self, number: int, hour: int) -> Reference:
        """What a model is compared with in an hour: a patch release keeps the reference."""
        own = self.references.get((number, version_at(self.world, number, hour)))
        return own or self.references[number, "1.0.0"]

    def _progress(self, hour: int) -> Iterator[Progress]:
        """That every source was read to the end of the hour, or stands still."""
        end_ms = START_MS + (hour + 1) * HOUR_MS
        for source in self._sources:
            readers = [n for n in range(self.world.models) if topic_of(self.world, n) == source]
            came = any(self.counts[n][hour].any() for n in readers)
            if came:
                self._last_ms[source] = end_ms + LATENESS_MS
            highest_ms = self._last_ms[source]
            idle_ms = 0 if came else end_ms + LATENESS_MS - highest_ms
            yield Progress(source, 1, [Read(0, highest_ms, hour, idle_ms)])

    def _answer(self, hour: int) -> None:
        """Somebody looks after what was told in the hour before, and a pipeline starts what was approved."""
        for alert in self._news("alerts"):
            delivery = alert["delivery"]
            kept_back = delivery["inhibited_by"] or delivery["held"]
            told = delivery["receivers"] and not kept_back
            if alert["change"] == "opened" and told:
                episode_id, model_id = alert["episode_id"], alert["model"]["id"]
                self._say(
                    Acknowledge(
                        command_id=f"ack-{alert['alert_id']}",
                        model_id=model_id,
                        by="on call",
                        episode_id=episode_id,
                    )
                )
        for trigger in self._news("retraining"):
            if trigger["status"]["name"] == "approved":
                self._trigger = trigger["trigger_id"]
                self._say(self._report(trigger["model"]["id"], "started"))

    def _deploy(self, deploy: Deploy) -> None:
        name, retrained = name_of(deploy.model), deploy.retrained and self._trigger is not None
        reference_id = None
        if retrained:
            reference_id = self._refer(self.models[deploy.model], deploy.version).reference_id
            self._say(self._report(name, "completed"))
        self._say(
            Deployed(
                command_id=f"ci-{name}-{deploy.version}",
                model_id=name,
                by="ci",
                model_version=deploy.version,
                trigger_id=self._trigger if retrained else None,
                reference_id=reference_id,
            )
        )

    def _report(self, model_id: str, status: Literal["started", "completed"]) -> Report:
        assert self._trigger is not None
        return Report(
            command_id=f"{self._trigger}.{status}",
            model_id=model_id,
            by="ci",
            trigger_id=self._trigger,
            status=status,
        )

    def said(self, topic: str) -> list[Any]:
        """Every document on a topic."""
        return [msgspec.json.decode(record.value or b"") for record in self.log.read(NAMES(topic))]

    def _news(self, topic: str) -> list[Any]:
        """What was written since somebody looked."""
        found = []
        for record in self.log.read(NAMES(topic)):
            place = topic, record.partition, record.offset
            if place not in self._seen:
                self._seen.add(place)
                found.append(msgspec.json.decode(record.value or b""))
        return found

    def _say(self, command: Command) -> None:
        self._write(command_record(NAMES, command))

    def _refer(self, model: Model, version: str) -> Reference:
        """Build and register the reference of a version."""
        of = lifecycle(self.world, model.number)
        built = reference(self.world, model, of, version)
        self.references[model.number, version] = built
        document = to_document(built)
        self._write(reference_record(NAMES, of.model_id, built.reference_id, document))
        return built

    def _write(self, record: Outgoing) -> None:
        self.log.append(record.topic, record.value, record.key, partition=record.partition)


def _exhaust(loop: Loop) -> None:
    while loop.turn().batches:
        pass
    loop.commit()
