"""Given numbers, what does the evidence say? No clock, no I/O, no Kafka: usable alone, as a library."""

__all__: list[str] = []
