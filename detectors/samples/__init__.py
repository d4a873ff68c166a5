"""How different are two sets of counts? Effects with intervals, tests, and the methods people name."""

__all__: list[str] = []
