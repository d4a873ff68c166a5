"""What is known of what the judges said? Read models folded from Kafka, and the questions they answer. No I/O."""

__all__: list[str] = []
