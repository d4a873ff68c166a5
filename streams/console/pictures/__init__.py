"""Pictures of what is known: figures for Plotly as plain data, each with the same numbers as a table."""

__all__: list[str] = []
