"""How does what is known become one file? Records are gathered, drawn, and put together with what a browser needs."""

import gzip
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import TypeVar

from streams.broker import Partition, Record
from streams.console.html import STYLES
from streams.console.report import Stylesheet
from streams.topics import Names
from streams.views.places import Elsewhere, Place, Recalled
from streams.views.read import ReadModel, document_of

__all__ = ["TOPICS", "Gathered", "gathered", "stylesheet"]

TOPICS = ("models", "results", "alerts", "retraining", "deliveries", "commands")
YEARS_MS = 50 * 366 * 86_400_000  # a replay shows all that was replayed
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Gathered:
    """What is known, and the records of which it may ask again."""

    read: ReadModel
    records: Mapping[Place, Record] = field(repr=False)

    def draw(self, with_: Callable[[Recalled], T]) -> T:
        """Draw something; whatever it finds to be on the log only is looked up, and it is drawn again."""
        recalled: dict[Place, bytes | None] = {}
        while True:
            try:
                return with_(recalled)
            except Elsewhere as elsewhere:
                recalled |= {place: self._document(place) for place in elsewhere.places}

    def _document(self, place: Place) -> bytes | None:
        record = self.records.get(place)
        return None if record is None else document_of(record)


def gathered(
    names: Names, records: Iterable[Record], *, model_id: str | None = None, kept_ms: int = YEARS_MS
) -> Gathered:
    """Fold records into a read model.

    Parameters
    ----------
    records : of the topics in `TOPICS`, in the order of their offsets
    model_id : whose results are wanted; None: all
    kept_ms : how much of the past is kept
    """
    read = ReadModel(names, kept_ms=kept_ms)
    kept: dict[Place, Record] = {}
    lasting = names("results"), names("models")
    for record in records:
        of_other = model_id is not None and (record.key or b"") != model_id.encode()
        if record.topic == names("results") and of_other:
            continue
        if read.fold(record) is None and record.topic in lasting:
            kept[Partition(record.topic, record.partition), record.offset] = record
    return Gathered(read, kept)


@cache
def stylesheet() -> Stylesheet:
    """The console's own styles and drawing, and the chart library: 4.8 MB that become 2.0 MB of text."""
    static = files("streams.console").joinpath("static")
    styles = "".join(static.joinpath(name).read_text("utf-8") for name in STYLES)
    charts = files("plotly").joinpath("package_data", "plotly.min.js").read_bytes()
    return Stylesheet(
        # on paper there is no dark
        styles.replace("(prefers-color-scheme: dark)", "not all").replace("light dark", "light"),
        static.joinpath("pictures.js").read_text("utf-8"),
        b64encode(gzip.compress(charts, 9, mtime=0)).decode(),
    )
