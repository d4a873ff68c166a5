"""What do tests share? A real broker where they ask for one, names nobody else has, and a clean environment."""

import os
import uuid
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from streams.errors import LeewayError
from streams.local_kafka import AnyBroker, any_broker

if TYPE_CHECKING:
    from tests.browsing import Browse, Chromium

# No test may fail because a machine is slow; and who decides whether a change lands tries what was tried before.
settings.register_profile(
    "leeway",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="CI" in os.environ,
    print_blob=True,
)
settings.load_profile("leeway")

GIVEN_BROKERS = os.environ.get("LEEWAY_BROKERS")


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's `LEEWAY_*` must not decide what a test finds; children inherit the clean environment too."""
    for name in [name for name in os.environ if name.startswith("LEEWAY_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def kafka() -> Iterator[AnyBroker]:
    """A real broker, one per worker of pytest-xdist: `kafka.bootstrap` is its address.

    Topics and groups on it are shared by all tests of the session: name them with `unique`. A test that kills a broker
    starts its own `LocalKafka`.
    """
    try:
        broker = any_broker(GIVEN_BROKERS)
        started = broker.__enter__()
    except LeewayError as lacking:
        pytest.skip(f"no broker: {lacking}")
    try:
        yield started
    finally:
        broker.__exit__(None, None, None)


@pytest.fixture
def unique() -> Callable[[str], str]:
    """`unique("events")` is a name for a topic, group or model that no other test has, now or in an earlier session."""
    taken = uuid.uuid4().hex[:10]
    return lambda name: f"{name}-{taken}"


@pytest.fixture(scope="session")
def chromium() -> "Iterator[Chromium]":
    """A real browser, and a thread in which servers run: one of each for a worker of pytest-xdist."""
    from tests import browsing  # here, for most tests need neither browser nor server

    yield from browsing.chromium()


@pytest.fixture
def browse(chromium: "Chromium") -> "Iterator[Browse]":
    """Pages in a real browser; what they complain of fails the test."""
    from tests import browsing

    yield from browsing.browse(chromium)
