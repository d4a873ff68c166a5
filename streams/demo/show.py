"""What does a person see while the demonstration runs? One line per thing found, and at the end the plan beside it."""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

from streams.broker import Record
from streams.demo.findings import Finding
from streams.demo.plan import HOUR_MS, Placed
from streams.offline.story import AlertSeen

__all__ = ["Screen", "hours"]

_STYLES = {"critical": "bold red", "error": "red", "warning": "yellow", "info": "blue"}


class _Envelope(msgspec.Struct):
    channel: str
    change: str
    severity: str
    operation: str


class _TriggerStatus(msgspec.Struct):
    name: str
    at: str


class _TriggerReason(msgspec.Struct):
    code: str


class _Trigger(msgspec.Struct):
    trigger_id: str
    status: _TriggerStatus
    reason: _TriggerReason


_alert = msgspec.json.Decoder(AlertSeen).decode
_envelope = msgspec.json.Decoder(_Envelope).decode
_trigger = msgspec.json.Decoder(_Trigger).decode


class Screen:
    """Prints lines as they come; on a terminal with a last line that says how far the play is."""

    def __init__(self, *, quiet: bool) -> None:
        console = Console()
        self._console = console if console.is_terminal else Console(width=160, highlight=False)
        self._quiet = quiet
        self._status: Status | None = None
        if self._console.is_terminal and not quiet:
            self._status = self._console.status("")
            self._status.start()

    def close(self) -> None:
        """Take the last line away."""
        if self._status is not None:
            self._status.stop()
            self._status = None

    def say(self, text: str) -> None:
        """Something about the demonstration itself."""
        self._print("", text, "dim")

    def tell(self, text: str) -> None:
        """What a person must know also where a program reads: there it goes to the error stream."""
        if self._quiet:
            Console(stderr=True, width=160, highlight=False).print(text, markup=False)
        else:
            self.say(text)

    def phase(self, place: Placed) -> None:
        """A phase begins to be played."""
        self._print(
            _short(place.start_ms), f"plan      {place.phase.name}: {place.phase.says}", "bold cyan"
        )

    def at(self, event_time_ms: int, events: int, windows: int) -> None:
        """How far the play is."""
        if self._status is not None:
            self._status.update(
                f"{_short(event_time_ms)}  {events:,} events sent, {windows} windows judged"
            )

    def found(self, topic: str, record: Record) -> None:
        """One record of an output topic, by the topic's short name."""
        value = record.value or b""
        if topic == "alerts":
            alert = _alert(value)
            text = f"{alert.change:<9} {alert.severity}: {alert.title}"
            whole = alert.segment == "all"
            self._print(_text(alert.at), text, _STYLES.get(alert.severity, "") if whole else "dim")
            if alert.change == "opened" and whole:
                self._print("", f"          {alert.summary}", "dim")
        elif topic == "retraining":
            trigger = _trigger(value)
            text = f"retrain   {trigger.status.name}: because of {trigger.reason.code} ({trigger.trigger_id})"
            self._print(_text(trigger.status.at), text, "magenta")
        elif topic.startswith("alerts."):
            envelope = _envelope(value)
            text = f"          → {envelope.channel}: {envelope.operation} ({envelope.change}, {envelope.severity})"
            self._print("", text, "dim")

    def result(self, findings: Sequence[Finding]) -> None:
        """The plan beside what was found."""
        if self._quiet:
            return
        table = Table(
            title="The plan and what was found", title_justify="left", box=None, pad_edge=False
        )
        for column in ("", "planned", "found", "after (event time)"):
            table.add_column(column, overflow="fold")
        for one in findings:
            mark = Text("ok" if one.fits else "NO", style="green" if one.fits else "bold red")
            table.add_row(mark, one.planned, one.found, hours(one.delay_ms))
        self._console.print()
        self._console.print(table)

    def _print(self, when: str, text: str, style: str) -> None:
        if not self._quiet:
            self._console.print(Text(f"{when:<17}{text}", style=style), soft_wrap=True)


def hours(delay_ms: int | None) -> str:
    """A delay in hours.

    >>> hours(5_400_000)
    '1.5 h'
    """
    return "" if delay_ms is None else f"{delay_ms / HOUR_MS:g} h"


def _short(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M}"


def _text(moment: str) -> str:
    return moment[:16].replace("T", " ")
