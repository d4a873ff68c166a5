"""What is normal? Frozen summaries of the past that windows are compared with."""

__all__: list[str] = []
