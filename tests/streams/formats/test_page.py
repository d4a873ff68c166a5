"""Do the events that the page shows count?"""

import json
import re
from typing import Any

from streams.formats.unpacking import Unpacking
from streams.kafka.schema_registry import SchemaRegistry
from streams.lifecycle import Lifecycle
from streams.profiling.profiler import Profiler
from tests.builders import NAMES, Profiled, batch, lifecycle, registered
from tests.test_documentation import MESSAGES
from tests.vendors.schema_registry import FakeRegistry

SHOWN = dict(re.findall(r"<!-- event: (\w+) -->\n```\w+\n(.*?)\n```", MESSAGES, re.S))


def loans(form: str) -> Lifecycle:
    return lifecycle(
        model_id="loan-default",
        source={"predictions": {"format": form}},
        features={"annual_income": "number", "home": "category"},
    )


def counted(form: str, value: bytes, url: str = "") -> Profiled:
    """What a profiler makes of one record of this form."""
    one, found = (
        Profiler(NAMES, 1, lambda topic: 1, Unpacking(SchemaRegistry({"url": url}))),
        Profiled(),
    )
    one.follow(registered(loans(form)))
    one.step(batch([value]))
    found.add(one.flush(), None)
    return found


def test_the_cloud_event_and_the_avro_that_the_page_shows_are_the_same_event() -> None:
    structured = SHOWN["structured"].encode()
    event = json.loads(structured)["data"]
    program: dict[str, Any] = {}
    exec(SHOWN["avro"], program)  # noqa: S102  # the page's own program
    with FakeRegistry() as registry:
        value = program["packed"](event, registry.url)
        avro = counted("avro", value, registry.url)
    plain = counted("json", json.dumps(event).encode())
    assert plain.came_in.total() == 1
    assert plain.reasons == []
    for other in (counted("cloudevents", structured), avro):
        assert (other.counted, other.reasons, other.came_in) == (
            plain.counted,
            plain.reasons,
            plain.came_in,
        )
