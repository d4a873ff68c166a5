"""Which prediction does a late truth belong to? The joiner: predictions are kept until their labels come."""

__all__: list[str] = []
