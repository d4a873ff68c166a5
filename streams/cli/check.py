"""`leeway check`: is this lifecycle right, and if not, where and why?"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from streams import lifecycle
from streams.cli import output
from streams.cli.connection import ConfigOption, service_of
from streams.errors import LifecycleError, UsageError
from streams.lifecycle import Lifecycle
from streams.lifecycle.drift import AUTO

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "leeway check examples/smallest.yaml"

_LINE = re.compile(r"(?P<file>.*?):(?P<line>\d+):(?P<column>\d+): (?P<message>.*)", re.DOTALL)


def _show_schema(asked: bool) -> None:
    """For editors: print what a lifecycle file may hold, and end."""
    if asked:
        from streams.lifecycle.keys import file_schema

        output.print_json(file_schema())
        raise typer.Exit


def command(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="lifecycle files (YAML)")],
    config: ConfigOption = None,
    schema: Annotated[
        bool,
        typer.Option(
            "--schema",
            callback=_show_schema,
            is_eager=True,
            help="print the JSON Schema of these files, for editors, and end",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
) -> int:
    """Validate lifecycles: every mistake on its own line, with its place and what was expected.

    Of a drift method that was written it says how often its rule would be wrong, and what it would miss; with the
    reference beside FILE where there is one, else with usual numbers. The same of methods that read errors one by one.
    Exit code 0 (perhaps with notices: keys that do not act yet, what is missing) or 2.
    """
    receivers = [receiver.name for receiver in service_of(None, config).receivers]
    reports = [_check(path, receivers) for path in files]
    if as_json:
        output.print_json({"files": reports})
    else:
        for report in reports:
            _print(report)
    return UsageError.exit_code if any(report["mistakes"] for report in reports) else 0


def _check(path: Path, receivers: Sequence[str]) -> dict[str, list[dict[str, object]] | str]:
    try:
        found = lifecycle.read(path, receivers=receivers)
    except (LifecycleError, UsageError) as error:
        lines = error.mistakes if isinstance(error, LifecycleError) else [str(error)]
        return {"file": str(path), "models": [], "mistakes": [_mistake(line) for line in lines]}
    models: list[dict[str, object]] = [
        {
            "model_id": one.model_id,
            "version": one.version,
            "revision": one.revision,
            "notices": list(lifecycle.notices(one)),
            "rules": _rules(path, one),
        }
        for one in found
    ]
    return {"file": str(path), "models": models, "mistakes": []}


def _rules(path: Path, one: Lifecycle) -> list[str]:
    """What the drift rules of a lifecycle would do."""
    drift = one.monitoring.drift_detection
    written = drift.data_drift.method, drift.prediction_drift.method
    if all(method == AUTO for method in written) and drift.concept_drift is None:
        return []
    from streams.cli.files import Named, references
    from streams.offline.expectations import expectations

    try:
        found = references([Named(path, one)], []).get(one.model_id)
    except UsageError as error:
        return [str(error), *expectations(one, None)]
    return list(expectations(one, found))


def _mistake(line: str) -> dict[str, object]:
    found = _LINE.fullmatch(line)
    if found is None:
        return {"line": None, "column": None, "message": line, "text": line}
    return {
        "line": int(found["line"]),
        "column": int(found["column"]),
        "message": found["message"],
        "text": line,
    }


def _print(report: dict[str, list[dict[str, object]] | str]) -> None:
    models, mistakes = report["models"], report["mistakes"]
    assert not isinstance(models, str)
    assert not isinstance(mistakes, str)
    for mistake in mistakes:
        output.write(str(mistake["text"]))
    for model in models:
        notices = model["notices"]
        assert isinstance(notices, list)
        noticed = (
            f", {len(notices)} notices" if len(notices) > 1 else ", 1 notice" if notices else ""
        )
        output.write(
            f"{report['file']}: {model['model_id']} {model['version']}: no mistakes{noticed}"
        )
        for notice in notices:
            output.write(f"  notice: {notice}")
        rules = model["rules"]
        assert isinstance(rules, list)
        for rule in rules:
            output.write(f"  rule: {rule}")
