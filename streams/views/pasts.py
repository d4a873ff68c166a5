"""How much of everybody's past fits into memory? All subjects together, and what goes first when they are too many."""

from streams.broker import Partition, Record
from streams.views.documents import Result, epoch_ms
from streams.views.past import KEPT_MS, Past, Scoped
from streams.views.whole import Whole

SUBJECTS = (
    400  # versions, segments and scopes of a model of which windows are kept: those judged last
)
MOST_BYTES = (
    192 * 1024 * 1024
)  # of all windows: 200 models of fifty series for a month take a third
LEAST_MS = 2 * 24 * 3_600_000


class Pasts:
    """The windows of all subjects.

    Where they take more than `most_bytes`, those of segments are kept for half as long, and half of that, down to two
    days; whole models keep their month.
    """

    def __init__(self, kept_ms: int = KEPT_MS, most_bytes: int = MOST_BYTES) -> None:
        self.whole = Whole()  # documents of the newest windows
        self.by_model: dict[str, dict[Scoped, Past]] = {}
        self.segments_ms = kept_ms  # how much of a segment's past is kept
        self._kept_ms, self._most_bytes, self._bytes = kept_ms, most_bytes, 0

    def put(self, record: Record, found: Result, value: bytes) -> Scoped:
        """Add a window; whose it is."""
        subject = Scoped(found.model_id, found.model_version, found.segment, found.scope)
        of_model = self.by_model.setdefault(subject.model_id, {})
        past = of_model.get(subject)
        if past is None:
            kept_ms = self._kept_ms if subject.segment == "all" else self.segments_ms
            past = of_model[subject] = Past(subject, record.topic, self.whole, kept_ms)
        before = past.size
        past.put(
            found,
            epoch_ms(found.window.start),
            epoch_ms(found.window.end),
            (Partition(record.topic, record.partition), record.offset),
            record.timestamp_ms or 0,
            value,
        )
        self._bytes += past.size - before
        if len(of_model) > SUBJECTS:
            oldest = of_model.pop(min(of_model, key=lambda one: (of_model[one].newest_ms, one)))
            oldest.forget()
            self._bytes -= oldest.size
        if self._bytes > self._most_bytes and self.segments_ms > LEAST_MS:
            self._shorten()
        return subject

    def _shorten(self) -> None:
        """Keep segments for half as long."""
        self.segments_ms = max(self.segments_ms // 2, LEAST_MS)
        pasts = [past for of_model in self.by_model.values() for past in of_model.values()]
        for past in pasts:
            if past.subject.segment != "all":
                past.shorten(self.segments_ms)
        self._bytes = sum(past.size for past in pasts)
