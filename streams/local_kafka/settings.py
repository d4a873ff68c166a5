"""What does a single-node Kafka for development and tests have to be told? The same in Java and in Docker."""

from streams.topics import MAX_MESSAGE_BYTES

__all__ = ["IMAGE", "SETTINGS", "VERSION"]

VERSION = "4.1.1"
IMAGE = f"apache/kafka:{VERSION}"

SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "auto.create.topics.enable": "false",
    # A record of the largest size we write has to fit with its batch's header, compressed or not.
    "message.max.bytes": str(2 * MAX_MESSAGE_BYTES),
    # One node: every internal topic has one copy.
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # Half of the default 128 MiB would be more than a quarter of the heap below.
    "log.cleaner.dedupe.buffer.size": "16777216",
    "log.cleaner.backoff.ms": "1000",
    # Whoever kills things cannot wait for defaults made for data centres: a killed broker may come back after 2 s
    # (9 s), the transaction of a killed producer is ended within a second of its time-out (10 s), a killed member is
    # missed after what it asked for, down to a second (classic, 6 s), or 6 s (KIP-848, 45 s).
    "broker.heartbeat.interval.ms": "500",
    "broker.session.timeout.ms": "2000",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "group.consumer.min.session.timeout.ms": "1000",
    "group.consumer.session.timeout.ms": "6000",
    "group.consumer.min.heartbeat.interval.ms": "500",
    "group.consumer.heartbeat.interval.ms": "1000",
}
