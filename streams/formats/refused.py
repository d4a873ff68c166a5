"""What stands where a value could not be unpacked? No bytes at all, and the reason."""

from streams.errors import InvalidEvent


class Refused(bytes):
    """A value that stands for no event; whoever reads it raises `defect`.

    >>> refused = Refused.of(InvalidEvent("not_avro", "two bytes too many"))
    >>> bool(refused), str(refused.defect)
    (False, 'not_avro: two bytes too many')
    """

    defect: InvalidEvent

    @classmethod
    def of(cls, defect: InvalidEvent) -> "Refused":
        """The value that takes the place of one with this defect."""
        found = cls()
        found.defect = defect
        return found
