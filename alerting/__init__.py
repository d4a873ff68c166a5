"""Given verdicts, who should hear what? Pure policy: episodes, triggers, routing, rendering; no clock, no I/O."""

__all__: list[str] = []
