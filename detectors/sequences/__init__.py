"""Has a stream of single values changed? Errors, losses and the detectors of river."""

__all__: list[str] = []
