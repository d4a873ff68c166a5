"""Are the numbers of texts, vectors, identifiers and of all features together the same whichever way an event goes?"""

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.binning import Binner, Column
from detectors.reference.build import Reference, build, from_document, to_document
from detectors.reference.derived import Identifier, Text, Vector
from detectors.reference.joint import Joint
from detectors.series import PARTS
from streams.judging.plans import compile_plan
from streams.lifecycle import Lifecycle
from streams.profiling.columns import columns, related
from streams.registry import Registered
from tests.builders import HOUR_MS, NAMES, START_MS, Counted, encode, event, lifecycle, profiled

LENGTH = 4
FEATURES = {
    "note": "text",
    "face": "vector",
    "session": "category",
    "shop": "category",
    "a": "number",
    "b": "integer",
    "c": "number",
}
WORDS = [f"word{i}" for i in range(50)]


def model(**keys: Any) -> Lifecycle:
    joint = {"drift_detection": {"data_drift": {"joint": True}}}
    return lifecycle(**{"features": FEATURES, "monitoring": joint} | keys)


def rows(n: int, seed: int = 0) -> list[dict[str, Any]]:
    random = np.random.default_rng(seed)
    found = []
    for i in range(n):
        features: dict[str, Any] = {
            "note": " ".join(random.choice(WORDS, random.integers(0, 9)).tolist()) + "!" * (i % 2),
            "face": random.normal(size=LENGTH).round(3).tolist(),
            "session": f"s{random.integers(10**12)}",
            "shop": f"shop{min(int(random.zipf(1.3)), 10**6)}",
            "a": round(float(random.normal()), 4),
            "b": int(random.poisson(100)),
            "c": round(float(random.normal()), 4),
        }
        found.append(event(START_MS + i * 1_000, features=features))
    return found


@cache
def built() -> tuple[Reference, tuple[str, ...]]:
    of = model()
    read = columns(of, encode(rows(1_500, seed=99)))
    return build(
        read.columns,
        read.times_ms,
        reference_id="r1",
        model_id="m",
        model_version="1.0.0",
        source="seeded",
        window_ms=HOUR_MS,
        together=related(of),
    )


def counted(
    values: Sequence[bytes], of: Lifecycle | None = None, **how: Any
) -> tuple[dict[str, list[int]], dict[str, dict[str, int]], bytes]:
    found = profiled(values, of or model(), built()[0], **how).counted.values()
    total = Counted()
    for one in found:
        total.events += one.events
        for name, cells in one.cells.items():
            before = total.cells.get(name, [0] * len(cells))
            total.cells[name] = [a + b for a, b in zip(before, cells, strict=True)]
        for name, reasons in one.invalid.items():
            for reason, n in reasons.items():
                into = total.invalid.setdefault(name, {})
                into[reason] = into.get(reason, 0) + n
        sums = np.frombuffer(one.sums, "<i8")
        total.sums = (sums + np.frombuffer(total.sums or bytes(sums.nbytes), "<i8")).tobytes()
    return total.cells, total.invalid, total.sums


def careful() -> Lifecycle:
    """The same, so that every event is looked at field by field."""
    return model(source={"predictions": {"filter": {"model_id": "m"}}})


def test_a_reference_holds_a_series_for_every_number_that_is_derived() -> None:
    reference, warnings = built()
    names = [r.series.name for r in reference.series]
    notes = [f"feature:note.{part}" for part in PARTS["text"]]
    assert names[:8] == [*notes, "feature:face.norm", "feature:face.distance"]
    assert names[8:13] == [
        "feature:session.length",
        "feature:shop",
        "feature:a",
        "feature:b",
        "feature:c",
    ]
    assert names[-4:] == ["joint", "joint:a", "joint:b", "joint:c"]
    kinds = [type(one) for one in reference.derived]
    assert kinds == [Text, Vector, Identifier, Joint]
    (session,) = [w for w in warnings if "identifier" in w]
    assert session == (
        "feature:session: 1500 distinct values in 1500 rows look like an identifier: "
        "its length is watched, not its values"
    )


def test_a_reference_survives_its_document() -> None:
    reference, _ = built()
    again = from_document(json.loads(json.dumps(to_document(reference))))
    assert again == reference


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [
        (
            ("feature:note", "known"),
            "AAAA",
            "derived.feature:note.known: expected ascending 64-bit",
        ),
        (("feature:note", "type"), "poem", "derived.feature:note.type: expected one of text"),
        (("joint", "shift"), 16, "derived.joint: weights are too large"),
        (("joint", "weights"), [1], "derived.joint: expected 6 weights"),
        (
            ("joint", "features"),
            ["feature:a", "feature:b", "feature:z"],
            "needs the numeric series",
        ),
    ],
)
def test_a_damaged_derivation_is_refused_with_its_place(
    at: tuple[str, str], value: object, message: str
) -> None:
    document = json.loads(json.dumps(to_document(built()[0])))
    document["derived"][at[0]][at[1]] = value
    with pytest.raises(ValueError, match=message):
        from_document(document)


def test_no_text_and_no_value_of_an_identifier_is_in_the_reference() -> None:
    said = json.dumps(to_document(built()[0]))
    assert "word1" not in said
    assert '"s1' not in said


def test_what_needs_no_learning_is_counted_in_the_reference_as_in_production() -> None:
    reference, _ = built()
    cells, _, _ = counted(encode(rows(1_500, seed=99)))
    for one in reference.series:
        name = one.series.name
        if name.startswith("joint") or name.endswith((".unseen", ".distance")) or "shop" in name:
            continue  # a row knows itself: the reference leaves it out
        assert cells[name] == list(one.counts), name


def test_production_rows_are_measured_as_the_derivations_say() -> None:
    reference, _ = built()
    events = rows(300, seed=3)
    cells, invalid, _ = counted(encode(events))
    assert invalid == {}
    features = [e["features"] for e in events]
    values: dict[str, Any] = {}
    for one in reference.derived:
        if isinstance(one, Joint):
            block = np.array(
                [[f[n.removeprefix("feature:")] for f in features] for n in one.features]
            )
            values |= dict(zip(one.names, one.measured(block), strict=True))
            continue
        measure = one.measure()
        numbers = [measure(f[one.feature.removeprefix("feature:")]) for f in features]
        values |= dict(zip(one.names, np.array(numbers).T, strict=True))
    series = [r.series for r in reference.series if r.series.name in values]
    given = [Column(s.name, "number", values[s.name], np.zeros(300, bool)) for s in series]
    binner = Binner(series)
    expected = binner.count(given).cells[0]
    for s, at in zip(binner.series, binner.offsets, strict=True):
        assert cells[s.name] == expected[at : at + s.cells].tolist(), s.name


STRANGE: dict[str, tuple[str, str, str | None]] = {
    # feature, JSON, what is wrong
    "empty text": ("note", '""', None),
    "emoji": ("note", '"👍🏽👩‍👩‍👧 \\ud83d\\udc4d"', None),
    "blanks": ("note", '" \\t\\u00a0"', None),
    "half a character": ("note", '"a\\ud800"', "type"),
    "number for a text": ("note", "7", "type"),
    "list for a text": ("note", '["a"]', "type"),
    "boolean for a text": ("note", "true", "type"),
    "no text": ("note", "null", None),
    "bare NaN for a text": ("note", "NaN", "non_finite"),
    "text at the limit": ("note", '"' + "€" * 21_845 + '"', None),
    "text beyond the limit": ("note", '"' + "€" * 21_846 + '"', "too_long"),
    "text of a megabyte": ("note", '"' + "ab " * 340_000 + '"', "too_long"),
    "vector": ("face", "[1, 2, 3, 4.5]", None),
    "huge vector": ("face", "[1e308, -1e308, 1e308, 1e308]", None),
    "tiny vector": ("face", "[1e-320, 0, 0, -0.0]", None),
    "big whole numbers": ("face", f"[{2**53 + 1}, {10**300}, 0, 0]", None),
    "short vector": ("face", "[1, 2, 3]", "type"),
    "long vector": ("face", "[1, 2, 3, 4, 5]", "type"),
    "empty vector": ("face", "[]", "type"),
    "null in a vector": ("face", "[1, null, 3, 4]", "type"),
    "text in a vector": ("face", '[1, "2", 3, 4]', "type"),
    "boolean in a vector": ("face", "[1, true, 3, 4]", "type"),
    "NaN in a vector": ("face", "[1, NaN, 3, 4]", "non_finite"),
    "infinity in a vector": ("face", "[1, 2, 3, 1e999]", "non_finite"),
    "number beyond a double in a vector": ("face", f"[1, 2, 3, {10**400}]", "non_finite"),
    "bare infinity for a vector": ("face", "Infinity", "non_finite"),
    "text for a vector": ("face", '"1 2 3 4"', "type"),
    "object for a vector": ("face", '{"0": 1}', "type"),
    "no vector": ("face", "null", None),
    "whole number as an identifier": ("session", "1234567", None),
    "boolean as an identifier": ("session", "true", None),
    "fraction as an identifier": ("session", "1.5", "type"),
    "long identifier": ("session", '"' + "s" * 257 + '"', "too_long"),
    "empty identifier": ("session", '""', None),
    "text for a number": ("a", '"7"', "type"),
    "huge number": ("a", "1e308", None),
    "number beyond a double": ("a", "1e999", "non_finite"),
}


def strange(name: str) -> bytes:
    feature, written, _ = STRANGE[name]
    row = rows(1, seed=5)[0]
    row["features"][feature] = "?"
    return json.dumps(row).replace(f'"{feature}": "?"', f'"{feature}": {written}').encode()


@pytest.mark.parametrize("name", STRANGE)
def test_a_strange_value_costs_its_own_series_and_says_why(name: str) -> None:
    feature, written, reason = STRANGE[name]
    cells, invalid, _ = counted([strange(name)])
    assert invalid == ({f"feature:{feature}": {reason: 1}} if reason else {})
    outputs = ("prediction", "score")
    assert all(sum(of) == 1 for series, of in cells.items() if series not in outputs)
    parts = [of for series, of in cells.items() if series.startswith(f"feature:{feature}")]
    if reason in ("type", "too_long"):
        assert all(of[-2] == 1 for of in parts)
    elif reason == "non_finite" or written == "null":
        assert all(of[-1] == 1 for of in parts)
    else:
        assert parts[0][-1] == 0
    assert cells["joint"][-2:] == [0, 0]


def test_an_empty_text_has_a_length_and_no_shares() -> None:
    cells, _, _ = counted([strange("empty text")])
    missing = {n: c[-1] for n, c in cells.items() if n.startswith("feature:note.")}
    assert [n.rpartition(".")[2] for n, m in missing.items() if m] == list(PARTS["text"][2:])


@settings(max_examples=25)
@given(
    st.lists(st.sampled_from(sorted(STRANGE)), max_size=8),
    st.integers(0, 30),
    st.lists(st.integers(0, 38), max_size=5),
    st.lists(st.integers(0, 38), max_size=3),
)
def test_any_batches_and_the_careful_path_give_the_same_bits(
    names: list[str], good: int, splits: list[int], flushes: list[int]
) -> None:
    values = [*encode(rows(good, seed=1)), *map(strange, names)]
    expected = counted(values)
    within: dict[str, Any] = {
        "splits": [i for i in splits if i < len(values)],
        "flush_at": [i for i in flushes if i < len(values)],
    }
    assert counted(values, **within) == expected
    assert counted([*reversed(values)]) == expected
    assert counted(values, careful(), **within) == expected


def test_joint_series_cost_nothing_once_the_lifecycle_does_not_ask_for_them() -> None:
    values = encode(rows(50))
    cells, _, _ = counted(values)
    without, _, _ = counted(values, model(monitoring={}))
    assert {n for n in cells if cells[n] != without[n]} == {
        "joint",
        "joint:a",
        "joint:b",
        "joint:c",
    }
    assert sum(without["joint"]) == 0


@pytest.mark.parametrize(
    ("monitored", "expected"),
    [
        ("all", 17),
        (["note"], 6),
        (["face", "session"], 3),
        (["a", "b"], 2),
    ],
)
def test_what_is_derived_is_monitored_with_its_feature(monitored: Any, expected: int) -> None:
    drift = {
        "data_drift": {"features_monitored": monitored},
        "prediction_drift": {"enabled": False},
    }
    of = model(monitoring={"drift_detection": drift})
    plan = compile_plan(Registered(of, built()[0]), NAMES, (), None)
    assert len(plan.monitored) == expected - (4 if monitored == "all" else 0)


def test_a_verdict_says_that_the_reference_cannot_measure_relations() -> None:
    old = replace(built()[0], derived=built()[0].derived[:-1])
    for reference, expected in ((built()[0], False), (old, True)):
        plan = compile_plan(Registered(model(), reference), NAMES, (), None).detector(
            "1.0.0", "all"
        )
        assert plan is not None
        assert ("the reference was built without joint series" in plan.notes) is expected


def test_relations_are_watched_between_the_monitored_numbers() -> None:
    assert related(model()) == ("feature:a", "feature:b", "feature:c")
    chosen = {"data_drift": {"joint": True, "features_monitored": ["c", "a", "note"]}}
    assert related(model(monitoring={"drift_detection": chosen})) == ("feature:a", "feature:c")
    assert related(model(monitoring={})) == ()


def test_an_identifier_whose_values_come_again_is_watched_for_unseen_ones() -> None:
    values = [f"v{i % 10_001}" for i in range(30_003)]
    column = Column("feature:id", "category", list(values), np.zeros(len(values), bool))
    reference, warnings = build(
        [column], None, reference_id="r", model_id="m", model_version="1", source="s",
        window_ms=1000,
    )  # fmt: skip
    assert [r.series.name for r in reference.series] == ["feature:id.length", "feature:id.unseen"]
    assert "its length and its share of unseen values are watched, not its values" in str(warnings)
    (one,) = reference.derived
    assert isinstance(one, Identifier)
    assert one.measure()("v7") == (2.0, 0.0)
    assert one.measure()("w7") == (2.0, 1.0)


def test_a_category_expects_as_many_unseen_values_as_come_but_once() -> None:
    values = ["a", "b"] * 450 + [f"rare{i}" for i in range(100)]
    column = Column("feature:x", "category", [*values], np.zeros(1000, bool))
    reference, warnings = build(
        [column], None, reference_id="r", model_id="m", model_version="1", source="s",
        window_ms=1000,
    )  # fmt: skip
    (one,) = reference.series
    assert one.counts[-2] == 100
    assert len(one.series.known) == 52
    assert "10.0% of them in one place only: as many unseen ones are expected" in str(warnings)
