"""Is the model up, and is what it is fed whole? Counts of statuses, latencies, repeats and defects; rules on them."""

__all__: list[str] = []
