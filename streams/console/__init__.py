"""What does a person see? Pages and pictures, drawn from the read model; nothing here decides or fetches."""

__all__: list[str] = []
