"""What a model's lifecycle file says, checked, with every mistake at its place."""

from streams.lifecycle.acts import notices, windows
from streams.lifecycle.loading import from_json, load, read
from streams.lifecycle.settings import Lifecycle

__all__ = ["Lifecycle", "from_json", "load", "notices", "read", "windows"]
