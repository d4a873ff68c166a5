"""Which events does SOURCE hold? A file of JSON lines, Parquet or CSV, or a topic's past, as producers' bytes.

`baseline` and `replay` read everything through here. JSON lines and topics hold events as a producer sent them, in the
lifecycle's own shape and perhaps of several kinds; tables hold one row per event in the plain shape of contracts 1.1,
or in columns that have the names under which the lifecycle's events keep our fields.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from streams.errors import UsageError
from streams.lifecycle import Lifecycle
from streams.lifecycle.sources import Source as LifecycleSource
from streams.offline import tables
from streams.offline.naming import renamed
from streams.offline.opening import Lines, open_file
from streams.offline.selection import (
    ONLY_PREDICTIONS,
    Kind,
    Seen,
    Teller,
    Where,
    matches,
    nothing_left,
    some,
)
from streams.topics import Names


@dataclass(frozen=True, slots=True)
class Chunk:
    """Events of one kind in the order of the source. `read`: how far this is into `Source.size`."""

    kind: Kind
    events: Sequence[bytes]
    read: int


@dataclass(frozen=True, slots=True)
class Source:
    """Events, and the lifecycles in the shape that reads them.

    `size` is in whatever unit `Chunk.read` counts (rows or bytes); None: unknown. `absent` names declared features that
    no column of a table is named like.
    """

    name: str
    lifecycles: tuple[Lifecycle, ...]
    size: int | None
    absent: tuple[str, ...]
    chunks: Callable[[], Iterator[Chunk]]


def open_source(
    name: str,
    lifecycles: Sequence[Lifecycle],
    *,
    kind: Kind | None = None,
    where: Sequence[Where] = (),
    past: Callable[[str], Iterable[Sequence[bytes]]] | None = None,
) -> Source:
    """Look at the beginning of a source and prepare to read it.

    Parameters
    ----------
    name
        A file, or ``topic:NAME``.
    lifecycles
        Whose events these are; at least one.
    kind
        What the events are; None: told by their fields.
    past
        Reads a topic from its beginning to its present end, in chunks; needed for ``topic:NAME`` alone.

    Raises
    ------
    UsageError
        There is no such thing, it cannot be read, or it lacks what every event needs.
    """
    if name.startswith("topic:"):
        if past is None:
            raise UsageError(f"{name}: no broker was given: set LEEWAY_BROKERS or --brokers")
        return _topic(name, lifecycles, kind, where, past)
    opened = open_file(name)
    if isinstance(opened, Lines):
        return _json_lines(opened, lifecycles, kind, where)
    return _table(renamed(opened, lifecycles), lifecycles, kind, where)


def in_plain_shape(lifecycle: Lifecycle, kind: Kind, columns: Sequence[str]) -> Lifecycle:
    """A lifecycle that reads rows of a table: default topics and paths; features where the table has them."""
    source = lifecycle.source.model_copy(
        update={
            "predictions": _plain(lifecycle.source.predictions, needed=kind == "predictions"),
            "features": _plain(lifecycle.source.features, needed=kind == "features"),
            "labels": _plain(lifecycle.source.labels, needed=kind == "labels"),
        }
    )
    features = {
        name: feature.model_copy(
            update={"path": None, "from_": kind if name in columns else feature.from_}
        )
        for name, feature in lifecycle.features.items()
    }
    segments = tuple(
        segment.model_copy(update={"path": None}) if segment.path is not None else segment
        for segment in lifecycle.segments
    )
    update = {"source": source, "features": features, "segments": segments}
    unchanged = all(getattr(lifecycle, name) == value for name, value in update.items())
    return lifecycle if unchanged else lifecycle.model_copy(update=update)


def topic_of(lifecycle: Lifecycle, kind: Kind, names: Names) -> str:
    """Where a lifecycle's events of a kind come from."""
    source = getattr(lifecycle.source, kind)
    topic = getattr(source, "topic", None)
    return topic if topic is not None else f"{names.prefix}{kind}"


def formats(lifecycles: Sequence[Lifecycle], topic: str, names: Names) -> frozenset[str]:
    """What the records of a topic may be, as the lifecycles that read it say."""
    kinds: tuple[Kind, ...] = ("predictions", "features", "labels")
    return frozenset(
        source.format
        for lifecycle in lifecycles
        for kind in kinds
        if (source := getattr(lifecycle.source, kind)) is not None
        and topic_of(lifecycle, kind, names) == topic
    )


def source_topics(lifecycle: Lifecycle, names: Names) -> tuple[str, ...]:
    """The topics that are read for a lifecycle: its predictions, feature events, labels, and what is joined of them."""
    kinds: tuple[Kind, ...] = ("predictions", "features", "labels")
    read = [
        topic_of(lifecycle, kind, names)
        for kind in kinds
        if getattr(lifecycle.source, kind) is not None
    ]
    if lifecycle.source.labels is not None and lifecycle.source.join is not None:
        read.append(names("outcomes"))
    return tuple(read)


# ---------------------------------------------------------------------------------------------------- tables
def _table(
    table: tables.Table,
    lifecycles: Sequence[Lifecycle],
    kind: Kind | None,
    where: Sequence[Where],
) -> Source:
    columns = table.columns
    if "timestamp" not in columns:
        raise UsageError(f"{table.name}: has no column timestamp; it has {some(columns)}")
    if "model_id" not in columns and len(lifecycles) > 1:
        models = ", ".join(lifecycle.model_id for lifecycle in lifecycles)
        raise UsageError(
            f"{table.name}: has no column model_id, which tells whose event a row is ({models})"
        )
    for condition in where:
        if condition.column not in columns:
            raise UsageError(
                f"--where {condition.column}: is not a column of {table.name}; it has {some(columns)}"
            )
    declared = _declared(lifecycles)
    inputs = [column for column in columns if column in declared]
    if declared and not inputs and kind != "labels":
        raise UsageError(
            f"{table.name}: no column is named like a declared feature ({some(tuple(declared))}); "
            f"it has {some(columns)}"
        )
    kind = kind or _kind_of_table(columns, inputs, lifecycles)
    looked_up = {name for lifecycle in lifecycles for name in _segment_names(lifecycle)}
    roles = tables.roles(table, declared)
    # a segment is looked up in the tags, also where its column is a feature or a field as well
    tags = [c for c in columns if roles[c] == "tag" or (c in looked_up and roles[c] != "time")]
    default = lifecycles[0].model_id if len(lifecycles) == 1 else None

    seen = Seen(where)

    labelled = kind == "predictions" and _labelled(columns, lifecycles)
    whole = _whole(columns, lifecycles)

    def chunks() -> Iterator[Chunk]:
        rows = 0
        labels: list[tuple[int, bytes]] = []
        for batch in table.batches(roles):
            rows += len(batch["timestamp"])
            kept = _kept(batch, seen) if where else None
            events = tables.encode_rows(
                batch,
                features=inputs,
                tags=tags,
                model_id=default,
                kept=kept,
                labels=kind == "labels",
            )
            yield Chunk(kind, events, rows)
            if labelled:
                labels += tables.encode_labels(
                    batch, features=inputs, tags=tags, model_id=default, kept=kept, whole=whole
                )
        labels.sort(
            key=lambda label: label[0]
        )  # as they became known; equal times stay as they are
        for at in range(0, len(labels), tables.ROWS):
            yield Chunk("labels", [event for _, event in labels[at : at + tables.ROWS]], rows)

    absent = tuple(name for name in declared if name not in columns)
    plain = tuple(in_plain_shape(lifecycle, kind, columns) for lifecycle in lifecycles)
    return Source(table.name, plain, table.rows, absent, _not_empty(table.name, seen, chunks))


def _labelled(columns: Sequence[str], lifecycles: Sequence[Lifecycle]) -> bool:
    """Whether the rows hold labels that somebody reads."""
    there = "label" in columns or "loss" in columns
    return there and any(lifecycle.source.labels is not None for lifecycle in lifecycles)


def _whole(columns: Sequence[str], lifecycles: Sequence[Lifecycle]) -> bool:
    """Whether a row's label says what was predicted: as the producers of these labels would have written it.

    It does where nothing is joined, where the labels' mapping names a prediction or a score, and where rows have no id
    to be joined by. Otherwise the joiner gets to do what it does in production.
    """
    said = ("prediction", "score", "scores")
    return "event_id" not in columns or any(
        one.source.join is None or any(name in one.source.labels.fields for name in said)
        for one in lifecycles
        if one.source.labels is not None
    )


def _kind_of_table(
    columns: Sequence[str], inputs: Sequence[str], lifecycles: Sequence[Lifecycle]
) -> Kind:
    if any(column in columns for column in ONLY_PREDICTIONS):
        return "predictions"
    origins = {
        lifecycle.features[name].from_
        for lifecycle in lifecycles
        for name in inputs
        if name in lifecycle.features
    }
    return "features" if origins == {"features"} else "predictions"


def _kept(batch: Mapping[str, tables.Values], seen: Seen) -> list[bool]:
    kept = [True] * len(batch["timestamp"])
    for condition in seen.where:
        texts = seen.texts(condition.column, batch[condition.column])
        kept = [old and text == condition.value for old, text in zip(kept, texts, strict=True)]
    return kept


def _declared(lifecycles: Sequence[Lifecycle]) -> dict[str, str]:
    """Every declared feature and its type; two models must agree on what they share, since a column has one type."""
    declared: dict[str, tuple[str, str]] = {}
    for lifecycle in lifecycles:
        for name, feature in lifecycle.features.items():
            former, whose = declared.setdefault(name, (feature.type, lifecycle.model_id))
            if former != feature.type:
                raise UsageError(
                    f"feature {name} is {former} in {whose} and {feature.type} in {lifecycle.model_id}: "
                    "read this table for one model at a time"
                )
    return {name: kind for name, (kind, _) in declared.items()}


def _segment_names(lifecycle: Lifecycle) -> Iterator[str]:
    for segment in lifecycle.segments:
        yield from segment.by or (segment.name,)


# ------------------------------------------------------------------------------------------ JSON lines, topics
def _json_lines(
    lines: Lines, lifecycles: Sequence[Lifecycle], kind: Kind | None, where: Sequence[Where]
) -> Source:
    seen = Seen(where)

    def chunks() -> Iterator[Chunk]:
        for block in lines.blocks():
            yield from _told(block.lines, lifecycles, kind, block.read, seen)

    name = lines.name
    return Source(name, tuple(lifecycles), lines.size, (), _not_empty(name, seen, chunks))


def _topic(
    name: str,
    lifecycles: Sequence[Lifecycle],
    kind: Kind | None,
    where: Sequence[Where],
    past: Callable[[str], Iterable[Sequence[bytes]]],
) -> Source:
    topic, seen = name.removeprefix("topic:"), Seen(where)

    def chunks() -> Iterator[Chunk]:
        read = 0
        for events in past(topic):
            read += len(events)
            yield from _told(events, lifecycles, kind, read, seen)

    return Source(name, tuple(lifecycles), None, (), _not_empty(name, seen, chunks))


def _told(
    events: Sequence[bytes],
    lifecycles: Sequence[Lifecycle],
    kind: Kind | None,
    read: int,
    seen: Seen,
) -> Iterator[Chunk]:
    """Events that are kept, cut where their kind changes."""
    if seen.where:
        events = [event for event in events if matches(event, seen)]
    if kind is not None:
        yield Chunk(kind, events, read)
        return
    tell = Teller(lifecycles)
    start = 0
    kinds = [tell(event) for event in events]
    for at in range(1, len(events) + 1):
        if at == len(events) or kinds[at] != kinds[start]:
            yield Chunk(kinds[start], events[start:at], read)
            start = at


# ------------------------------------------------------------------------------------------------------ small
def _not_empty(
    name: str, seen: Seen, chunks: Callable[[], Iterator[Chunk]]
) -> Callable[[], Iterator[Chunk]]:
    def guarded() -> Iterator[Chunk]:
        events = 0
        for chunk in chunks():
            events += len(chunk.events)
            yield chunk
        if not events:
            raise UsageError(nothing_left(name, seen))

    return guarded


def _plain(source: LifecycleSource | None, *, needed: bool) -> LifecycleSource | None:
    """The mapping of contracts 1.1: default topic, our names, nothing filtered."""
    if source is None:
        return LifecycleSource() if needed else None
    return source.model_copy(
        update={"topic": None, "fields": {}, "filter": (), "timestamp_unit": "ms"}
    )
