"""What is known, and who may see it: the read model, its JSON interface and its pages, fed by a Faust app."""

__all__: list[str] = []
