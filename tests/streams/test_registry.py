"""Do all roles see the same current version and reference, however much of the log is left to them?"""

import json
from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.reference.build import Reference, to_document
from streams.broker import Outgoing, Record
from streams.joining.joiner import Joiner
from streams.joining.store import MemoryStore
from streams.profiling.profiler import Profiler
from streams.registry import (
    Deployment,
    Registry,
    deployment_record,
    lifecycle_record,
    reference_record,
)
from tests.builders import NAMES, Profiled, batch, encode, lifecycle, reference, small, stream


@cache
def built(name: str, version: str) -> Reference:
    return reference(lifecycle(), stream(600, seed=1), reference_id=name, model_version=version)


def referred(name: str, version: str) -> Outgoing:
    return reference_record(NAMES, "m", name, to_document(built(name, version)))


def filed(version: str = "1.0.0") -> Outgoing:
    return lifecycle_record(NAMES, lifecycle(version=version))


def deployed(version: str, reference_id: str | None = None, file: str = "1.0.0") -> Outgoing:
    said = Deployment(
        "m",
        version,
        reference_id,
        "2026-03-02T00:00:00.000Z",
        None,
        rollback=False,
        file_version=file,
    )
    return deployment_record(NAMES, "m", said)


def seen(*written: Outgoing) -> tuple[str, str | None]:
    """The current version and its reference."""
    registry = Registry()
    registry.apply([Record(r.topic, 0, i, None, r.key, r.value) for i, r in enumerate(written)])
    assert registry.unreadable == 0
    found = registry.get("m")
    assert found is not None
    return found.lifecycle.version, found.reference.reference_id if found.reference else None


def test_a_deployed_version_is_the_current_one_with_the_newest_reference_of_its_own() -> None:
    old, new, other = referred("r1", "1.0.0"), referred("r2", "2.0.0"), referred("r3", "3.0.0")
    assert seen(filed(), old) == ("1.0.0", "r1")
    assert seen(filed(), old, deployed("2.0.0")) == ("2.0.0", None)
    assert seen(filed(), old, new, other, deployed("2.0.0")) == ("2.0.0", "r2")
    assert seen(filed(), old, deployed("2.0.0"), new) == ("2.0.0", "r2")


def test_a_patch_release_keeps_the_reference_until_it_has_its_own() -> None:
    old, newer = referred("r1", "1.0.0"), referred("r2", "1.0.1")
    assert seen(filed(), old, deployed("1.0.1")) == ("1.0.1", "r1")
    assert seen(filed(), old, deployed("1.0.1"), newer) == ("1.0.1", "r2")


def test_a_reference_that_was_named_holds_until_one_is_written_for_the_version() -> None:
    old, odd, newer = referred("r1", "1.0.0"), referred("r9", "9.0.0"), referred("r2", "2.0.0")
    assert seen(filed(), odd, old, deployed("2.0.0", "r9")) == ("2.0.0", "r9")
    assert seen(filed(), odd, deployed("2.0.0", "r9"), old) == ("2.0.0", "r9")
    assert seen(filed(), odd, deployed("2.0.0", "r9"), newer) == ("2.0.0", "r2")


def test_a_reference_of_a_version_to_come_leaves_the_present_one_alone() -> None:
    now, next_one = referred("now", "1.0.3"), referred("next", "1.1.0")
    assert seen(filed(), now, next_one) == ("1.0.0", "now")
    assert seen(filed(), now, next_one, deployed("1.1.0")) == ("1.1.0", "next")
    assert seen(filed(), next_one) == ("1.0.0", "next"), "what it is compared with is told"


def test_a_file_wins_if_it_says_something_new() -> None:
    one, two = deployed("2.0.0"), deployed("2.0.0", file="2.0.0")
    assert seen(filed(), one, filed())[0] == "2.0.0"
    assert seen(filed(), one, filed("2.0.0"))[0] == "2.0.0"
    assert seen(filed(), one, filed("3.0.0"))[0] == "3.0.0"
    assert seen(filed("3.0.0"), two)[0] == "3.0.0"


def test_the_revision_is_that_of_the_file_and_the_lifecycle_the_same_object_while_nothing_changes() -> (
    None
):
    registry = Registry()
    written = [filed(), deployed("2.0.0")]
    registry.apply([Record(r.topic, 0, i, None, r.key, r.value) for i, r in enumerate(written)])
    one, two = registry.get("m"), registry.get("m")
    assert one is not None
    assert two is not None
    assert one.lifecycle is two.lifecycle
    assert one.lifecycle.revision == lifecycle().revision
    assert one.lifecycle.version == "2.0.0"


WRITTEN = st.lists(
    st.sampled_from(
        [
            filed,
            lambda: filed("2.0.0"),
            lambda: deployed("2.0.0"),
            lambda: deployed("1.0.1", "r1"),
            lambda: deployment_record(NAMES, "m", None),
            lambda: referred("r1", "1.0.0"),
            lambda: referred("r2", "2.0.0"),
        ]
    ),
    max_size=8,
)


@settings(max_examples=100)
@given(WRITTEN)
def test_a_compacted_log_says_the_same(said: list) -> None:  # type: ignore[type-arg]
    whole = [filed(), *(one() for one in said)]
    newest = {record.key: n for n, record in enumerate(whole)}
    assert seen(*whole) == seen(*(whole[n] for n in sorted(newest.values())))


def test_what_is_expected_is_believed_until_it_is_read_or_comes_to_nothing() -> None:
    registry = Registry()
    registry.apply([Record(filed().topic, 0, 0, None, filed().key, filed().value)])
    record = deployed("2.0.0")
    said = Deployment(**json.loads(record.value or b""))

    def version() -> str:
        found = registry.get("m")
        assert found is not None
        return found.lifecycle.version

    registry.expect("m", said)
    assert version() == "2.0.0"
    registry.forget()
    assert version() == "1.0.0"
    registry.expect("m", said)
    registry.apply([Record(record.topic, 0, 1, None, record.key, record.value)])
    registry.forget()
    assert version() == "2.0.0"


def test_a_profiler_counts_every_event_once_whatever_is_deployed_meanwhile() -> None:
    values = encode(stream(300))
    record = deployed("1.0.1")
    found = []
    for meanwhile in (False, True):
        one = Profiler(NAMES, 1, lambda topic: 1)
        written = [filed(), reference_record(NAMES, "m", "r1", to_document(small()))]
        one.follow([Record(r.topic, 0, i, None, r.key, r.value) for i, r in enumerate(written)])
        one.step(batch(values[:150]))
        topics = one.topics
        if meanwhile:
            one.follow([Record(record.topic, 0, 9, None, record.key, record.value)])
        one.step(batch(values[150:], first_offset=150))
        assert one.topics == topics == ("leeway.predictions",)
        counted = Profiled()
        counted.add(one.flush(), small())
        found.append((counted.counted, counted.dead))
    assert found[0] == found[1]


def test_a_joiner_reads_on_whatever_is_deployed_meanwhile() -> None:
    of = lifecycle(source={"labels": {}}, prediction={"classes": ["yes", "no"], "positive": "yes"})
    one = Joiner(NAMES, lambda lane: MemoryStore(), lambda topic: 1)
    for n, record in enumerate((lifecycle_record(NAMES, of), deployed("2.0.0"))):
        one.follow([Record(record.topic, 0, n, None, record.key, record.value)])
        assert one.topics == ("leeway.labels", "leeway.predictions")
