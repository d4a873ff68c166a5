"""Which documents are still in memory? The newest of each subject, as long as all together are not too many bytes."""

import zlib
from collections import OrderedDict

from streams.views.places import Place

RAW_BYTES = 32 * 1024 * 1024
PACKED_BYTES = 64 * 1024 * 1024


class Whole:
    """Documents by their place on the log, where they can be read again.

    The newest ones are kept as they came, for packing takes twice the time of all else that is done with a result,
    and most of those that are read at a start are superseded before they are looked at.
    """

    def __init__(self, raw_bytes: int = RAW_BYTES, packed_bytes: int = PACKED_BYTES) -> None:
        self._raw: OrderedDict[Place, bytes] = OrderedDict()
        self._packed: OrderedDict[Place, bytes] = OrderedDict()
        self._raw_left, self._packed_left = raw_bytes, packed_bytes

    def put(self, place: Place, value: bytes) -> None:
        """Keep a document; the oldest ones are packed, and then dropped, where there is no room."""
        self.drop(place)
        self._raw[place] = value
        self._raw_left -= len(value)
        while self._raw_left < 0:
            oldest, found = self._raw.popitem(last=False)
            self._raw_left += len(found)
            self._packed[oldest] = packed = zlib.compress(found, 1)
            self._packed_left -= len(packed)
        while self._packed_left < 0:
            _, packed = self._packed.popitem(last=False)
            self._packed_left += len(packed)

    def drop(self, place: Place) -> None:
        """Forget a document, if it is there."""
        if (value := self._raw.pop(place, None)) is not None:
            self._raw_left += len(value)
        elif (packed := self._packed.pop(place, None)) is not None:
            self._packed_left += len(packed)

    def get(self, place: Place) -> bytes | None:
        """
        >>> kept, place = Whole(raw_bytes=5), ("results", 0)
        >>> kept.put((place, 1), b"older"), kept.put((place, 2), b"newer")
        (None, None)
        >>> kept.get((place, 1)), kept.get((place, 3))
        (b'older', None)
        """
        if (value := self._raw.get(place)) is not None:
            return value
        packed = self._packed.get(place)
        return None if packed is None else zlib.decompress(packed)
