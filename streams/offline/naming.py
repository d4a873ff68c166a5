"""Which columns of a table are which fields, where the lifecycle's events call them by other names?

A table in the plain shape needs none of this. But who writes ``source.predictions.fields: {timestamp: created_at}`` has
tables with a column `created_at`, too.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from streams.lifecycle import Lifecycle
from streams.lifecycle.sources import Source
from streams.offline.tables import FIELDS, Role, Table, Values

_TIMES = ("timestamp", "label_timestamp")
_OF_UNIT: Mapping[str, Role] = {"s": "seconds", "us": "microseconds", "ns": "nanoseconds"}


def renamed(table: Table, lifecycles: Sequence[Lifecycle]) -> Table:
    """The table with columns under our names, and its times in the lifecycles' units.

    A column is renamed if the lifecycle maps a field to it, the table has no column of the field's own name, and the
    column is no declared feature. Where lifecycles disagree, nothing is renamed.
    """
    found = [_names(table, one) for one in lifecycles]
    names = found[0] if all(each == found[0] for each in found) else {}
    of_unit = {
        field: _OF_UNIT[unit]
        for field, unit in zip(_TIMES, _units(lifecycles), strict=True)
        if unit in _OF_UNIT
    }
    if not names and not of_unit:
        return table
    own = {ours: theirs for theirs, ours in names.items()}

    def batches(roles: Mapping[str, Role]) -> Iterator[Mapping[str, Values]]:
        wanted = {
            own.get(column, column): of_unit.get(column, role) if role == "time" else role
            for column, role in roles.items()
        }
        for batch in table.batches(wanted):
            yield {names.get(column, column): values for column, values in batch.items()}

    columns = tuple(names.get(column, column) for column in table.columns)
    return replace(table, columns=columns, batches=batches)


def _names(table: Table, lifecycle: Lifecycle) -> dict[str, str]:
    """What each column that has to be renamed is called here."""
    predictions, labels = lifecycle.source.predictions, lifecycle.source.labels
    wanted = _columns(predictions, FIELDS)
    if labels is not None:
        theirs = _columns(labels, (*FIELDS, "prediction_timestamp"))
        if "timestamp" in theirs and theirs["timestamp"] != wanted.get("timestamp"):
            wanted["label_timestamp"] = theirs["timestamp"]
        wanted |= {field: theirs[field] for field in ("label", "loss") if field in theirs}
    names: dict[str, str] = {}
    for field, column in wanted.items():
        free = column not in names and column not in lifecycle.features and column not in FIELDS
        if free and column in table.columns and field not in table.columns:
            names[column] = field
    return names


def _columns(source: Source | None, fields: Sequence[str] | Mapping[str, Role]) -> dict[str, str]:
    """The fields that are found under one key."""
    mapping = source.fields if source is not None else {}
    return {
        field: path[0]
        for field, path in mapping.items()
        if field in fields and isinstance(path, tuple) and len(path) == 1
        if isinstance(path[0], str)
    }


def _units(lifecycles: Sequence[Lifecycle]) -> tuple[str, str]:
    """The unit of the times of predictions and of labels; ms where lifecycles disagree."""
    found = []
    for kind in ("predictions", "labels"):
        units = {getattr(getattr(one.source, kind), "timestamp_unit", "ms") for one in lifecycles}
        found.append(units.pop() if len(units) == 1 else "ms")
    return found[0], found[1]
