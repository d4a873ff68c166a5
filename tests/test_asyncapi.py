"""Does the index lead to every topic and message, and to nothing that is not there?"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from streams.contracts.asyncapi import READERS, WRITERS
from streams.kafka.admin import topic_settings
from streams.schemas import DOCUMENTS, FOLDER, INDEX, index
from streams.topics import SOURCES, TOPICS
from tests.test_documentation import MESSAGES, rows

DOCUMENT: dict[str, Any] = json.loads(index())
CHANNELS, OPERATIONS = DOCUMENT["channels"], DOCUMENT["operations"]


def test_the_file_equals_the_code() -> None:
    assert (FOLDER / INDEX).read_bytes() == index(), "run python -m streams.schemas"


def references(of: Any) -> Iterator[str]:
    if isinstance(of, dict):
        if "$ref" in of:
            yield of["$ref"]
        for inner in of.values():
            yield from references(inner)
    elif isinstance(of, list):
        for inner in of:
            yield from references(inner)


def found(reference: str) -> Any:
    """What a reference leads to; KeyError where it is nothing."""
    if not reference.startswith("#/"):
        return json.loads((FOLDER / reference).read_bytes())
    at = DOCUMENT
    for step in reference.removeprefix("#/").split("/"):
        at = at[step]
    return at


def test_every_reference_leads_somewhere() -> None:
    every = set(references(DOCUMENT))
    assert all(found(one) for one in every)
    assert {f"./{name}.json" for name in DOCUMENTS} <= every


def test_every_topic_is_a_channel_and_every_message_is_on_its_topics() -> None:
    names = {one.name for one in TOPICS} | set(SOURCES)
    assert {channel["address"] for channel in CHANNELS.values()} == {
        f"{{prefix}}{n}" for n in names
    }
    for name, document in DOCUMENTS.items():
        on = {c["title"] for c in CHANNELS.values() if name in c["messages"]}
        assert on == set(document.topics), name
    assert all(channel["messages"] for channel in CHANNELS.values())


def test_who_writes_and_reads_a_topic_is_what_the_page_says() -> None:
    """The page says `commands` for what people type."""
    for row in rows(MESSAGES, "Topics"):
        topic = row[0].strip("`").removeprefix("leeway.")
        for said, roles in ((row[4], WRITERS[topic]), (row[5], READERS[topic])):
            for role in ("profiler", "joiner", "judge", "control"):
                written = role in said or "every role" in said
                assert written is (role in roles), f"{topic}: {role} in {said!r} and {roles}"


def test_an_operation_is_there_for_each_role_and_topic_with_all_messages_of_it() -> None:
    wanted = {
        (role, action, topic)
        for action, table in (("send", WRITERS), ("receive", READERS))
        for topic, roles in table.items()
        for role in roles
    }
    have = set()
    for one in OPERATIONS.values():
        channel = found(one["channel"]["$ref"])
        have.add((one["tags"][0]["name"], one["action"], channel["title"]))
        assert {reference["$ref"].rpartition("/")[2] for reference in one["messages"]} == set(
            channel["messages"]
        )
    assert have == wanted
    assert {tag["name"] for tag in DOCUMENT["info"]["tags"]} == {role for role, _, _ in wanted}


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: str(topic.name))
def test_a_channel_says_how_its_topic_is_made(topic: Any) -> None:
    binding = CHANNELS[topic.name.replace(".", "-")]["bindings"]["kafka"]
    made = topic_settings(topic)
    said = binding["topicConfiguration"]
    assert made["cleanup.policy"] == ",".join(said["cleanup.policy"])
    assert made.get("retention.ms") == (
        str(said["retention.ms"]) if "retention.ms" in said else None
    )
    assert made["max.message.bytes"] == str(said["max.message.bytes"])
    assert binding.get("partitions") == topic.partitions
