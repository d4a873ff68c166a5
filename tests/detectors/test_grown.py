"""Is a reference that grew of windows the one that their counts are?"""

import json
from typing import Any

import numpy as np

from detectors.binning import Binner, Column
from detectors.reference.build import build, from_document, to_document
from detectors.reference.grown import Seen, enough, grown

WINDOW_MS = 3_600_000


def column(values: Any) -> Column:
    return Column("feature:age", "integer", values, np.zeros(len(values), bool))


def test_it_has_the_edges_of_the_former_one_and_the_counts_of_the_windows() -> None:
    draw = np.random.default_rng(7)
    of = {"model_id": "m", "window_ms": WINDOW_MS, "source": "train"}
    former, _ = build(
        [column(draw.normal(40, 9, 6_000).round())],
        None,
        reference_id="r1",
        model_version="1.0.0",
        **of,  # type: ignore[arg-type]
    )
    binner = Binner([one.series for one in former.series])
    windows = []
    for n in range(40):
        values = draw.normal(55, 9, 200 + n).round()
        cells = binner.count([column(values)]).cells[0]
        windows.append(Seen(n * WINDOW_MS, len(values), cells, former.digest))
    assert not enough(windows[:29], 1_000)
    assert not enough(windows, 100_000)
    assert enough(windows[:30], 1_000)
    found = grown(
        former,
        windows,
        {"country=DE": windows[:5]},
        reference_id="r2",
        model_version="2.0.0",
        window_ms=WINDOW_MS,
    )
    assert found.series[0].series == former.series[0].series
    assert sum(found.series[0].counts) == sum(one.events for one in windows)
    assert found.series[0].counts == tuple(np.sum([one.cells for one in windows], axis=0).tolist())
    assert found.segments[0].events == sum(one.events for one in windows[:5])
    assert all(0.5 < phi < 2 for _, phi in found.series[0].dispersion)
    document = json.loads(json.dumps(to_document(found)))
    assert from_document(document) == found
