import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from alerting.settings import Receiver
from streams.demo import plan
from streams.demo.findings import Finding, compare, epoch_ms
from streams.demo.plan import DEBT, HOUR_MS, TERMS, TRUTH, Phase, Placed, first_days, hour, placed
from streams.demo.plan import hours as played
from streams.demo.play import demo_lifecycle, known_reference
from streams.demo.show import hours
from streams.offline import story
from streams.offline.replay import replay
from streams.offline.sources import Chunk, Source
from streams.offline.story import EpisodeTold, TriggerTold

SEED = 3
SHORT = (
    Phase("quiet", 12, "nothing changes"),
    Phase("longer terms", 6, "terms change", TERMS, asks="evaluate"),
    Phase("recovery", 14, "they are back"),
)
QUIET, CHANGE, RECOVERY = placed(SHORT)
REFERENCE_HOURS = 48


def told(
    opened_ms: int, resolved_ms: int | None, *series: str, segment: str = "all"
) -> EpisodeTold:
    return EpisodeTold(
        "ep-1", "loan-default", "2.3.1", segment, "data_drift", "critical", "it drifted",
        series or (TERMS,), None, text(opened_ms),
        None if resolved_ms is None else text(resolved_ms),
    )  # fmt: skip


def text(ms: int) -> str:
    from streams.cli.output import moment

    return moment(ms).replace(" ", "T") + ":00.000Z"


ASKED = TriggerTold(
    "rt-1", "loan-default", "2.3.1", "data_drift", "", "ep-1", text(CHANGE.end_ms), ("requested",)
)  # fmt: skip


def by_phase(*episodes: EpisodeTold, triggers: tuple[TriggerTold, ...] = (ASKED,)) -> list[Finding]:
    return list(compare((QUIET, CHANGE, RECOVERY), episodes, triggers))


def test_an_hour_is_the_same_whoever_makes_it_and_whenever() -> None:
    start = CHANGE.start_ms
    assert hour(start, CHANGE.phase, seed=1) == hour(start, CHANGE.phase, seed=1)
    assert hour(start, CHANGE.phase, seed=1) != hour(start, CHANGE.phase, seed=2)


def test_a_label_comes_once_in_the_hour_in_which_it_became_known() -> None:
    seen: list[str] = []
    for start_ms, _, made in played((QUIET, CHANGE), seed=1):
        assert all(0 <= e.time_ms - start_ms < HOUR_MS for e in made.labels)
        seen += [e.key for e in made.labels]
    assert len(seen) == len(set(seen)) > 10_000


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


def test_a_change_without_what_the_policy_asks_for_does_not_fit() -> None:
    episode = told(CHANGE.start_ms + HOUR_MS, RECOVERY.start_ms + HOUR_MS)
    assert not by_phase(episode, triggers=())[1].fits
    approved = replace(ASKED, states=("requested", "approved"))
    assert not by_phase(episode, triggers=(approved,))[1].fits


def test_what_another_problem_explains_is_nothing_that_people_hear_of() -> None:
    episode = told(CHANGE.start_ms + HOUR_MS, RECOVERY.start_ms + HOUR_MS)
    beside = replace(told(QUIET.start_ms + HOUR_MS, None), explained=True)
    assert by_phase(episode, beside)[0].fits
    assert not by_phase(replace(episode, explained=True))[1].fits


def test_something_new_in_a_recovery_does_not_fit() -> None:
    episode = told(CHANGE.start_ms + HOUR_MS, RECOVERY.start_ms + HOUR_MS)
    fresh = told(RECOVERY.start_ms + 2 * HOUR_MS, None, "feature:home")
    assert not by_phase(episode, fresh)[2].fits


def test_times_and_delays_are_written_for_people() -> None:
    assert epoch_ms(text(QUIET.start_ms)) == QUIET.start_ms
    assert hours(None) == ""
    assert hours(HOUR_MS) == "1 h"


# --------------------------------------------------------------------------- two stories, through all stages

STORY = (
    Phase("quiet", 18, "nothing changes"),
    Phase("upstream break", 8, "debts do not come", DEBT, "data_quality"),
    Phase("recovery", 22, "they are back"),
    Phase("harder times", 30, "more defaults", TRUTH, "concept_drift", "retrain"),
)
BREAK, BACK, HARDER = placed(STORY)[1:]


@pytest.fixture(scope="module")
def story_of() -> dict[str, list[dict[str, Any]]]:
    """What every topic held when the stories were over, in order of time."""
    lifecycle = demo_lifecycle()
    past = replace(plan.REFERENCE, hours=REFERENCE_HOURS)
    start_ms = first_days().end_ms - REFERENCE_HOURS * HOUR_MS
    before = Placed(past, start_ms, first_days().end_ms)
    reference = known_reference(lifecycle, [m for _, _, m in played([before], seed=SEED)])

    def chunks() -> Iterator[Chunk]:
        for _, place, made in played([before, *placed(STORY)], seed=SEED):
            if place is not before:
                yield Chunk("predictions", [e.value for e in made.predictions], 0)
                yield Chunk("labels", [e.value for e in made.labels], 0)

    source = Source("demo", (lifecycle,), None, (), chunks)
    receivers = (Receiver("slack", "slack", "#ml"), Receiver("pagerduty", "pagerduty"))
    replayed = replay(source, {lifecycle.model_id: reference}, receivers=receivers)
    assert not replayed.topics["dead-letters"]
    return {
        name: sorted((json.loads(r.value or b"") for r in of), key=_when)
        for name, of in replayed.topics.items()
        if name != "dead-letters"
    }


def _when(document: dict[str, Any]) -> str:
    status = document.get("status")
    return str(document.get("at") or (status["at"] if isinstance(status, dict) else ""))


Story = dict[str, list[dict[str, Any]]]


def _alerts(told: Story, kind: str, place: Placed, segment: str = "all") -> list[dict[str, Any]]:
    return [
        a
        for a in told["alerts"]
        if a["kind"] == kind
        and a["segment"] == segment
        and place.start_ms < epoch_ms(a["opened_at"]) <= place.end_ms
    ]


def test_the_stages_find_in_the_stream_what_was_put_into_it(story_of: Story) -> None:
    encoded = {name: [json.dumps(v).encode() for v in of] for name, of in story_of.items()}
    findings = compare(
        placed(STORY), story.episodes(encoded["alerts"]), story.triggers(encoded["retraining"])
    )
    assert [finding.fits for finding in findings] == [True] * 4, findings


def test_an_upstream_break_pages_as_data_quality_and_explains_the_drift_it_causes(
    story_of: Story,
) -> None:
    opened, *_ = _alerts(story_of, "data_quality", BREAK)
    assert opened["affected"][0]["series"] == DEBT
    assert opened["cause"]["class"] == "pipeline_break"
    assert "pagerduty" in opened["delivery"]["receivers"]
    drift = _alerts(story_of, "data_drift", BREAK)
    assert drift[0]["change"] == "opened"
    assert drift[0]["delivery"]["inhibited_by"] == opened["episode_id"]
    during = [a for a in drift if epoch_ms(a["at"]) <= BREAK.end_ms]
    assert all(a["delivery"]["inhibited_by"] for a in during)
    paged = {n["episode_id"] for n in story_of["alerts.pagerduty"]}
    assert opened["episode_id"] in paged
    assert drift[0]["episode_id"] not in paged


def test_everything_resolves_after_the_recovery_and_nothing_was_retrained(
    story_of: Story,
) -> None:
    last: dict[str, dict[str, Any]] = {}
    for alert in story_of["alerts"]:
        if epoch_ms(alert["opened_at"]) <= BACK.end_ms:
            last[alert["episode_id"]] = alert
    assert {a["status"] for a in last.values()} == {"resolved"}
    assert {a["resolve_reason"] for a in last.values()} == {"recovered"}
    asked = [t["status"]["at"] for t in story_of["retraining"]]
    assert all(epoch_ms(at) > HARDER.start_ms for at in asked)


def test_a_changed_world_is_seen_in_the_errors_alone_and_asks_for_retraining(
    story_of: Story,
) -> None:
    assert not _alerts(story_of, "data_drift", HARDER)
    assert not _alerts(story_of, "prediction_drift", HARDER)
    assert not _alerts(story_of, "data_quality", HARDER)
    opened, *_ = _alerts(story_of, "concept_drift", HARDER)
    assert opened["cause"]["class"] == "relation_change"
    requested, approved = story_of["retraining"]
    assert (requested["status"]["name"], approved["status"]["name"]) == ("requested", "approved")
    assert requested["reason"]["code"] == "concept_drift"
    assert requested["reason"]["episode_id"] == opened["episode_id"]
    window = requested["training_window"]
    assert window["basis"] == "change_point"
    # labels come up to seven hours later, and windows have six
    assert abs(epoch_ms(window["start"]) - HARDER.start_ms) <= 6 * HOUR_MS
    assert window["labelled"] > 1000


def test_accuracy_falls_as_labels_mature_while_inputs_stay(story_of: Story) -> None:
    results = [r for r in story_of["results"] if r["segment"] == "all"]
    accuracy = {
        r["window"]["start"]: r["metrics"]["accuracy"]["value"]
        for r in results
        if r["scope"] == "outcomes" and "value" in r["metrics"]["accuracy"]
    }
    before = [v for at, v in accuracy.items() if epoch_ms(at) < HARDER.start_ms]
    after = [v for at, v in accuracy.items() if epoch_ms(at) > HARDER.start_ms + 6 * HOUR_MS]
    assert min(before) > 0.75
    assert max(after) < 0.75
    inputs = [
        r["verdict"]
        for r in results
        if r["scope"] == "inputs" and epoch_ms(r["window"]["start"]) >= HARDER.start_ms
    ]
    assert set(inputs) == {"stable"}


def test_a_phase_knows_its_place() -> None:
    assert Placed(SHORT[0], QUIET.start_ms, CHANGE.start_ms) == QUIET
