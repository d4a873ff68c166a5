import itertools
from dataclasses import replace

import pytest

from alerting.settings import Receiver
from detectors.reference.build import build
from streams.demo import plan
from streams.demo.findings import Finding, compare, epoch_ms
from streams.demo.plan import HOUR_MS, Phase, Placed, events, placed
from streams.demo.play import demo_lifecycle
from streams.demo.show import hours
from streams.offline import story
from streams.offline.replay import replay
from streams.offline.sources import Chunk, Source
from streams.offline.story import EpisodeTold, TriggerTold
from streams.profiling.columns import columns

SEED = 3
SHORT = (
    Phase("quiet", 12, "nothing changes"),
    Phase("new unit", 6, "a unit changes", "annual_income", retrains=True),
    Phase("recovery", 14, "it is back"),
)
QUIET, CHANGE, RECOVERY = placed(SHORT)
REFERENCE_HOURS = 36


def told(
    opened_ms: int, resolved_ms: int | None, *series: str, segment: str = "all"
) -> EpisodeTold:
    return EpisodeTold(
        "ep-1", "loan-default", "2.3.1", segment, "data_drift", "critical", "it drifted",
        series or ("feature:annual_income",), None, text(opened_ms),
        None if resolved_ms is None else text(resolved_ms),
    )  # fmt: skip


def text(ms: int) -> str:
    from streams.cli.output import moment

    return moment(ms).replace(" ", "T") + ":00.000Z"


APPROVED = TriggerTold(
    "rt-1", "loan-default", "2.3.1", "data_drift", "", "ep-1", text(CHANGE.end_ms), ("requested", "approved")
)  # fmt: skip


def by_phase(
    *episodes: EpisodeTold, triggers: tuple[TriggerTold, ...] = (APPROVED,)
) -> list[Finding]:
    return list(compare((QUIET, CHANGE, RECOVERY), episodes, triggers))


def test_an_hour_is_the_same_whoever_makes_it_and_whenever() -> None:
    start = CHANGE.start_ms
    assert events(start, CHANGE.phase, seed=1) == events(start, CHANGE.phase, seed=1)
    assert events(start, CHANGE.phase, seed=1) != events(start, CHANGE.phase, seed=2)


def test_the_phases_follow_one_another_without_a_gap() -> None:
    all_of_them = placed()
    assert all_of_them[0].phase.hours >= 72, "quiet for three days at least"
    for before, after in itertools.pairwise(all_of_them):
        assert before.end_ms == after.start_ms


def test_what_was_planned_and_found_fits() -> None:
    episode = told(CHANGE.start_ms + HOUR_MS, RECOVERY.start_ms + 7 * HOUR_MS)
    quiet, change, recovery = by_phase(episode)
    assert (quiet.fits, change.fits, recovery.fits) == (True, True, True)
    assert (quiet.delay_ms, change.delay_ms, recovery.delay_ms) == (None, HOUR_MS, 7 * HOUR_MS)


@pytest.mark.parametrize(
    ("episodes", "expected"),
    [
        ((), (True, False, False)),
        ((told(QUIET.start_ms + HOUR_MS, None),), (False, False, False)),
        ((told(CHANGE.start_ms, None),), (False, False, False)),
        ((told(CHANGE.start_ms + HOUR_MS, None),), (True, True, False)),
        ((told(CHANGE.start_ms + HOUR_MS, None, "feature:home"),), (True, False, False)),
        ((told(CHANGE.start_ms + HOUR_MS, None, segment="country=DE"),), (True, False, False)),
    ],
    ids=["nothing", "too early", "on the border", "still open", "the wrong feature", "only a part"],
)
def test_what_does_not_fit_the_plan_is_said(
    episodes: tuple[EpisodeTold, ...], expected: tuple[bool, ...]
) -> None:
    assert tuple(finding.fits for finding in by_phase(*episodes)) == expected


def test_a_change_without_its_retraining_does_not_fit() -> None:
    episode = told(CHANGE.start_ms + HOUR_MS, RECOVERY.start_ms + HOUR_MS)
    assert not by_phase(episode, triggers=())[1].fits
    assert not by_phase(episode, triggers=(replace(APPROVED, states=("requested",)),))[1].fits


def test_something_new_in_a_recovery_does_not_fit() -> None:
    episode = told(CHANGE.start_ms + HOUR_MS, RECOVERY.start_ms + HOUR_MS)
    fresh = told(RECOVERY.start_ms + 2 * HOUR_MS, None, "feature:home")
    assert not by_phase(episode, fresh)[2].fits


def test_times_and_delays_are_written_for_people() -> None:
    assert epoch_ms(text(QUIET.start_ms)) == QUIET.start_ms
    assert hours(None) == ""
    assert hours(HOUR_MS) == "1 h"


def test_the_stages_find_in_the_stream_what_was_put_into_it() -> None:
    lifecycle = demo_lifecycle()
    past = (
        event
        for hour in range(REFERENCE_HOURS)
        for event in events(plan.START_MS + hour * HOUR_MS, plan.REFERENCE, seed=SEED)
    )
    found = columns(lifecycle, past)
    reference, _ = build(
        found.columns,
        found.times_ms,
        reference_id="first",
        model_id=lifecycle.model_id,
        model_version=lifecycle.version,
        source="demo",
        window_ms=HOUR_MS,
    )

    def chunks() -> list[Chunk]:
        return [
            Chunk("predictions", events(start, place.phase, seed=SEED), 0)
            for place in placed(SHORT)
            for start in range(place.start_ms, place.end_ms, HOUR_MS)
        ]

    source = Source("demo", (lifecycle,), None, (), lambda: iter(chunks()))
    receivers = (Receiver("slack", "slack", "#ml"), Receiver("pagerduty", "pagerduty"))
    replayed = replay(source, {lifecycle.model_id: reference}, receivers=receivers)
    values = {name: [record.value for record in of] for name, of in replayed.topics.items()}
    findings = compare(
        placed(SHORT), story.episodes(values["alerts"]), story.triggers(values["retraining"])
    )
    assert [finding.fits for finding in findings] == [True, True, True], findings
    assert values["alerts.slack"]
    assert values["alerts.pagerduty"]
    assert not values["dead-letters"]


def test_a_phase_knows_its_place() -> None:
    assert Placed(SHORT[0], QUIET.start_ms, CHANGE.start_ms) == QUIET
