"""What would a first lifecycle of these events say, and what must a person decide? The draft, and what it rests on."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from streams.errors import UsageError
from streams.lifecycle.paths import path_text
from streams.offline.drafting.facts import Facts, Path, facts_of, flat, milliseconds, typed
from streams.offline.drafting.inputs import Feature, LeftOut, features_of
from streams.offline.drafting.outputs import Output, Segment, output_of, segments_of
from streams.offline.drafting.shape import Shape, divided, label_fields, shape_of
from streams.offline.drafting.windows import Windows, windows_for
from streams.offline.sample import Sample

__all__ = ["Draft", "draft", "moment"]

_EXAMPLE_MODEL = "my-model"


@dataclass(frozen=True, slots=True)
class Draft:
    """What a lifecycle would say. `fields` and `label_fields` map ours to theirs where the names differ."""

    name: str
    topic: str | None
    table: bool
    rows: int
    looked_at: int
    whole: bool
    first_ms: int | None
    last_ms: int | None
    model_id: str
    version: str
    version_seen: bool
    fields: Mapping[str, str]
    constant_model: bool
    unit: str
    label_unit: str
    labels: bool
    joined: bool
    label_topic: str | None
    label_fields: Mapping[str, str]
    output: Output
    features: tuple[Feature, ...]
    left_out: tuple[LeftOut, ...]
    segments: tuple[Segment, ...]
    windows: Windows | None
    values: bool
    saw: tuple[str, ...]
    guesses: tuple[str, ...]
    decide: tuple[str, ...]


def draft(
    sample: Sample, *, model: str | None = None, version: str | None = None, values: bool = True
) -> Draft:
    """Draft a lifecycle of one model.

    Parameters
    ----------
    sample : some of its events
    model : which model, or what to call it where the events do not say
    version : which version is deployed; None: the one that most events are of
    values : whether ranges and categories may be written down; else all features are personal

    Raises
    ------
    UsageError
        The events are of several models and none was named, or of none of that name, or they are labels only.
    """
    table = bool(sample.columns)
    labels: Sequence[Mapping[str, Any]] = ()
    if table:
        known = _of_table(sample)
    else:
        events, labels = divided(sample.events)
        if not events:
            raise UsageError(
                f"{sample.name}: holds labels only: expected predictions, perhaps with labels among them"
            )
        known = _known(flat(events))
        if not known:
            raise UsageError(f"{sample.name}: the {len(events):,} events looked at have no members")
    shape = shape_of(known, table=table)
    _refuse_odd_models(sample, shape, known)
    model_id, rows = _model(sample, shape, known, model)
    if rows is not None:
        known = {
            path: facts_of(path, [one.values[at] for at in rows]) for path, one in known.items()
        }
    return _drafted(sample, shape, known, labels, model_id, version, values=values)


def _drafted(
    sample: Sample,
    shape: Shape,
    known: Mapping[Path, Facts],
    labels: Sequence[Mapping[str, Any]],
    model_id: str,
    version: str | None,
    *,
    values: bool,
) -> Draft:
    table = bool(sample.columns)
    fields = dict(shape.fields)
    truth_known = _known(flat(labels)) if labels else known
    truth: dict[str, Path] = (
        label_fields(truth_known)
        if labels
        else {name: fields[name] for name in ("label", "loss") if name in fields}
    )
    if not labels and table and truth and "label_timestamp" in fields:
        truth["timestamp"] = fields["label_timestamp"]
    inside_event = not labels and not table and bool(truth)
    labelled = bool(truth) and not inside_event
    places = [known[path] for path in shape.inputs]
    held, left = features_of(places, shape.inside, values=values, typed=sample.typed)
    if table:
        held, left = _without_fields(held, left, fields)
    left += [
        LeftOut(path_text(path), "outside of the features: declare it with its path if it is one")
        for path in shape.others
        if shape.tags is None or path[: len(shape.tags)] != shape.tags
    ]
    times = known.get(fields["timestamp"]) if "timestamp" in fields else None
    moments = milliseconds(times) if times is not None else []
    taken = len(next(iter(known.values())).values)
    looked_at = taken if table else len(sample.events) + sample.unreadable
    rows = sample.rows * taken // looked_at  # of this model, and no labels
    span = max(moments) - min(moments) if moments else 0
    output = output_of(fields, known, truth, truth_known)
    segments = segments_of(shape, known, held, table=table)
    mapped = {} if table and not _renamed(fields) else _mapping(fields, shape, table=table)
    decide, guesses = _questions(sample, shape, fields, output, held, inside_event=inside_event)
    versions = known[fields["model_version"]].distinct if "model_version" in fields else None
    common = Counter(versions).most_common(1)[0][0] if versions else None
    if versions and len(versions) > 1 and version is None:
        decide.append(
            f"which version is deployed: the events are of {len(versions)}, most of {common}"
        )
    joined = not labelled or _is_joined(truth, fields, table=table)
    return Draft(
        name=sample.name,
        topic=sample.topic,
        table=table,
        rows=sample.rows,
        looked_at=looked_at,
        whole=sample.whole,
        first_ms=min(moments, default=None),
        last_ms=max(moments, default=None),
        model_id=model_id,
        version=version or common or "1.0.0",
        version_seen=version is None and common is not None,
        fields=mapped,
        constant_model=not table and "model_id" not in fields,
        unit=_unit(known, fields.get("timestamp")),
        label_unit=_unit(truth_known, truth.get("timestamp")) if labelled else "ms",
        labels=labelled,
        joined=joined,
        label_topic=sample.topic if labels else None,
        label_fields=_truth_mapping(truth, fields, table=table) if labelled else {},
        output=output,
        features=tuple(held),
        left_out=tuple(left),
        segments=segments,
        windows=windows_for(rows, span) if moments else None,
        values=values,
        saw=tuple(_saw(sample, shape, fields, truth, labels)),
        guesses=tuple(guesses),
        decide=tuple(decide),
    )


# -------------------------------------------------------------------------------------------------- who and where
def _of_table(sample: Sample) -> dict[Path, Facts]:
    return {
        (name,): facts_of((name,), column if sample.typed else typed(column))
        for name, column in sample.columns.items()
    }


def _known(places: Mapping[Path, Sequence[object]]) -> dict[Path, Facts]:
    return {path: facts_of(path, found) for path, found in places.items()}


def _refuse_odd_models(sample: Sample, shape: Shape, known: Mapping[Path, Facts]) -> None:
    if sample.columns and ("model_id",) in known and "model_id" not in shape.fields:
        raise UsageError(
            f"{sample.name}: column model_id holds no legal model ids: expected letters, digits, dots, underscores and "
            "dashes, at most 100"
        )


def _model(
    sample: Sample, shape: Shape, known: Mapping[Path, Facts], wanted: str | None
) -> tuple[str, list[int] | None]:
    """The model's id, and the events that are its own; None: all of them."""
    if "model_id" not in shape.fields:
        return wanted or _slug(sample.name), None
    one = known[shape.fields["model_id"]]
    names = sorted(one.distinct or ())
    if wanted is None and len(names) > 1:
        raise UsageError(
            f"{sample.name}: holds events of {len(names)} models: say --model {' or '.join(names[:8])}"
            + (" …" if len(names) > 8 else "")
        )
    if wanted is not None and wanted not in names:
        raise UsageError(
            f"--model {wanted}: {sample.name} has no event of it; it has {', '.join(names[:8])}"
        )
    chosen = wanted or names[0]
    if len(names) == 1:
        return chosen, None
    return chosen, [at for at, value in enumerate(one.values) if value == chosen]


def _slug(name: str) -> str:
    """A model id made of the name of a file or topic.

    >>> _slug("Loans 2026.parquet"), _slug("topic:loans.scored"), _slug("ß.csv")
    ('loans-2026', 'loans.scored', 'my-model')
    """
    base = name.removeprefix("topic:")
    if base == name:
        base = re.sub(r"(\.(parquet|csv|jsonl|ndjson|json|gz))+$", "", name, flags=re.I).lower()
    found = re.sub(r"[^A-Za-z0-9._-]+", "-", base).strip("-._")[:100]
    return found or _EXAMPLE_MODEL


def _renamed(fields: Mapping[str, Path]) -> bool:
    return any(path != (field,) for field, path in fields.items())


def _mapping(fields: Mapping[str, Path], shape: Shape, *, table: bool) -> dict[str, str]:
    """What `source.predictions.fields` has to say: only what our names do not say already."""
    found = {
        field: path_text(path)
        for field, path in fields.items()
        if path != (field,) and field not in ("label", "loss", "label_timestamp")
    }
    if not table and shape.inside != ("features",):
        found["features"] = path_text(shape.inside)
    if not table and shape.tags is not None and shape.tags != ("tags",):
        found["tags"] = path_text(shape.tags)
    return found


def _truth_mapping(
    truth: Mapping[str, Path], fields: Mapping[str, Path], *, table: bool
) -> dict[str, str]:
    plain_time = ("label_timestamp",) if table else ("timestamp",)
    return {
        field: path_text(path)
        for field, path in truth.items()
        if path != (plain_time if field == "timestamp" else (field,))
    }


def _is_joined(truth: Mapping[str, Path], fields: Mapping[str, Path], *, table: bool) -> bool:
    """Whether labels wait for their prediction: they have its id, and do not say what it was."""
    if table:
        return "event_id" in fields
    return "event_id" in truth and "prediction" not in truth and "score" not in truth


def _unit(known: Mapping[Path, Facts], path: Path | None) -> str:
    one = known.get(path) if path is not None else None
    return (one.unit or "ms") if one is not None and one.type != "time" else "ms"


def _without_fields(
    held: Sequence[Feature], left: Sequence[LeftOut], fields: Mapping[str, Path]
) -> tuple[list[Feature], list[LeftOut]]:
    """In a table a column that is called like a field of ours is read as that field, whatever is in it."""
    from streams.offline.tables import FIELDS

    ours = [one for one in held if one.name in FIELDS and one.name not in fields]
    why = "called like a field of ours, and no such thing: rename the column"
    return [one for one in held if one not in ours], [
        *left,
        *(LeftOut(one.name, why) for one in ours),
    ]


# ------------------------------------------------------------------------------------------------ what people are told
def _saw(
    sample: Sample,
    shape: Shape,
    fields: Mapping[str, Path],
    truth: Mapping[str, Path],
    labels: Sequence[object],
) -> list[str]:
    """One line for each thing that was recognised."""
    what = "columns" if sample.columns else "members"
    told = []
    own = [field for field, path in fields.items() if path == (field,)]
    if own:
        told.append(f"{what} that have our names: {', '.join(own)}")
    told += [f"{field} is {path_text(path)}" for field, path in fields.items() if path != (field,)]
    if not sample.columns and shape.inside != ("features",):
        told.append(
            f"features are in {path_text(shape.inside) if shape.inside else 'the event itself'}"
        )
    if labels:
        told.append(f"{len(labels):,} of the events are labels: {', '.join(truth)}")
    if sample.unreadable:
        told.append(f"{sample.unreadable:,} of the events looked at are no JSON objects")
    return told


def _questions(
    sample: Sample,
    shape: Shape,
    fields: Mapping[str, Path],
    output: Output,
    held: Sequence[Feature],
    *,
    inside_event: bool,
) -> tuple[list[str], list[str]]:
    """What a person must decide, and what was guessed."""
    decide, guesses = [], []
    if "timestamp" not in fields:
        decide.append(
            "when it was predicted: nothing here looks like a time; name it under source.predictions.fields.timestamp"
        )
    if not held:
        decide.append("what to watch: nothing here looks like a feature")
    if "prediction" not in fields and "score" not in fields:
        decide.append("what comes out of the model: no prediction and no score was recognised")
    if output.positive is not None:
        guesses.append(
            f"positive class {output.positive}: {output.why.removeprefix('guessed').lstrip(': ')}"
        )
    elif len(output.classes) == 2:
        decide.append("which class is positive: prediction.positive")
    if shape.guessed:
        guesses.append(f"features are in {path_text(shape.inside)}: it has most members")
    if inside_event:
        decide.append(
            "how labels arrive: the truth stands in the events themselves; as events of their own it can be read "
            "(source.labels)"
        )
    personal = [one.name for one in held if one.personal]
    if personal:
        guesses.append(f"personal by name or values: {', '.join(personal)}; see privacy.pii")
    return decide, guesses


def moment(ms: int) -> str:
    """A time to the minute.

    >>> moment(1772434693412)
    '2026-03-02 06:58'
    """
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M}"
