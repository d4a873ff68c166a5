"""How does a rendered alert reach its receiver? Sinks that send once, and the outbox that decides what is sent when."""

__all__: list[str] = []
