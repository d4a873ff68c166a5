"""Which topics are read together, and what is refused?"""

import pytest

from streams.errors import UsageError
from streams.joining.pairs import check_partitions, pairs, shape, together
from streams.lifecycle import Lifecycle
from tests.builders import NAMES, lifecycle


def one(model_id: str, predictions: str, labels: str, window: str = "6h") -> Lifecycle:
    source = {"predictions": {"topic": predictions}, "labels": {"topic": labels}}
    return lifecycle(model_id=model_id, source=source | {"join": {"window": window}})


def test_what_shares_a_topic_is_read_together_for_the_longest_horizon() -> None:
    found = pairs([one("a", "p1", "l1"), one("b", "p2", "l2"), one("c", "p2", "l1", "9h")], NAMES)
    (group,) = together(found)
    of = shape(group)
    assert of.labels == {"l1": ("p1", "p2"), "l2": ("p2",)}
    assert of.topics == ("p1", "p2", "l1", "l2")
    assert of.horizon_ms == 9 * 3_600_000
    assert len(together(pairs([one("a", "p1", "l1"), one("b", "p2", "l2")], NAMES))) == 2


def test_who_reads_no_labels_or_does_not_join_them_has_no_pair() -> None:
    silent = lifecycle(source={"labels": False})
    whole = lifecycle(source={"labels": {}, "join": False})
    assert pairs([silent, whole], NAMES) == []


def test_labels_from_a_topic_of_predictions_are_refused() -> None:
    with pytest.raises(UsageError, match=r"labels\.topic, or source\.join: false"):
        pairs([one("a", "p", "p")], NAMES)


def test_unequal_partitions_are_refused_with_what_to_change() -> None:
    found = pairs([one("a", "p", "l")], NAMES)
    check_partitions(found, {"p": 3, "l": 3}.__getitem__)
    with pytest.raises(UsageError) as refused:
        check_partitions(found, {"p": 12, "l": 6}.__getitem__)
    assert "a: topic l has 6 partitions and p has 12" in str(refused.value)
    assert "create l anew with 12 partitions" in str(refused.value)
