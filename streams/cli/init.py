"""`leeway init`: a first lifecycle, drafted from events that are there already."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli import output
from streams.cli.connection import BrokersOption, ConfigOption, past
from streams.errors import LifecycleError, UsageError

if TYPE_CHECKING:
    from streams.offline.drafting.draft import Draft

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "leeway init loans.parquet --out loans.yaml"

_STDOUT = Path("-")
_MOST_LEFT_OUT = 12  # that are named one by one


def command(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help="Parquet, CSV or JSON lines (perhaps .gz), or topic:NAME"
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL_ID", help="which model, or what to call it; default: as the events say"
        ),
    ] = None,
    version: Annotated[
        str | None,
        typer.Option(metavar="VERSION", help="deployed now; default: that of most events"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="default: MODEL_ID.yaml here; - is the screen"),
    ] = None,
    sample: Annotated[
        int, typer.Option(metavar="N", min=10, max=1_000_000, help="how many events are looked at")
    ] = 20_000,
    no_values: Annotated[
        bool,
        typer.Option("--no-values", help="no ranges and categories: all features are personal"),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="write over a file that is there")] = False,
    brokers: BrokersOption = None,
    config: ConfigOption = None,
) -> None:
    """Draft a lifecycle from a sample of events: what they are, what looks like a feature, and what to decide.

    The draft passes `leeway check`, and `leeway baseline` and `leeway replay` read the same source with it.
    """
    from streams.lifecycle import load
    from streams.offline.drafting.draft import draft
    from streams.offline.drafting.page import page_of
    from streams.offline.sample import take

    def topics(topic: str) -> Iterator[Sequence[bytes]]:
        return past(topic, brokers, config)

    def told(name: str, total: int | None) -> AbstractContextManager[output.Advance]:
        return output.progress(f"reading {name}", total)

    _named(model, version)
    if out is not None and out != _STDOUT:
        _may_write(out, force=force)
    found = draft(
        take(source, sample, topics, told), model=model, version=version, values=not no_values
    )
    path = out or Path(f"{found.model_id}.yaml")
    if path != _STDOUT:
        _may_write(path, force=force)
    text = page_of(found, "FILE" if path == _STDOUT else str(path))
    try:
        load(text, str(path))
    except LifecycleError as error:
        raise UsageError(
            f"{source}: no lifecycle can be drafted of it: {error.mistakes[0]}"
        ) from None
    if path == _STDOUT:
        output.write(text.rstrip("\n"))
    else:
        try:
            output.write_atomically(path, text.encode())
        except OSError as error:
            raise UsageError(f"{path}: cannot be written: {error.strerror}") from None
    _tell(found, source, path)


def _named(model: str | None, version: str | None) -> None:
    """Refuse names that no lifecycle can have, before anything is read."""
    from streams.lifecycle import load

    document = 'model_lifecycle:\n  model_id: "{}"\n  version: "{}"\n  monitoring: {{}}\n'
    for option, said, text in (
        ("--model", model, document.format(model, "1")),
        ("--version", version, document.format("m", version)),
    ):
        if said is None:
            continue
        try:
            load(text, option)
        except LifecycleError:
            raise UsageError(
                f"{option} {said}: is not a name: expected letters, digits, dots, underscores and dashes"
            ) from None


def _may_write(path: Path, *, force: bool) -> None:
    if path.exists() and not force:
        raise UsageError(f"{path}: is there already: say --out FILE, or --force to write over it")


def _tell(found: "Draft", source: str, path: Path) -> None:
    """What was seen, what was guessed, and what a person must decide."""
    seen = f"{found.looked_at:,}" + ("" if found.looked_at == found.rows else f" of {found.rows:,}")
    more = "" if found.whole else "; the topic goes on"
    output.remark(f"looked at {seen} events of {source}{more}")
    for line in found.saw:
        output.remark(f"  saw: {line}")
    for line in found.guesses:
        output.remark(f"  guessed: {line}")
    for left in found.left_out[:_MOST_LEFT_OUT]:
        output.remark(f"  left out: {left.name}: {left.why}")
    if len(found.left_out) > _MOST_LEFT_OUT:
        output.remark(f"  left out: {len(found.left_out) - _MOST_LEFT_OUT} more; the file says why")
    for line in found.decide:
        output.remark(f"  decide: {line}")
    if path == _STDOUT:
        return
    output.remark(
        f"wrote {path}: {found.model_id} {found.version}, {len(found.features)} features. Read it, then:"
    )
    output.remark(f"  leeway check {path}")
    output.remark(f"  leeway baseline {path} --data {source}")
