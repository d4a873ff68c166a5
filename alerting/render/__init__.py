"""How does an alert look to one kind of receiver? Payloads within the receiver's limits, by construction."""

__all__: list[str] = []
