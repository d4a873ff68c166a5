"""How right is the model? What is counted of its outcomes, what is measured from the counts, what was normal."""

__all__: list[str] = []
