"""A lifecycle, guessed from a sample of events: pure, and open about what is a guess."""

__all__: list[str] = []
