"""Are outcomes counted right on two real streams whose labels come late, and is their concept drift found?

    python -m benchmarks.real_labels [--data FOLDER]

Every window by the time its labels became known, and every day by when its predictions were made, is held against
pandas: outcomes, accuracy, confusion counts and coverage must be the same to the last bit. Then when the detector of
errors fires, and that it does not where the reference is judged by its own earlier parts. With `--brokers` the same
streams go through Kafka and all roles, and every record must be the same bytes as in the replay.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks._figures import HEAD, Figure, cells, data_folder, markdown, progress
from benchmarks._labelled import (
    STREAMS,
    Labelled,
    alarms,
    by_itself,
    by_leeway,
    differences,
    expected,
    load_stream,
    quiet_folds,
    replayed,
)


def measured(stream: Labelled) -> Iterator[Figure]:
    """The lines of one stream."""
    known = stream.known
    found = replayed(stream)
    windows, days = expected(stream)
    results = found["results"]
    for case, scope, of in (
        ("windows by the time labels became known", "outcomes", windows),
        ("days by when predictions were made, with coverage", "matured", days),
    ):
        wrong = differences(by_leeway(results, scope), of, coverage=scope == "matured")
        for line in wrong[:3]:
            progress(f"{known.name}: {scope}: {line}")
        yield Figure(
            known.name,
            case,
            f"{len(of) - len(wrong)} of {len(of)} the same",
            "all, to the last bit",
            not wrong,
        )
    first = next(iter(alarms(found["alerts"])), None)
    yield Figure(
        known.name,
        f"concept drift; accuracy falls {known.says}",
        "not found" if first is None else f"{first:%Y-%m-%d %H:%M}, {known.after(first)} later",
        f"between {known.falls:%Y-%m-%d %H:%M} and {known.by:%Y-%m-%d %H:%M}",
        first is not None and known.falls <= first <= known.by,
    )
    judged, fired = by_itself(stream)
    yield Figure(
        known.name,
        "the reference, judged by the whole of it",
        f"{fired} alarms in {judged} windows",
        "none",
        not fired,
    )
    folds = quiet_folds(stream)
    judged, fired = sum(n for n, _ in folds), sum(n for _, n in folds)
    yield Figure(
        known.name,
        "the reference, each quarter of its second half judged by all before it",
        f"{fired} alarms in {judged} windows",
        f"{known.within}: {known.how}" if known.within else "none",
        fired == known.within,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", help="folder of the real streams")
    given = parser.parse_args()
    folder = data_folder(given.data)
    if folder is None:
        progress("not measured: the real streams are not here (--data, or LEEWAY_TEST_DATA)")
        return 0
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="leeway-labels-") as place:
        for known in STREAMS:
            figures += measured(load_stream(folder, known, Path(place)))
            progress(f"{known.name}: measured")
    print("\n".join(markdown(HEAD[:5], [cells(f)[:5] for f in figures])))
    return int(any(f.met is False for f in figures))


if __name__ == "__main__":
    sys.exit(main())
