"""READ FIRST. From counts to decisions: merge, close windows, decide, alert, ask for retraining.

A deterministic fold over the partitions of `leeway.profiles`, and of `leeway.commands` beside them. The whole way of
a window is in `_close` and what it calls, in the order in which things happen. It makes no call to anybody and reads
no clock; what it concludes leaves in one transaction with the state it concluded it from.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal
from zlib import crc32

import msgspec

from alerting.episodes import advance, resolve
from alerting.findings import from_intake
from alerting.notify import notify
from alerting.settings import Context, Receiver, RoutingRule
from alerting.silences import split
from alerting.triggers import request
from alerting.types import Alert, Subject, Trigger
from detectors.reference.build import to_document
from streams import commands
from streams.broker import Batch, Outgoing, Partition, Record, Work
from streams.errors import StateError
from streams.formats.modes import structured
from streams.judging import growing, inputs, outcomes, outputs, quiet, reigns, running
from streams.judging.circumstances import (
    context_of,
    events_since,
    labels_since,
)
from streams.judging.commands import Registration, Unread, hear, obey, outcome
from streams.judging.conclusions import Conclusion, Judged
from streams.judging.due import next_due
from streams.judging.holding import with_compounds
from streams.judging.plans import ModelPlan, compile_plan
from streams.judging.scopes import (
    HEALTH,
    INPUTS,
    OUTCOMES,
    SCOPES,
    Scope,
    complete,
)
from streams.judging.share import Share
from streams.judging.subjects import ModelState, source_of
from streams.messages import (
    SLOT_MS,
    Intake,
    Joined,
    Outcomes,
    Progress,
    Slot,
    Summary,
    decode_profile,
)
from streams.registry import Deployment, Registry, deployment_record, reference_record
from streams.routing import Routing
from streams.segments import ALL
from streams.topics import Names

_NOBODY_READS_MS = 2**62  # later than any slot
_CLOSE = {HEALTH.name: running.close, INPUTS.name: inputs.close, OUTCOMES.name: outcomes.close}


class Judge:
    """The second stage. See `streams.broker.Stage` for what is called when.

    Parameters
    ----------
    names : full topic names
    partitions : of `leeway.profiles` and of `leeway.commands`; a model's is the CRC-32 of its id
    receivers : who can be notified, without secrets, unless `leeway.models` says so
    console, runbook : what messages link to; the same
    routing : who hears of what no lifecycle sends anywhere; the same
    mode : of the CloudEvents that are written
    """

    def __init__(
        self,
        names: Names,
        partitions: int,
        receivers: Sequence[Receiver],
        console: str | None = None,
        *,
        routing: Sequence[RoutingRule] = (),
        runbook: str | None = None,
        mode: Literal["binary", "structured"] = "binary",
    ) -> None:
        self._names, self._partitions, self._mode = names, partitions, mode
        self._profiles, self._commands = names("profiles"), names("commands")
        self._usual = Routing(tuple(receivers), tuple(routing), console, runbook)
        self._routing = self._usual  # what the plans were made for
        self._registry = Registry()
        self._plans: dict[str, ModelPlan] = {}
        self._planned = -1  # revision of the registry that the plans were made from
        self._shares: dict[int, Share] = {}
        self.judged = Judged()
        self._void()

    def _void(self) -> None:
        self._concluded: list[Outgoing] = []
        self._offsets: dict[Partition, int] = {}

    # ---- what the loop calls

    def gained(self, partition: Partition, kept: Iterator[Record]) -> None:
        if partition.topic != self._profiles:
            return  # what commands change belongs to the profiles of the same number
        self._shares[partition.number] = Share(self._names("state"), partition.number, kept)

    def dropped(self, partition: Partition) -> None:
        if partition.topic == self._profiles:
            self._shares.pop(partition.number, None)

    @property
    def open_panes(self) -> int:
        """Panes with counts whose windows are not complete yet."""
        return sum(share.open_panes for share in self._shares.values())

    def follow(self, records: Sequence[Record]) -> None:
        self._registry.apply(records)

    def forget(self) -> None:
        self._registry.forget()
        self._shares.clear()
        self._void()

    def idle(self, silent_ms: Mapping[Partition, int]) -> None:
        """A silent input means nothing here: time comes from the profilers' reports."""

    def step(self, batch: Batch) -> None:
        """Fold records in, one after another; a report of progress may close windows."""
        self._plan()
        if batch.topic == self._commands:
            self._hear(batch)
            return
        for value, partition, offset in zip(
            batch.values, batch.partitions, batch.offsets, strict=True
        ):
            self._offsets[Partition(batch.topic, partition)] = offset + 1
            share = self._shares.get(partition)
            if share is None or value is None:
                continue
            try:
                record = decode_profile(value)
            except msgspec.MsgspecError as error:
                place = f"{batch.topic}-{partition}, offset {offset}"
                raise StateError(f"{place}: not a record of this Leeway: {error}") from None
            if isinstance(record, Progress):
                self._advance(share, record)
            elif isinstance(record, Intake):
                share.take_in(record)
            else:
                self._merge(share, record)

    def flush(self) -> Work:
        """Everything concluded since the last flush, with the state it was concluded from."""
        concluded, offsets = self._concluded, self._offsets
        if self._mode == "structured":
            concluded = list(map(structured, concluded))
        kept = [record for _, share in sorted(self._shares.items()) for record in share.flush()]
        self._void()
        return Work([*concluded, *kept], offsets)

    @property
    def urgent(self) -> bool:
        """Whether something was concluded that somebody waits for."""
        return bool(self._concluded)

    def _plan(self) -> None:
        """Compile what is registered, once for every change of a model."""
        if self._planned == self._registry.revision:
            return
        routing = self._registry.routing or self._usual
        former, self._plans = self._plans if routing == self._routing else {}, {}
        self._routing = routing
        for model_id in self._registry.models:
            of = self._registry.get(model_id)
            assert of is not None  # it is in the list
            plan = former.get(model_id)
            if plan is None or not plan.made_from(of):
                who = (routing.receivers, routing.console, routing.routing, routing.runbook)
                plan = compile_plan(of, self._names, *who)
            self._plans[model_id] = plan
        self._planned = self._registry.revision

    # ---- commands

    def _hear(self, batch: Batch) -> None:
        """Keep commands until the next window of their model; answer at once what can never take effect."""
        for value, partition, offset, time_ms in zip(
            batch.values, batch.partitions, batch.offsets, batch.timestamps_ms, strict=True
        ):
            self._offsets[Partition(batch.topic, partition)] = offset + 1
            heard = hear(value)
            if heard is None:
                self.judged.unreadable_commands += 1
                continue
            key, share = heard.model_id.encode(), self._shares.get(partition)
            if share is None or crc32(key) % self._partitions != partition:
                # by a producer that spreads keys in another way, or while partitions change hands: its own judge has it
                self._concluded.append(Outgoing(self._commands, key, value))
                continue
            plan, refused = self._plans.get(heard.model_id), None
            if plan is not None:
                inbox = share.models.setdefault(heard.model_id, ModelState()).inbox
                if inbox.knows(heard.command_id):
                    continue
                if isinstance(heard, Unread) or plan.retired:
                    inbox.done.append(heard.command_id)
                else:
                    refused = inbox.add(heard)
                share.put_inbox(plan)
            if isinstance(heard, Unread):
                refused = "invalid"
            elif plan is None:
                refused = "unknown_model"
            elif plan.retired:
                refused = "not_possible"
            if refused is not None:
                self._answer(outcome(heard, refused, time_ms or 0))

    def _answer(self, said: commands.CommandOutcome) -> None:
        self._concluded.append(commands.outcome_record(self._names, said))

    def _obey(self, share: Share, plan: ModelPlan, at_ms: int) -> ModelPlan:
        """Do what was asked for before this time, and what another version brings with it; the plan from then on."""
        model_id = plan.lifecycle.model_id
        model = share.models[model_id]
        plan = self._look(share, plan, at_ms)
        if plan.lent and (reference := growing.ripe(share, plan)) is not None:
            document = to_document(reference)
            of = model_id, reference.reference_id, document
            self._concluded.append(reference_record(self._names, *of))
            self._registry.expect_reference(reference)
            self._plan()
            plan = self._plans[model_id]
        if any(at_ms >= silence.until_ms for silence in model.silences):
            model.silences, _ = split(model.silences, at_ms)
            share.put_silences(plan)
        if not model.inbox.pending:
            return plan
        for command in model.inbox.due(at_ms):
            of_file = self._registry.file_version(model_id) or plan.lifecycle.version
            registered = Registration(self._registry.references(model_id), of_file)
            obeyed = obey(share, plan, command, at_ms, registered)
            self._publish(obeyed.alerts, obeyed.triggers)
            self._answer(outcome(command, obeyed.refused, at_ms))
            share.put_inbox(plan)
            if obeyed.deployment is not None:
                plan = self._deploy(model_id, obeyed.deployment)
        return plan

    def _look(self, share: Share, plan: ModelPlan, at_ms: int) -> ModelPlan:
        """A file may name another version too: it is deployed as if somebody had said so."""
        model_id, version = plan.lifecycle.model_id, plan.lifecycle.version
        reign = share.models[model_id].reign
        if reign.version == version:
            return plan
        if reign.version is None:
            reign.version = version
            share.put_reign(plan)
            return plan
        self._publish(reigns.succeed(share, plan, version, at_ms, "deployed"), ())
        former = self._registry.deployment(model_id)
        if former is not None and former.version != version:
            return self._deploy(model_id, None)  # or it would hold again with the file of that time
        return plan

    def _deploy(self, model_id: str, deployment: Deployment | None) -> ModelPlan:
        """Write down which version answers, and believe it at once."""
        self._concluded.append(deployment_record(self._names, model_id, deployment))
        self._registry.expect(model_id, deployment)
        self._plan()
        return self._plans[model_id]

    # ---- merging

    def _merge(self, share: Share, record: Summary | Outcomes | Joined) -> None:
        """Add a record to its windows; a window that was judged takes no more."""
        plan = self._plans.get(record.model_id)
        if plan is None or plan.retired:
            return  # its lifecycle was taken away, or its life ended, after the profiler had counted
        share.models.setdefault(record.model_id, ModelState())
        if isinstance(record, Summary):
            inputs.merge(share, plan, record, self.judged)
            running.merge(share, plan, record)
            if plan.truths is not None:
                outcomes.merge_predictions(share, plan, record)
        elif plan.truths is None:
            return  # its labels are read no longer
        elif isinstance(record, Outcomes):
            outcomes.merge(share, plan, record, self.judged)
        else:
            outcomes.join(share, plan, record)

    # ---- closing windows

    def _advance(self, share: Share, progress: Progress) -> None:
        """Take note of how far a source was read, and judge everything that is complete now."""
        readers = [
            plan
            for model_id, plan in self._plans.items()
            if progress.source in plan.readers.topics
            and crc32(model_id.encode()) % self._partitions == share.partition
        ]
        share.hear(progress, dict.fromkeys(plan.readers for plan in readers))
        for plan in readers:
            if plan.retired:
                self._publish(quiet.retire(share, plan), ())
            else:
                self._close(share, plan)
        readers = [plan for plan in readers if not plan.retired]
        if not share.sources[progress.source].highest_ms:
            self._close_blind(share, progress.source, readers)
            return
        models = [share.models.get(plan.lifecycle.model_id) for plan in readers]
        judged = [model.slots_until_ms if model is not None else 0 for model in models]
        share.forget_slots(progress.source, min(judged, default=_NOBODY_READS_MS))

    def _close(self, share: Share, plan: ModelPlan) -> None:
        """Judge a model's windows, and what came in, in order of their ends: however many are complete at once."""
        until = complete(share.sources, plan.readers, share.waking, plan.lateness_ms)
        if until is None:
            return
        model = share.models.setdefault(plan.lifecycle.model_id, ModelState())
        scopes = self._scopes(share, plan)
        slots = share.came_in.complete(
            share.sources,
            plan.readers,
            model.slots_until_ms,
            until.until(plan.timings[INPUTS.name]),
        )
        moved = False
        while due := next_due(model, plan, scopes, slots, until):
            now = self._obey(share, plan, max(due.end_ms, model.judged_until_ms))
            if now is not plan:
                plan, scopes = now, self._scopes(share, now)
                continue
            if due.slot is not None:
                model.slots_until_ms = slots.pop(0).end_ms
                self._judge_slot(share, plan, due.slot)
            elif due.scope is not None:
                before_ms = model.judged_until_ms
                model.of(due.scope).judged_until_ms = due.end_ms
                labels = self._judge_window(share, plan, due.scope, due.start_ms)
                self._publish((), quiet.ask(share, plan, before_ms or due.end_ms, labels))
            moved = True
        if moved:
            share.put_model(plan)

    def _scopes(self, share: Share, plan: ModelPlan) -> Sequence[Scope[Any]]:
        """The kinds of windows that a model has now, each of the length it has now."""
        scopes = [scope for scope in SCOPES if scope.name in plan.timings]
        for scope in scopes:
            share.align(plan, scope)
        return scopes

    def _judge_window(self, share: Share, plan: ModelPlan, scope: Scope[Any], start: int) -> int:
        """Judge one window, of `all` first, then of the segments by name, of all versions; how many labels came."""
        model = share.models[plan.lifecycle.model_id]
        progress = model.of(scope)
        due = [key for key, subject in model.subjects.items() if start in subject.windows(scope)]
        progress.empty = 0 if due else progress.empty + 1
        whole = plan.lifecycle.version, ALL
        if not due and whole in model.subjects:
            due = [whole]  # silence is judged too: it is insufficient, never stable
        due.sort(key=lambda key: (key[0], key[1] != ALL, key[1]))
        concluded = _CLOSE[scope.name](share, plan, start, due)
        for conclusion in concluded:
            self._conclude(share, plan, scope, conclusion, concluded)
        end_ms = start + plan.timings[scope.name].window_ms
        self._publish(quiet.tell(share, plan, scope, end_ms, concluded), ())
        if scope is not OUTCOMES:
            return 0
        return sum(
            of.document.window.events
            for of in concluded
            if of.key[1] == ALL and of.document.scope == OUTCOMES.name
        )

    def _conclude(
        self,
        share: Share,
        plan: ModelPlan,
        scope: Scope[Any],
        conclusion: Conclusion,
        beside: Sequence[Conclusion],
    ) -> None:
        """From what a window comes to, to everything that people and pipelines hear of it."""
        conclusion = with_compounds(share, plan, scope, conclusion)
        self._concluded.append(outputs.result_record(self._names, plan, conclusion.document))
        model, key = share.models[plan.lifecycle.model_id], conclusion.key
        of, moved = model.subjects[key].episodes, False
        # its last windows, and labels that come late, are in the results; nobody can do anything about them
        over = key[0] in model.reign.former
        for finding in () if over else conclusion.findings:
            source = source_of(scope.name, finding.kind)
            before = of.get(source)
            context = context_of(model, plan, scope, conclusion, finding, beside)
            ended: tuple[Alert, ...] = ()
            episode = before
            if conclusion.rebaselined == source and before is not None and before.open:
                episode, ended = resolve(plan.episodes, before, "rebaselined", context)
            episode, alerts = advance(plan.episodes, episode, finding, context)
            triggers: tuple[Trigger, ...] = ()
            if key == (plan.lifecycle.version, ALL):
                model.trigger, triggers = request(
                    plan.retraining,
                    model.trigger,
                    episode,
                    finding,
                    context,
                    events_since(model.subjects[key]),
                    labels_since(model.subjects[key], plan),
                    model.episodes,
                )
            self._publish((*ended, *alerts), triggers)
            if episode is not None and episode is not before:
                of[source], moved = episode, True
        if moved:
            share.put_episodes(plan, key)
        if conclusion.document.scope == scope.name:  # a day that is told again is no window
            self.judged.windows[plan.lifecycle.model_id, conclusion.document.verdict] += 1

    def _publish(self, alerts: Sequence[Alert], triggers: Sequence[Trigger]) -> None:
        notifications = notify(self._routing.receivers, alerts)
        self._concluded += outputs.alert_records(self._names, alerts)
        self._concluded += outputs.notification_records(self._names, alerts, notifications)
        self._concluded += outputs.trigger_records(self._names, triggers)

    # ---- what could not be used

    def _close_blind(self, share: Share, source: str, readers: Sequence[ModelPlan]) -> None:
        """Where nothing valid moves time, a slot ends when the one after the next begins, or nothing comes any more."""
        silent = share.sources[source].silent(
            max((plan.readers.idle_ms for plan in readers), default=0)
        )
        starts = sorted(start for name, start in share.came_in.slots if name == source)
        for start in starts:
            if silent or starts[-1] >= start + 2 * SLOT_MS:
                slot = share.came_in.take(source, start)
                share.put_intake()
                for plan in readers:
                    self._judge_slot(share, plan, slot)

    def _judge_slot(self, share: Share, plan: ModelPlan, slot: Slot) -> None:
        """Hold what was unusable in five minutes against the limit."""
        bad = sum(slot.dead_letters.values())
        finding = from_intake(bad, bad + slot.events, slot.dead_letters, slot.start_ms, slot.end_ms)
        about = Subject(plan.lifecycle.model_id, plan.lifecycle.version, ALL)
        model = share.models.setdefault(plan.lifecycle.model_id, ModelState())
        context = Context(about, slot.end_ms, SLOT_MS, result_id=None, silences=model.silences)
        before = model.pipeline
        model.pipeline, alerts = advance(plan.episodes, before, finding, context)
        if model.pipeline is not before:
            self._publish(alerts, ())
            share.put_model(plan)
