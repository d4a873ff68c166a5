"""The broker on Apache Kafka: transactions, groups, topics, and what may go wrong with them."""

__all__: list[str] = []
