"""What commands that act write, what they wait for, and what they answer. The judge is a thread that answers."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from streams.broker import Outgoing, Record
from streams.cli import main, sending
from streams.cli.sending import Found, Sender
from streams.commands import Command, CommandOutcome, Silence, decode, word
from streams.errors import UsageError
from streams.kafka.admin import create_topics
from streams.kafka.commands import Tail, Writer, past
from streams.local_kafka import AnyBroker
from streams.service import Service
from streams.topics import Names
from tests.streams.published import alert, record, told, trigger

AT = "2026-03-02T07:00:00.000Z"


@dataclass(frozen=True)
class Leeway:
    """Leeway's topics on a broker, with nobody behind them."""

    properties: Mapping[str, str]
    names: Names
    service_file: str

    def run(self, *typed: str) -> int:
        return main([*typed, "--config", self.service_file])

    def given(self) -> list[Command]:
        chunks = past(self.properties, [self.names("commands")])
        return [decode(record.value) for records in chunks for record in records]

    @contextmanager
    def judged(self, reason: str | None = None) -> Iterator[None]:
        """Somebody who answers each command once: applied, or refused for this reason."""
        stop, answered = threading.Event(), set[str]()

        def answer() -> None:
            writer = Writer(self.properties)
            with Tail(self.properties, [self.names("commands")]) as tail:
                while not stop.is_set():
                    for record in tail.read(0.02):
                        command = decode(record.value)
                        if command.command_id not in answered:
                            answered.add(command.command_id)
                            writer.write(self.outcome(command, reason))
                            writer.flush()

        judge = threading.Thread(target=answer)
        judge.start()
        try:
            yield
        finally:
            stop.set()
            judge.join()

    def outcome(self, command: Command, reason: str | None) -> Outgoing:
        told = CommandOutcome(
            command_id=command.command_id,
            command=word(command),
            model_id=command.model_id,
            outcome="refused" if reason else "applied",
            reason=reason,
            by=command.by,
            applied_at=AT,
        )
        headers = (("ce_type", b"leeway.command.v1"),)
        key = command.model_id.encode()
        return Outgoing(self.names("results"), key, msgspec.json.encode(told), headers=headers)


@pytest.fixture(scope="module")
def leeway(kafka: AnyBroker, tmp_path_factory: pytest.TempPathFactory) -> Leeway:
    prefix = f"{tmp_path_factory.mktemp('x').name}-{id(kafka)}."
    properties = {"bootstrap.servers": kafka.bootstrap}
    names = Names(prefix)
    create_topics(properties, names, partitions=3)
    path = tmp_path_factory.mktemp("service") / "leeway.yaml"
    path.write_text(f"brokers: {kafka.bootstrap}\ntopics: {{prefix: {prefix}}}\n")
    return Leeway(properties, names, str(path))


@pytest.fixture
def model(unique: Callable[[str], str]) -> str:
    return unique("loans")


def test_an_applied_command_is_told_and_ends_with_0(
    leeway: Leeway, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with leeway.judged():
        assert (
            leeway.run("retrain", model, "--reason", "new law", "--by", "ann", "--id", model) == 0
        )
    told = capsys.readouterr()
    assert told.out == f"applied: retrain, {model}, as of 2026-03-02 07:00 UTC\n"
    assert f"{model} is written; waiting up to 60 s" in told.err
    (command,) = (each for each in leeway.given() if each.model_id == model)
    assert (command.by, command.command_id) == ("ann", model)


def test_a_refused_command_says_why_and_ends_with_1(
    leeway: Leeway, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with leeway.judged("unknown_model"):
        assert leeway.run("deployed", model, "2.4.0") == 1
    told = capsys.readouterr()
    assert told.out == f"refused: deployed, {model}: unknown_model\n"
    assert "no lifecycle of this model is registered" in told.err


def test_nobody_answers_in_time_and_the_same_line_with_the_id_hears_the_answer_later(
    leeway: Leeway, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = ("retrain", model, "--id", model)
    assert leeway.run(*typed, "--within", "300ms") == 3
    assert f"--id {model} waits again" in capsys.readouterr().err
    with leeway.judged():
        assert leeway.run(*typed, "--json") == 0
        told = capsys.readouterr()
        assert json.loads(told.out)["outcome"] == "applied"
        assert "was given before" in told.err
        assert leeway.run(*typed) == 0, "the answer is found where it was given long ago, too"
        assert leeway.run("deployed", model, "2", "--id", model) == 2
    assert "was given before, to retrain" in capsys.readouterr().err
    assert [each.command_id for each in leeway.given()].count(model) == 1


def test_nobody_waits_for_an_answer_that_nobody_asked_for(
    leeway: Leeway, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert leeway.run("rebaseline", model, "--reference", "r2", "--no-wait", "--id", model) == 0
    assert capsys.readouterr().out == f"written: {model}\n"


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Record]]:
    """What is on the topics, for a command that looks something up there."""
    topics: dict[str, list[Record]] = {"alerts": [], "retraining": [], "commands": []}
    monkeypatch.setattr(sending, "read_topics", lambda service, *names: topics)
    return topics


SENDER = Sender(Service(), "ann", "c1", repeats=False, note=None, wait_s=None, as_json=False)


@pytest.mark.parametrize("cut", [43, 12, 5])
def test_an_episode_a_trigger_and_a_silence_are_found_by_the_beginnings_of_their_ids(
    kept: dict[str, list[Record]], cut: int
) -> None:
    one, other, asked = alert(), alert(kind="performance"), trigger()
    silence = {"command": "silence", "command_id": "c", "model_id": "loans", "silence_id": "sl-7"}
    ended = silence | {"command": "unsilence", "silence_id": "sl-8"}
    kept["alerts"] += [told("alerts", one), told("alerts", other), record("alerts", "x", b"{")]
    kept["retraining"] += [told("retraining", asked), told("retraining", trigger(2))]
    kept["commands"] += [record("commands", "loans", each) for each in (silence, ended)]
    for id_ in (one["episode_id"], other["episode_id"]):
        assert SENDER.episode(id_[:cut]) == SENDER.episode(id_[3:cut]) == (id_, "loans")
    assert SENDER.trigger(asked["trigger_id"][:cut]) == (asked["trigger_id"], "loans")
    assert SENDER.silence("sl-7") == ("sl-7", "loans")
    for unknown in ("ep-", "", "ep-nobody", "rt-"):
        with pytest.raises(UsageError, match="there is no episode"):
            SENDER.episode(unknown)
    with pytest.raises(UsageError, match="there is no silence 'sl-8'"):
        SENDER.silence("sl-8")


def test_an_ambiguous_beginning_names_whom_it_may_mean(kept: dict[str, list[Record]]) -> None:
    ids = ["ep-aa", *(f"ep-aab{n}" for n in range(6))]
    kept["alerts"] += [told("alerts", alert() | {"episode_id": one}) for one in ids]
    with pytest.raises(UsageError, match=r"'a' may be any of 7: ep-aa \(loans .* and 2 more"):
        SENDER.episode("a")
    assert SENDER.episode("aa").id == "ep-aa", "a whole id is meant, though others begin with it"


SAID: dict[str, tuple[str, dict[str, Any]]] = {
    "ack ep-1 --note mine": ("acknowledge", {"episode_id": "ep-1", "note": "mine"}),
    "resolve ep-1": ("resolve", {"episode_id": "ep-1"}),
    "snooze ep-1 --until 2099-01-01T00:00:00Z": ("snooze", {"episode_id": "ep-1", "until": "2099-01-01T00:00:00.000Z"}),
    "approve rt-1": ("approve", {"trigger_id": "rt-1"}),
    "reject rt-1": ("reject", {"trigger_id": "rt-1"}),
    "cancel rt-1": ("cancel", {"trigger_id": "rt-1"}),
    "tick rt-1 A/B": ("tick_check", {"trigger_id": "rt-1", "check": "A/B"}),
    "training rt-1 started --run-url https://ci.example/1": (
        "report", {"trigger_id": "rt-1", "status": "started", "run_url": "https://ci.example/1"}
    ),
    "training rt-1 completed --version 2 --metric auc=0.91 --slice country=DE:auc=0.9": (
        "report",
        {"trigger_id": "rt-1", "status": "completed", "model_version": "2"}
        | {"metrics": {"auc": 0.91}, "slices": {"country=DE": {"auc": 0.9}}},
    ),
    "training rt-1 failed --error oom": ("report", {"trigger_id": "rt-1", "status": "failed", "error": "oom"}),
    "deployed of-all 2 --trigger rt-1 --reference r2": (
        "deployed", {"model_version": "2", "trigger_id": "rt-1", "reference_id": "r2"}
    ),
    "deployed of-all 1 --rollback": ("deployed", {"model_version": "1", "rollback": True}),
    "rebaseline of-all --reference r2": ("rebaseline", {"reference_id": "r2"}),
    "rebaseline of-all --from 2026-03-01T00:00:00Z --to 2026-03-02T00:00:00Z": (
        "rebaseline", {"start": "2026-03-01T00:00:00.000Z", "end": "2026-03-02T00:00:00.000Z"}
    ),
    "retrain of-all --reason law --priority High": ("retrain", {"reason": "law", "priority": "high"}),
    "unsilence sl-1": ("unsilence", {"silence_id": "sl-1"}),
}  # fmt: skip


def overheard(monkeypatch: pytest.MonkeyPatch) -> list[Command]:
    """What is said from now on; nobody hears it but the test."""
    said: list[Command] = []

    def give(sender: Sender, command: Command) -> int:
        said.append(command)
        return 0

    for what in ("episode", "trigger", "silence"):
        monkeypatch.setattr(Sender, what, lambda sender, wanted: Found(wanted, "of-all"))
    monkeypatch.setattr(Sender, "give", give)
    return said


@pytest.mark.parametrize("typed", SAID)
def test_what_is_typed_becomes_the_command(typed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    said = overheard(monkeypatch)
    assert main([*typed.split(), "--by", "ann", "--id", "c1", "--brokers", "127.0.0.1:1"]) == 0
    what, members = SAID[typed]
    shared = {"command": what, "command_id": "c1", "model_id": "of-all", "by": "ann"}
    assert msgspec.to_builtins(said[0]) == shared | members
    assert decode(msgspec.json.encode(said[0])) == said[0]


def test_a_silence_has_an_id_that_ends_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = overheard(monkeypatch)
    matching = ("--kind", "Data drift", "--segment", "country=DE", "--severity", "warning")
    typed = ("silence", "loans", *matching, "--for", "4h", "--reason", "moving", "--id", "c1")
    begin = ("--from", "2026-03-02T08:00:00+01:00", "--brokers", "127.0.0.1:1")
    assert main([*typed, *begin]) == 0
    (silence,) = said
    assert isinstance(silence, Silence)
    assert (silence.from_, silence.until) == (AT, "2026-03-02T11:00:00.000Z")
    match = silence.match
    assert (match.kind, match.segment, match.severity) == ("data_drift", "country=DE", "warning")
    assert f"leeway unsilence {silence.silence_id}" in capsys.readouterr().err
    assert main([*typed, *begin]) == 0
    assert said[1] == silence, "the same id is the same silence"


MISTAKES = {
    "silence m --reason r": "say either --for DURATION or --until TIME",
    "silence m --reason r --for 31d": "--for: is longer than 30 days",
    "silence m --reason r --for 5": '--for "5" has no unit',
    "silence m --reason r --until tomorrow": "--until tomorrow: expected a time with Z",
    "silence m --reason r --until 2020-01-01T00:00:00Z": "is over already",
    "silence m --reason r --for 1h --kind drift": "--kind drift: expected data_drift, ",
    "silence m --for 1h": "Missing option '--reason'",
    "retrain m --priority urgent": "--priority urgent: expected low, normal or high",
    "retrain m --within soon": "--within",
    "rebaseline m": "say either --reference ID, or --from TIME and --to TIME",
    "rebaseline m --from 2020-01-01T00:00:00Z": "say either --reference ID",
    "training rt-1 done": "STATUS done: expected started, completed or failed",
    "training rt-1 completed --metric auc": "--metric auc: expected NAME=NUMBER",
    "training rt-1 completed --metric auc=nan": "--metric auc=nan: expected NAME=NUMBER",
    "training rt-1 completed --slice auc=1": "--slice auc=1: expected SEGMENT:NAME=NUMBER",
}


@pytest.mark.parametrize("typed", MISTAKES)
def test_a_mistake_is_one_line_and_nothing_is_written(
    typed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*typed.split(), "--brokers", "127.0.0.1:1"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert MISTAKES[typed] in line


def test_what_the_topic_would_not_take_is_refused_before_it_is_written(
    leeway: Leeway, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert leeway.run("retrain", model, "--id", "x" * 65, "--no-wait") == 2
    assert "command_id" in capsys.readouterr().err


def test_nobody_without_a_name_says_anything(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def nobody() -> str:
        raise OSError("no such user")

    monkeypatch.setattr("getpass.getuser", nobody)
    assert main(["retrain", "m", "--brokers", "127.0.0.1:1"]) == 2
    assert "--by NAME: this machine has no name for you" in capsys.readouterr().err
