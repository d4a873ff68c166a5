"""What is concluded about a window, and what is remembered of it?"""

__all__: list[str] = []
