"""Our messages as others see them: a schema of each, an index of all, and what may change about them."""

__all__: list[str] = []
