"""What can be done with files instead of a running Kafka: sources, replay, and the story it tells."""

__all__: list[str] = []
