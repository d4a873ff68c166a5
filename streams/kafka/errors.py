"""What does an error of librdkafka mean to a person? One context manager turns it into one of `streams.errors`."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from confluent_kafka import KafkaError, KafkaException

from streams.errors import BrokerError, Fenced, LeewayError, UsageError

__all__ = ["QUIET", "bootstrap", "explained", "is_fencing", "is_permanent", "translated"]

QUIET = {"log_level": "2"}  # librdkafka: what matters of its lines is said by our errors

_UNREACHABLE = frozenset(
    {
        KafkaError._TRANSPORT,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._RESOLVE,
        KafkaError._TIMED_OUT,
        KafkaError._TIMED_OUT_QUEUE,
        KafkaError._MSG_TIMED_OUT,
        KafkaError._WAIT_COORD,
        KafkaError._NODE_UPDATE,
    }
)
_CREDENTIALS = frozenset(
    {
        KafkaError._AUTHENTICATION,
        KafkaError._SSL,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.ILLEGAL_SASL_STATE,
        KafkaError.UNSUPPORTED_SASL_MECHANISM,
    }
)
_FORBIDDEN = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    }
)
_UNKNOWN = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError.TOPIC_EXCEPTION,
    }
)
_TOO_LARGE = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_RECORD})
_FENCING = frozenset(
    {
        KafkaError._FENCED,
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.PRODUCER_FENCED,
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError.UNRELEASED_INSTANCE_ID,
    }
)


def bootstrap(properties: Mapping[str, str]) -> str:
    """The addresses at which Kafka is asked for. Raises BrokerError when there are none."""
    if brokers := properties.get("bootstrap.servers", ""):
        return brokers
    raise BrokerError("no Kafka to talk to: set LEEWAY_BROKERS, or start one with `leeway broker`")


def is_fencing(error: KafkaError) -> bool:
    """Another process with the same name has taken over."""
    return error.code() in _FENCING


def is_permanent(error: KafkaError) -> bool:
    """The same call will fail again until a person has changed something."""
    return error.code() in _CREDENTIALS | _FORBIDDEN | _UNKNOWN | _TOO_LARGE


def explained(error: KafkaError, doing: str, brokers: str) -> LeewayError:
    """The error of `streams.errors` that says what happened and what to do.

    Parameters
    ----------
    error
        What librdkafka said.
    doing
        What was attempted, to follow "cannot": ``"read loans.scored"``.
    brokers
        The bootstrap addresses, to be named where nobody answers.
    """
    code, said = error.code(), error.str()
    if is_fencing(error):
        return Fenced(f"cannot {doing}: another process owns this work now")
    if code in _CREDENTIALS:
        return BrokerError(
            f"cannot {doing}: Kafka at {brokers} refused the connection: {said}; "
            "check security.protocol, sasl.* and ssl.* under `kafka` in leeway.yaml"
        )
    if code in _FORBIDDEN:
        return BrokerError(
            f"cannot {doing}: Kafka does not permit it: {said}; grant this user access"
        )
    if code in _UNKNOWN:
        return UsageError(f"cannot {doing}: the topic or partition does not exist: {said}")
    if code in _TOO_LARGE:
        return BrokerError(f"cannot {doing}: a record is too large or was refused: {said}")
    if code == KafkaError._INVALID_ARG:
        return UsageError(f"cannot {doing}: wrong property under `kafka` in leeway.yaml: {said}")
    if code in _UNREACHABLE:
        return BrokerError(
            f"cannot {doing}: no Kafka broker answers at {brokers}; set LEEWAY_BROKERS to one that does, "
            "or start one with `leeway broker`",
            retry=True,
        )
    return BrokerError(f"cannot {doing}: {said} ({error.name()})", retry=error.retriable())


@contextmanager
def translated(
    doing: str, brokers: str, heard: Callable[[], KafkaError | None] = lambda: None
) -> Iterator[None]:
    """Turn whatever librdkafka raises inside into an error of `streams.errors`.

    `heard`: the last thing the client said on the side. A call that merely timed out is explained by it, because wrong
    credentials, for one, show nowhere else.
    """
    try:
        yield
    except KafkaException as failure:
        error: KafkaError = failure.args[0]
        aside = heard() if error.code() in _UNREACHABLE else None
        if aside is not None and aside.code() in _CREDENTIALS | _FORBIDDEN:
            error = aside
        raise explained(error, doing, brokers) from failure
