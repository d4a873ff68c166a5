"""How do counts become decisions? Windows, watermarks, verdicts, and what is kept of them."""

__all__: list[str] = []
