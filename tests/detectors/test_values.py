"""One contract for every detector of sequences, and each one's own numbers.

`DETECTORS` is checked to hold all kinds that a lifecycle can name: a new one is under contract by being added there.
"""

import json
from math import log
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from river.drift import KSWIN
from scipy.stats import ks_2samp

from detectors.samples.effects import Floats
from detectors.sequences import values
from detectors.sequences.contract import (
    MOST_PER_PANE,
    SequenceDetector,
    merge,
    sample,
    sample_from_data,
    sample_to_data,
)
from detectors.sequences.kswin import tail
from detectors.sequences.labels import Labels, Unreferenced
from detectors.sequences.losses import Bernoulli, tolerated
from detectors.sequences.measured import MEASURED, expected_false_alarms
from detectors.sequences.values import (
    MOST,
    NEWEST,
    Adwin,
    AnyValues,
    Ddm,
    Eddm,
    Fhddm,
    HddmA,
    HddmW,
    Kswin,
    PageHinkley,
)
from tests.detectors.golden import lcg

LOSS = Labels(Bernoulli(tolerated(2_000, 10_000)), log(1e5))
UNREFERENCED = Unreferenced(log(2e6))
DETECTORS: dict[str, SequenceDetector[Any]] = {
    "adwin": Adwin(),
    "page_hinkley": PageHinkley(reference_mean=0.2, reference_sd=0.4, threshold=50),
    "kswin": Kswin(seed=42),
    "ddm": Ddm(),
    "eddm": Eddm(),
    "hddm_a": HddmA(),
    "hddm_w": HddmW(two_sided_test=True),
    "fhddm": Fhddm(short_window_size=20),
    "loss": LOSS,
    "unreferenced": UNREFERENCED,
}
BINARY = tuple(sorted({*DETECTORS} - {"adwin", "page_hinkley", "kswin"}))


@pytest.fixture(params=DETECTORS)
def detector(request: pytest.FixtureRequest) -> SequenceDetector[Any]:
    return DETECTORS[request.param]


def portable(later: float, length: int = 20_000) -> Floats:
    """Errors at a rate of .2 that becomes `later` half-way: a stream any language can make."""
    rate = np.where(np.arange(length) < length // 2, 0.2, later)
    return (lcg(length) < rate).astype(np.float64)


def read(of: SequenceDetector[Any], parts: list[Floats], *, restart: bool = False) -> Any:
    """All parts, one call each: the state as JSON, and the detections as positions in the whole."""
    state, found, at = of.start(), [], 0
    for part in parts:
        if restart:
            state = of.from_data(json.loads(json.dumps(of.to_data(state), allow_nan=False)))
        state, hits = of.extend(state, part)
        assert hits.dtype == np.int64
        found += [at + int(hit) for hit in hits]
        at += len(part)
    return json.dumps(of.to_data(state), allow_nan=False), found


# ------------------------------------------------------------------------------ the contract


def test_every_kind_that_can_be_named_is_under_contract() -> None:
    kinds = {*values.Settings.__subclasses__(), *values.Scaled.__subclasses__()} - {values.Scaled}
    assert kinds == {type(of) for of in DETECTORS.values()} - {Labels, Unreferenced}
    assert set(values.DETECTORS) == {*DETECTORS} - {"loss", "unreferenced"}
    assert set(values.DETECTORS.values()) == kinds


STREAM = np.concatenate([portable(0.5, 1_200), np.zeros(200), portable(0.3, 400)])
STREAM[[5, 700, 1_500]] = np.nan  # missing


@settings(max_examples=12)
@given(cuts=st.lists(st.integers(0, len(STREAM)), max_size=6))
@pytest.mark.parametrize("name", DETECTORS)
def test_any_batching_and_any_restart_gives_the_same_detections_and_state(
    name: str, cuts: list[int]
) -> None:
    parts = np.split(STREAM, sorted(cuts))
    whole = WHOLE.setdefault(name, read(DETECTORS[name], [STREAM]))
    assert read(DETECTORS[name], parts) == whole
    assert read(DETECTORS[name], parts, restart=True) == whole


WHOLE: dict[str, Any] = {}


@pytest.mark.parametrize("name", sorted({*DETECTORS} - {"kswin"}))
def test_one_value_at_a_time_is_the_same_as_all_in_one_call(name: str) -> None:
    assert read(DETECTORS[name], [*STREAM.reshape(-1, 1)]) == read(DETECTORS[name], [STREAM])


def test_an_old_state_can_be_gone_on_with(detector: SequenceDetector[Any]) -> None:
    """A fold: what was done with a state since does not show in it."""
    early, _ = detector.extend(detector.start(), STREAM[:300])
    before = json.dumps(detector.to_data(early))
    first = detector.extend(early, STREAM[300:900])
    detector.extend(early, 1 - STREAM[300:700])
    again = detector.extend(early, STREAM[300:900])
    assert json.dumps(detector.to_data(early)) == before
    assert detector.to_data(first[0]) == detector.to_data(again[0])
    assert first[1].tolist() == again[1].tolist()


def test_no_values_change_nothing(detector: SequenceDetector[Any]) -> None:
    state, _ = detector.extend(detector.start(), STREAM[:100])
    after, found = detector.extend(state, np.zeros(0))
    assert detector.to_data(after) == detector.to_data(state)
    assert found.shape == (0,)


def test_what_is_not_finite_is_skipped_and_counted(detector: SequenceDetector[Any]) -> None:
    dirty = np.insert(STREAM[10:110], [0, 50, 100], [np.nan, np.inf, -np.inf])
    clean, _ = detector.extend(detector.start(), STREAM[10:110])
    state, _ = detector.extend(detector.start(), dirty)
    assert (state.seen, state.skipped) == (100, 3)
    assert detector.to_data(state) == {**detector.to_data(clean), "skipped": 3}


def test_a_detection_is_a_position_in_what_was_given_the_skipped_ones_included() -> None:
    dirty = np.repeat(portable(0.5), 2)
    dirty[::2] = np.nan
    assert Adwin().extend(Adwin().start(), dirty)[1].tolist() == [2 * 10_111 + 1]


@pytest.mark.parametrize("name", BINARY)
def test_who_reads_errors_refuses_anything_else_and_says_so(name: str) -> None:
    of = DETECTORS[name]
    for wrong in (2.0, 0.5, -1.0):
        with pytest.raises(ValueError, match=rf"{name}|loss reads errors, 0 or 1, not {wrong}"):
            of.extend(of.start(), np.array([0.0, 1.0, wrong]))
    assert of.extend(of.start(), np.array([True, False, -0.0]))[0].seen == 3


def test_a_table_of_values_is_no_sequence(detector: SequenceDetector[Any]) -> None:
    with pytest.raises(ValueError, match="one after the other"):
        detector.extend(detector.start(), np.zeros((2, 2)))


@pytest.mark.parametrize("constant", [0.0, 1.0])
def test_what_never_changes_never_alarms(detector: SequenceDetector[Any], constant: float) -> None:
    state, found = detector.extend(detector.start(), np.full(6_000, constant))
    assert state.seen == 6_000
    if constant and isinstance(detector, Labels):  # all wrong: more than its reference tolerates
        assert len(found) > 100
    else:
        assert found.tolist() == []


@pytest.mark.parametrize("huge", [1e308, -1e308, 2.0**53 + 2, 5e-324])
@pytest.mark.parametrize("kind", [Adwin, PageHinkley])
def test_a_constant_of_any_size_is_no_change_and_twice_it_is_one(
    kind: type[Adwin] | type[PageHinkley], huge: float
) -> None:
    of = kind(reference_mean=huge, reference_sd=1)
    calm, found = of.extend(of.start(), np.full(500, huge))
    assert found.tolist() == []
    _, found = of.extend(calm, np.full(500, -huge))
    assert (len(found) > 0) == (abs(huge) > 1)


def test_ranks_do_not_mind_the_size_of_values() -> None:
    of = DETECTORS["kswin"]
    for huge in (1e308, 2.0**53 + 2, 5e-324):
        calm, found = of.extend(of.start(), np.full(500, huge))
        assert found.tolist() == []
        assert len(of.extend(calm, np.full(500, -huge))[1]) > 0


def test_a_state_of_another_detector_is_refused() -> None:
    state = Adwin().to_data(Adwin().start())
    with pytest.raises(ValueError, match="that of adwin, not of ddm"):
        Ddm().from_data(state)
    with pytest.raises(ValueError, match="0 bytes, which are not 5 values"):
        Adwin().from_data({**state, "n": 5})


# ------------------------------------------------------------------------- each one's numbers

PAGE_HINKLEY = PageHinkley(reference_mean=0, reference_sd=1, threshold=50)
GOLDEN: list[tuple[SequenceDetector[Any], list[int], list[int]]] = [
    (Adwin(), [10719], [10111]),
    (PAGE_HINKLEY, [9969, 12338, 15468], [9969, 10870, 16646]),
    (Kswin(seed=42), [18587], [11652, 18591]),
    (Ddm(), [87, 10815], [87, 10220, 10404]),
    (HddmA(), [10896], [10225]),
    (HddmW(), [9877, 11824, 14425, 15421, 16258, 19708], [9877, 10075, 10404]),
    (Fhddm(), [10720, 15435], [10074, 10868, 17312]),
    (Eddm(), [152, 280, 448], [152, 280, 448]),
    (LOSS, [10699], []),
]
HOW_MANY = {"Eddm": (110, 59), "HddmW": (6, 12)}


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: type(case[0]).__name__)
def test_the_portable_streams_give_the_published_detections(
    case: tuple[SequenceDetector[Any], list[int], list[int]],
) -> None:
    of, *published = case
    for later, first, which in zip((0.3, 0.5), published, (0, 1), strict=True):
        _, found = of.extend(of.start(), portable(later))
        assert found.tolist()[: len(first)] == first
        if not isinstance(of, Labels):  # published: the first alarm only
            assert len(found) == HOW_MANY.get(type(of).__name__, (len(first),) * 2)[which]


def test_the_draws_of_kswin_decide_as_rivers_own() -> None:
    generator = np.random.default_rng(7)
    stream = np.round(np.concatenate([generator.normal(m, 1, 250) for m in (0, 0.7, 0)]), 1)
    for alpha, window, newest in ((0.005, 100, 30), (0.05, 60, 20)):
        ours, theirs, found = (
            Kswin(seed=3, alpha=alpha, window_size=window, stat_size=newest),
            [],
            [],
        )
        river: Any = KSWIN(seed=3, alpha=alpha, window_size=window, stat_size=newest)
        for i, value in enumerate(stream.tolist()):
            river.update(value)
            theirs += [i] if river.drift_detected else []
        found = ours.extend(ours.start(), stream)[1].tolist()
        assert theirs
        assert found == theirs


def test_the_level_of_a_distance_is_that_of_scipy() -> None:
    for size in (5, 30, 100):
        for gap in range(2, size + 1):
            apart = (np.arange(size) >= gap) * 1.0
            p_value = ks_2samp(apart, np.ones(size), method="exact").pvalue
            assert tail(size, gap) == pytest.approx(p_value, rel=1e-9)


def test_samples_too_small_for_their_level_never_differ() -> None:
    of = Kswin(seed=1, alpha=1e-9, window_size=20, stat_size=5)
    stream = np.repeat([0.0, 1.0], 200)
    assert of.extend(of.start(), stream)[1].tolist() == []


def test_after_20_000_values_a_new_detector_starts_with_the_newest_5_000() -> None:
    of, stream = Adwin(), np.tile([0.0, 0, 0, 0, 1], MOST // 5 + 10)
    state, found = of.extend(of.start(), stream[:MOST])
    assert found.tolist() == []
    assert state.values.tolist() == stream[MOST - NEWEST : MOST].tolist()
    state, _ = of.extend(state, stream[MOST:])
    assert len(state.values) == NEWEST + 50
    whole = read(of, [stream])
    assert read(of, [stream[: MOST - 1], stream[MOST - 1 : MOST], stream[MOST:]]) == whole
    assert read(of, [stream[:MOST], stream[MOST:]], restart=True) == whole


def test_a_change_that_only_the_new_detector_sees_is_found_when_it_starts() -> None:
    """DDM goes by the lowest error rate it has seen; begun at the newest values it has another one."""
    of = Ddm(warm_start=1_000, drift_threshold=8)
    quarter = np.tile([1.0, 0, 0, 0], 3_800)
    rare = np.tile(np.eye(40)[0], 62)
    stream = np.concatenate([quarter, rare, np.tile([1.0, 0, 0, 0], 600)])[:MOST]
    assert len(stream) == MOST
    state, found = of.extend(of.start(), stream)
    assert found.tolist() == [MOST - 1]
    assert len(state.values) < NEWEST
    assert read(of, np.split(stream, [7, 9_000, MOST - 1])) == read(of, [stream])


def test_zeros_and_ones_are_kept_as_bits() -> None:
    state, _ = HddmA().extend(HddmA().start(), np.tile([0.0, 1], 4_000))
    data = HddmA().to_data(state)
    assert data["bits"]
    assert len(data["values"]) == 4 * ((1_000 + 2) // 3)  # 8 values in a byte, in base64
    assert HddmA().from_data(data).values.tolist() == state.values.tolist()


@pytest.mark.parametrize("kind", [Adwin, PageHinkley])
def test_the_unit_does_not_matter(kind: type[Adwin] | type[PageHinkley]) -> None:
    generator = np.random.default_rng(3)
    stream = np.concatenate([generator.normal(0, 1, 3_000), generator.normal(0.5, 1, 3_000)])
    stream = np.round(2**20 * stream) / 2**20  # so that scaling is exact
    plain, scaled = (kind(reference_mean=a, reference_sd=b) for a, b in ((0, 1), (1_000, 64)))
    found = plain.extend(plain.start(), stream)[1].tolist()
    assert found
    assert scaled.extend(scaled.start(), 1_000 + 64 * stream)[1].tolist() == found


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"kind": "kswin"}, "seed"),
        ({"kind": "kswin", "seed": 1, "stat_size": 60}, "twice stat_size"),
        ({"kind": "page_hinkley"}, "reference_mean"),
        ({"kind": "page_hinkley", "reference_mean": 0, "reference_sd": 0}, "greater than 0"),
        ({"kind": "page_hinkley", "reference_mean": float("nan"), "reference_sd": 1}, "finite"),
        ({"kind": "adwin", "delta": 0}, "greater than 0"),
        ({"kind": "adwin", "clocks": 32}, "Extra inputs"),
        ({"kind": "eddm", "alpha": 0.8}, "at least beta"),
        ({"kind": "fhddm", "short_window_size": 200}, "at most sliding_window_size"),
        ({"kind": "fhddm", "sliding_window_size": 6_000}, "5000"),
        ({"kind": "kss"}, "kswin"),
    ],
)
def test_settings_that_make_no_sense_are_refused(document: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        TypeAdapter(AnyValues).validate_python(document)


def test_settings_are_frozen_and_read_back_from_their_document() -> None:
    reader: TypeAdapter[Any] = TypeAdapter(AnyValues)
    for name in values.DETECTORS:
        of: Any = DETECTORS[name]
        assert reader.validate_python(of.model_dump()) == of
        with pytest.raises(ValidationError, match="frozen"):
            of.seed = 2


# ------------------------------------------------------------------ false alarms, and samples


def test_every_detector_without_a_budget_has_its_false_alarms_measured() -> None:
    assert {m.detector for m in MEASURED} == set(values.DETECTORS)
    assert expected_false_alarms("eddm", 10_000) == 4.63
    assert expected_false_alarms("page_hinkley", 10_000) == 0.19  # at the threshold that is default
    with pytest.raises(ValueError, match="known are adwin, ddm"):
        expected_false_alarms("loss", 10_000)
    with pytest.raises(ValueError, match="not negative"):
        expected_false_alarms("adwin", -1)


def test_the_page_quotes_what_was_measured() -> None:
    page = (Path(__file__).parents[2] / "docs" / "statistics.md").read_text("utf-8")
    for m in MEASURED:
        assert f"| `{m.detector}` | {m.stream} | {m.settings} | {m.per_10_000:g} |" in page


EVENTS = st.lists(
    st.tuples(
        st.text(max_size=3) | st.sampled_from(["\ud800", "", "a"]),
        st.integers(0, 5),
        st.floats(allow_nan=True) | st.sampled_from([0.0, 1.0]),
    ),
    max_size=30,
)


@settings(max_examples=60)
@given(events=EVENTS, order=st.randoms(use_true_random=False), cut=st.integers(0, 30))
def test_a_sample_is_the_same_however_its_events_are_split_and_ordered(
    events: list[tuple[str, int, float]], order: Any, cut: int
) -> None:
    whole = sample(events, most=5)
    shuffled = order.sample(events, len(events))
    left, right = sample(shuffled[:cut], most=5), sample(shuffled[cut:], most=5)
    assert merge(left, right, most=5) == merge(right, left, most=5) == whole
    assert merge(sample([]), whole, most=5) == whole
    assert sample_from_data(json.loads(json.dumps(sample_to_data(whole)))) == whole
    assert len(whole.entries) == min(whole.seen, 5)
    assert np.isfinite(whole.values()).all()


def test_a_sample_is_not_biased_towards_early_or_large_values() -> None:
    events = [(f"event-{i}", i, float(i)) for i in range(20_000)]
    drawn = sample(events)
    assert (len(drawn.entries), drawn.seen) == (MOST_PER_PANE, 20_000)
    assert abs(drawn.values().mean() - 10_000) < 4 * 20_000 / (12 * MOST_PER_PANE) ** 0.5
    assert (np.diff(drawn.values()) > 0).all()  # in event-time order
