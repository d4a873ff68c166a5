"""Is a registry believed when it says no, and waited for when it says nothing?"""

import threading
from collections.abc import Iterator
from uuid import UUID

import pytest
from confluent_kafka.schema_registry import Schema as ConfluentSchema
from confluent_kafka.schema_registry import SchemaReference, SchemaRegistryClient

from streams.errors import BrokerError
from streams.formats.registered import UnknownSchema
from streams.kafka import schema_registry
from streams.kafka.schema_registry import Leaving, SchemaRegistry
from tests.until import until
from tests.vendors.faults import status
from tests.vendors.schema_registry import FakeRegistry

RECORD = '{"type": "record", "name": "E", "fields": [{"name": "n", "type": "int"}]}'


@pytest.fixture
def fake() -> Iterator[FakeRegistry]:
    with FakeRegistry() as running:
        yield running


def test_a_schema_is_found_by_its_number_and_by_its_guid(fake: FakeRegistry) -> None:
    number = fake.register("loans-value", RECORD)
    heard: list[str] = []
    one = SchemaRegistry({"url": fake.url}, told=heard.append)
    by_number = one.schema(number)
    assert (by_number.kind, by_number.text) == ("AVRO", RECORD)
    guid = fake._schemas[0].guid
    assert one.schema(UUID(str(guid))) == by_number
    assert heard == ["found", "found"]


def test_what_a_schema_refers_to_comes_with_it(fake: FakeRegistry) -> None:
    home = '{"type": "enum", "name": "Home", "symbols": ["rent", "own"]}'
    outer = '{"type": "record", "name": "R", "fields": [{"name": "h", "type": "Home"}]}'
    refers = [SchemaReference("Home", "home", 1)]
    with SchemaRegistryClient({"url": fake.url}) as client:
        client.register_schema("home", ConfluentSchema(home, "AVRO"))
        number = client.register_schema("r-value", ConfluentSchema(outer, "AVRO", refers))
    found = SchemaRegistry({"url": fake.url}).schema(number)
    assert found.needed == (home,)


def test_no_such_schema_is_an_answer_and_is_not_asked_for_again_at_once(
    fake: FakeRegistry,
) -> None:
    heard: list[str] = []
    one = SchemaRegistry({"url": fake.url}, told=heard.append)
    for _ in range(3):
        with pytest.raises(UnknownSchema):
            one.schema(7)
    assert (fake.requests, heard) == (1, ["unknown"])


@pytest.mark.parametrize("code", [401, 403, 404, 429, 500, 503])
def test_any_other_refusal_says_nothing_about_the_schema(fake: FakeRegistry, code: int) -> None:
    number = fake.register("loans-value", RECORD)
    fake.next(status(code))
    heard: list[str] = []
    one = SchemaRegistry({"url": fake.url}, told=heard.append)
    assert one.schema(number).text == RECORD
    assert heard == ["failed", "found"]


def test_a_registry_that_is_down_is_waited_for(fake: FakeRegistry) -> None:
    number = fake.register("loans-value", RECORD)
    fake.stop()
    heard: list[str] = []
    one = SchemaRegistry({"url": fake.url}, told=heard.append)
    found: list[str] = []
    waiting = threading.Thread(target=lambda: found.append(one.schema(number).text))
    waiting.start()
    until(lambda: "failed" in heard)
    fake.start()
    waiting.join(20)
    assert found == [RECORD]


def test_a_process_gives_up_in_the_end_and_says_why(
    fake: FakeRegistry, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.stop()
    one = SchemaRegistry({"url": fake.url}, patience_s=0.3)
    with pytest.raises(BrokerError, match="does not answer") as error:
        one.schema(1)
    assert error.value.exit_code == 3
    assert fake.url not in str(error.value)


def test_without_a_registry_the_remedy_is_told() -> None:
    with pytest.raises(BrokerError, match=r"set schema_registry\.url"):
        SchemaRegistry({}, patience_s=0.1).schema(1)


def test_who_is_asked_to_end_does_not_wait(fake: FakeRegistry) -> None:
    fake.stop()
    with pytest.raises(Leaving):
        SchemaRegistry({"url": fake.url}, stopped=lambda: True).schema(1)


def test_a_registry_asks_for_name_and_password() -> None:
    with FakeRegistry(user=("leeway", "geheim")) as fake:
        number = fake.register("loans-value", RECORD)
        settings = {"url": fake.url, "basic.auth.user.info": "leeway:geheim"}
        assert SchemaRegistry(settings).schema(number).text == RECORD
        settings["basic.auth.user.info"] = "leeway:wrong"
        with pytest.raises(BrokerError, match=r"answers 401") as error:
            SchemaRegistry(settings, patience_s=0.1).schema(number)
        assert "wrong" not in str(error.value)


def test_patience_ends_before_a_silent_role_counts_as_down() -> None:
    assert schema_registry.PATIENCE_S < 60
