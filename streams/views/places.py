"""Where on the log is what the read model no longer holds? Asked of it, pure code says which records are needed."""

from collections.abc import Mapping
from types import MappingProxyType

from streams.broker import Partition

Place = tuple[Partition, int]  # of a record: its partition and offset
# JSON that was read from the log again; None: no longer there
Recalled = Mapping[Place, bytes | None]

NOTHING: Recalled = MappingProxyType({})


class Elsewhere(Exception):
    """The answer needs documents that are on the log only.

    Whoever may do I/O reads them (`streams.control.recall`) and asks again with what it found.

    Parameters
    ----------
    places : the records that are needed, each once

    Examples
    --------
    >>> Elsewhere(((Partition("leeway.results", 3), 17),)).places[0][1]
    17
    """

    def __init__(self, places: tuple[Place, ...]) -> None:
        super().__init__(f"{len(places)} documents are on the log only")
        self.places = places
