"""A minute of the whole product: a seeded stream with known changes, and what is found of them."""

__all__: list[str] = []
