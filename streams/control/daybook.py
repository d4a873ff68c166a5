"""What stands in the daily digest? What alerts, deliveries and models came to in a day that ends at 08:00 UTC."""

from collections.abc import Iterator, Sequence

from alerting.deliver.items import Item
from alerting.digest import LINE_LIMIT, DigestItem, Why, day_start, digest, noted
from alerting.identity import rfc3339
from alerting.render.digest import notification
from alerting.settings import DAY_MS, Receiver
from alerting.types import Alert
from alerting.wording import clip
from streams.commands import moment_ms
from streams.console.wording import words
from streams.views import answers
from streams.views.read import ReadModel

_CHANNELS = ("slack", "email")
_LABELS = ("labels_immature",)


class Daybook:
    """Notes about the present day and the one before, by receiver. Days are those of the log, not of events."""

    def __init__(self, receivers: Sequence[Receiver], console: str | None, read: ReadModel) -> None:
        self._receivers = [one for one in receivers if one.channel in _CHANNELS]
        self._all, self._console, self._read = receivers, console, read
        self._notes: dict[int, dict[str, dict[tuple[str, int], DigestItem]]] = {}
        self._newest = 0

    def heard(self, alert: Alert, logged_ms: int) -> None:
        """An alert was published."""
        day = day_start(logged_ms)
        self._newest = max(self._newest, day)
        if day < self._newest - DAY_MS:
            return
        for name, item in noted(alert, self._all):
            of = self._notes.setdefault(day, {}).setdefault(name, {})
            of[alert.episode_id, alert.sequence] = item
        for old in [one for one in self._notes if one < self._newest - DAY_MS]:
            del self._notes[old]

    def due(self, now_ms: int) -> Iterator[Item]:
        """The digests of the day that ended last."""
        end_ms = day_start(now_ms)
        start_ms = end_ms - DAY_MS
        for receiver in self._receivers:
            items = list(self._notes.get(start_ms, {}).get(receiver.name, {}).values())
            items += self._undelivered(receiver.name, start_ms, end_ms)
            if receiver.name == self._general:
                items += self._models(now_ms, start_ms, end_ms)
                items += self._silences(start_ms, end_ms)
            found = digest(receiver.name, start_ms, items)
            note = None if found is None else notification(receiver, found, self._console)
            if note is not None:
                yield Item(note, end_ms, end_ms)

    @property
    def _general(self) -> str:
        """Who reads what is about no receiver: the one named slack, else the first."""
        names = [one.name for one in self._receivers]
        return "slack" if "slack" in names else names[0]

    def _undelivered(self, name: str, start_ms: int, end_ms: int) -> Iterator[DigestItem]:
        """News that came too late, this receiver's own and that of those who read no digest."""
        readers = {one.name for one in self._receivers}
        for delivery in self._read.deliveries.values():
            mine = delivery.receiver == name or (
                name == self._general and delivery.receiver not in readers
            )
            if (
                mine
                and delivery.state in ("expired", "late")
                and start_ms <= delivery.at_ms < end_ms
            ):
                story = answers.story(self._read.episodes, delivery.episode_id)
                title = "" if story is None else str(story.latest.document.get("title", ""))
                yield DigestItem(
                    why="expired",
                    model_id=delivery.model_id,
                    about=delivery.episode_id,
                    at=rfc3339(delivery.at_ms),
                    text=clip(f"{delivery.receiver}: {title or delivery.change}", LINE_LIMIT),
                    severity=delivery.severity,
                    open=story is not None and not story.ended,
                    sequence=delivery.sequence,
                )

    def _silences(self, start_ms: int, end_ms: int) -> Iterator[DigestItem]:
        """Silences that ended, by themselves or because a person said so: what they held back is heard again."""
        for one in self._read.commands.silences(end_ms):
            over = str(one["ended_at"] or one["until"])
            if one["status"] == "ended" and start_ms <= moment_ms(over) < end_ms:
                model_id, about = str(one["model_id"]), f"silence/{one['silence_id']}"
                text = f"{model_id}: {one['reason']} (by {one['by']})"
                yield DigestItem("silence_ended", model_id, about, over, text, open=False)

    def _models(self, now_ms: int, start_ms: int, end_ms: int) -> Iterator[DigestItem]:
        """Models of which nothing was known all day."""
        for model_id in answers.model_ids(self._read):
            view = answers.model(self._read, model_id, now_ms)
            if view.state == "retired" or view.newest is None:
                continue
            newest, at = view.newest, rfc3339(view.newest.end_ms)
            about = f"{model_id}/{view.version}/all"
            if newest.logged_ms < start_ms:
                yield DigestItem("stale", model_id, about, at, f"{model_id} {view.version}")
                continue
            for subject, history in sorted(self._read.results.get(model_id, {}).items()):
                day = [one for one in history if start_ms <= one.logged_ms < end_ms]
                if (
                    subject.version != view.version
                    or subject.segment != "all"
                    or not day
                    or any(one.verdict != "insufficient" for one in day)
                ):
                    continue
                text = f"{model_id} {view.version}, {subject.scope}: {words(day[-1].reason)}"
                why: Why = "label_coverage" if day[-1].reason in _LABELS else "insufficient"
                scoped = f"{about}/{subject.scope}"
                yield DigestItem(why, model_id, scoped, rfc3339(day[-1].end_ms), text)
