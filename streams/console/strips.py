"""How do the last windows look at a glance? A strip in which colour and height both say the verdict."""

from collections.abc import Sequence
from itertools import groupby

from streams.console.html import Html, element

# the middle of each verdict's bars, in pixels from the top; the style sheet gives their heights
MIDDLES = {"severe": "10", "drifting": "13", "insufficient": "18.5", "stable": "16"}
_STEP, _HEIGHT = 4, 20  # pixels of a window and the gap behind it


def strip(verdicts: Sequence[str]) -> Html:
    """The last windows, oldest first. Those alike that follow each other are one dashed line: there are many strips.

    >>> strip(["stable", "stable", "severe"]).partition("><")[2]
    'path d="M0 16h8" class="stable"></path><path d="M8 10h4" class="severe"></path></svg>'
    """
    if not verdicts:
        return element("span", "none yet", class_="meta")
    counts = [f"{verdicts.count(one)} {one}" for one in MIDDLES if one in verdicts]
    shapes, at = [], 0
    for verdict, run in groupby(verdicts):
        many = sum(1 for _ in run)
        shapes.append(
            element(
                "path",
                d=f"M{_STEP * at} {MIDDLES.get(verdict, '18.5')}h{_STEP * many}",
                class_=verdict,
            )
        )
        at += many
    width = str(_STEP * len(verdicts))
    return element(
        "svg",
        *shapes,
        class_="strip",
        width=width,
        height=str(_HEIGHT),
        role="img",
        aria_label=f"last {len(verdicts)} windows: {', '.join(counts)}",
    )
