"""How do events become counts? Decoding, binning, segments of work between two commits."""

__all__: list[str] = []
