"""How does a model server tell Leeway what it predicted? A small producer that never stands in a request's way.

It lives inside other people's servers: importing it brings the standard library, confluent-kafka and msgspec, and
nothing else of Leeway's (docs/producers.md).
"""

from streams.client.channel import Counts, Limits
from streams.client.emitter import Emitter, Timed

__all__ = ["Counts", "Emitter", "Limits", "Timed"]
