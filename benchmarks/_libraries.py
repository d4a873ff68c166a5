"""What do Evidently and NannyML themselves say? Runs under any Python that has one of them; nothing of Leeway here.

    PYTHON _libraries.py versions                 JSON: name -> version of those that can be imported
    PYTHON _libraries.py flags LIBRARY < npz      JSON: per window, the columns it says have drifted
    PYTHON _libraries.py dataset NAME > npz       one of NannyML's bundled sets

An npz of columns holds `reference/NAME` and `current/NAME` (numbers, or texts), and `rows`, those of a window.
"""

import importlib
import io
import json
import subprocess
import sys
import warnings
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

LIBRARIES = ("evidently", "nannyml")
Table = Mapping[str, NDArray[Any]]  # column -> float64 values or texts


@cache
def installed(pythons: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Library -> (version, the first of the Pythons that can import it)."""
    found: dict[str, tuple[str, str]] = {}
    for python in pythons:
        for library, version in json.loads(_ask(python, ["versions"])).items():
            found.setdefault(library, (version, python))
    return found


def flags(python: str, library: str, reference: Table, current: Table, rows: int) -> list[set[str]]:
    """Per window of `rows` rows of `current`, the columns that the library calls drifted, by its defaults."""
    packed = io.BytesIO()
    named: dict[str, Any] = {"rows": np.array(rows)}
    for side, table in _sides(reference, current):
        named |= {f"{side}/{name}": values for name, values in table.items()}
    np.savez(packed, **named)
    return [set(names) for names in json.loads(_ask(python, ["flags", library], packed.getvalue()))]


def dataset(python: str, name: str) -> tuple[Table, Table]:
    """Reference and analysis rows of one of NannyML's bundled sets; a missing text is the empty one."""
    with np.load(io.BytesIO(_ask(python, ["dataset", name]))) as found:
        tables = (
            {k.partition("/")[2]: found[k] for k in found if k.startswith(side)}
            for side in ("reference/", "current/")
        )
        return next(tables), next(tables)


def _sides(reference: Any, current: Any) -> list[tuple[str, Any]]:
    return [("reference", reference), ("current", current)]


def _ask(python: str, arguments: list[str], stdin: bytes = b"") -> bytes:
    command = [python, "-W", "ignore", str(Path(__file__).resolve()), *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}:\n{done.stderr.decode()[-2000:]}")
    return done.stdout


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    found = {}
    for library in LIBRARIES:
        try:
            importlib.import_module(library)
        except Exception:  # noqa: BLE001 - not there, or broken by what it depends on: either way it takes no part
            continue
        found[library] = version(library)
    return found


def _frames(packed: bytes) -> tuple[Any, Any, int]:
    pandas = importlib.import_module("pandas")

    with np.load(io.BytesIO(packed)) as found:
        sides = [
            pandas.DataFrame({k.partition("/")[2]: found[k] for k in found if k.startswith(side)})
            for side in ("reference/", "current/")
        ]
        return sides[0], sides[1], int(found["rows"])


def _evidently(reference: Any, current: Any, rows: int) -> list[list[str]]:
    evidently = importlib.import_module("evidently")
    preset = importlib.import_module("evidently.presets").DataDriftPreset
    numbers = [c for c in reference if reference[c].dtype.kind == "f"]
    others = [c for c in reference if c not in numbers]
    columns = evidently.DataDefinition(numerical_columns=numbers, categorical_columns=others)
    frozen = evidently.Dataset.from_pandas(reference, data_definition=columns)
    out = []
    for at in range(0, len(current), rows):
        window = current.iloc[at : at + rows].reset_index(drop=True)
        report = evidently.Report([preset()], include_tests=False)
        found = report.run(
            evidently.Dataset.from_pandas(window, data_definition=columns), frozen
        ).dict()
        drifted = []
        for metric in found["metrics"]:
            given = metric["config"]
            if "threshold" not in given:
                continue
            low = "p_value" in given["method"]
            value, limit = float(metric["value"]), given["threshold"]
            if value < limit if low else value > limit:
                drifted.append(given["column"])
        out.append(drifted)
    return out


def _nannyml(reference: Any, current: Any, rows: int) -> list[list[str]]:
    nannyml = importlib.import_module("nannyml")
    names = list(reference)
    calculator = nannyml.UnivariateDriftCalculator(
        column_names=names,
        treat_as_categorical=[c for c in names if reference[c].dtype.kind != "f"],
        chunk_size=rows,
    )
    calculator.fit(reference)
    found = calculator.calculate(current).filter(period="analysis").to_df()
    alerts = found.xs("alert", axis=1, level=2)
    return [
        [c for c, flag in zip(names, row, strict=True) if flag] for row in alerts.to_numpy(bool)
    ]


def _dataset(name: str) -> bytes:
    nannyml = importlib.import_module("nannyml")
    reference, current, _ = getattr(nannyml, f"load_synthetic_{name}_dataset")()
    packed = io.BytesIO()
    named: dict[str, Any] = {}
    for side, frame in _sides(reference, current):
        for column in frame:
            values = frame[column]
            if values.dtype.kind in "if":
                named[f"{side}/{column}"] = values.to_numpy(float)
            else:
                named[f"{side}/{column}"] = (
                    values.astype(object).fillna("").astype(str).to_numpy(str)
                )
    np.savez_compressed(packed, **named)
    return packed.getvalue()


def _answer(arguments: list[str]) -> bytes:
    match arguments:
        case ["versions"]:
            return json.dumps(_versions()).encode()
        case ["flags", library]:
            run = {"evidently": _evidently, "nannyml": _nannyml}[library]
            return json.dumps(run(*_frames(sys.stdin.buffer.read()))).encode()
        case ["dataset", name]:
            return _dataset(name)
    raise SystemExit(__doc__)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sys.stdout.flush()
    sys.stdout.buffer.write(_answer(sys.argv[1:]))
