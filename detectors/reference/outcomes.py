"""Which outcomes does a reference know, and how are they written? All of them, each segment's, and those of slices.

They are the optional member ``outcomes`` of its document: `detectors.performance.document`, with two members more.
"""

import binascii
import json
from base64 import b64decode, b64encode
from dataclasses import replace
from typing import Any, NamedTuple

from detectors.performance.document import from_document, to_document
from detectors.performance.packed import unpack_counts
from detectors.performance.reference import OutcomeReference
from detectors.reference.reading import read_members, read_object, read_text
from detectors.samples.effects import Ints

LONGEST = 1 << 16  # integers in the slices of a reference


class Known(NamedTuple):
    """The outcomes of a reference.

    `segments` and `slices` hold vectors as `pack_counts` writes them: those of each segment in the layout of `whole`,
    and that of slices with the digest of its own layout.
    """

    whole: OutcomeReference
    segments: tuple[tuple[str, bytes], ...] = ()
    slices: tuple[str, bytes] | None = None

    def of(self, segment: str) -> OutcomeReference | None:
        """The outcomes of a segment, with the edges and over-dispersion of all; None where they are not known."""
        packed = dict(self.segments).get(segment)
        if packed is None:
            return None
        return replace(self.whole, counts=unpack_counts(packed, self.whole.layout.total))

    def sliced(self, digest: str, total: int) -> Ints | None:
        """The counts of slices in this layout; None where they were counted in another one or not at all."""
        if self.slices is None or self.slices[0] != digest:
            return None
        return unpack_counts(self.slices[1], total)


def known_document(known: Known) -> dict[str, Any]:
    """For JSON: the counts of segments and slices in base64, as they are many and mostly zeros."""
    document = to_document(known.whole)
    if known.segments:
        document["segments"] = {name: _text(packed) for name, packed in known.segments}
    if known.slices is not None:
        document["slices"] = {"layout": known.slices[0], "counts": _text(known.slices[1])}
    return document


def known_from_document(document: object, at: str = "outcomes") -> Known:
    """Read what `known_document` wrote.

    Raises
    ------
    ValueError
        Naming the place and what was expected there.
    """
    given = dict(read_object(document, at))
    segments, slices = given.pop("segments", {}), given.pop("slices", None)
    whole = from_document(given, at)
    return Known(
        whole,
        tuple(
            (name, _packed(text, whole.layout.total, f"{at}.segments.{name}"))
            for name, text in read_object(segments, f"{at}.segments").items()
        ),
        None if slices is None else _slices(slices, f"{at}.slices"),
    )


def known_text(known: Known) -> str:
    """What a digest covers."""
    return json.dumps(known_document(known), ensure_ascii=False, separators=(",", ":"))


def _slices(value: object, at: str) -> tuple[str, bytes]:
    m = read_members(value, at, "layout counts")
    layout = read_text(m["layout"], f"{at}.layout")
    return layout, _packed(m["counts"], LONGEST, f"{at}.counts")


def _text(packed: bytes) -> str:
    return b64encode(packed).decode()


def _packed(value: object, total: int, at: str) -> bytes:
    try:
        packed = b64decode(read_text(value, at), validate=True)
        unpack_counts(packed, total)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"{at}: expected counts of {total} places in base64") from error
    return packed
