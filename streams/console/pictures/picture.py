"""What is a picture? A figure as plain data, in the page's own colours, and the same numbers for who cannot see it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streams.console.html import Content, Html, data, element

Figure = dict[str, Any]  # `data` and `layout`, as Plotly reads them
MOST_ROWS = 48  # of the table below a picture; the pictures have all
LONGEST_LABEL = 26  # characters on an axis


@dataclass(frozen=True, slots=True)
class Links:
    """Where a click leads: the row's address and the column's ending, as one text."""

    rows: Sequence[str]
    columns: Sequence[str] = ("",)


@dataclass(frozen=True, slots=True)
class Rows:
    """The table of a picture, as far as it is written, and how many rows there are."""

    written: Sequence[Sequence[Content]]
    many: int

    @classmethod
    def of(cls, rows: Iterable[Sequence[Content]]) -> "Rows":
        """All rows, of which the first are written."""
        found = list(rows)
        return cls(found[:MOST_ROWS], len(found))


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture, and the same told in words and in numbers.

    Colours in the figure are names behind an ``@`` (``@good``, ``@warn``, ``@bad``, ``@soft``, ``@ink``, ``@line``,
    ``@reference``, ``@current``; ``@current/0.2`` lets through what is behind it): the page has them in light and
    in dark. `pictures.js` draws it.
    """

    id: str
    title: str
    figure: Figure
    summary: str  # one sentence
    head: Sequence[str]
    rows: Rows
    height: int = 220  # pixels
    note: str | None = None  # what one must know to read it
    links: Links | None = None
    figures: Sequence[int] = field(default=())  # columns of the table that hold numbers


def plain(text: str) -> str:
    """Text as it must be given to Plotly, which reads markup in labels.

    >>> plain("<b>income</b>")
    '&lt;b&gt;income&lt;/b&gt;'
    """
    return escape(text, quote=False)


def label(text: str, longest: int = LONGEST_LABEL) -> str:
    """A name on an axis: cut where it is too long, and never markup.

    >>> label("feature:annual_income_of_the_household")
    'feature:annual_income_of_…'
    """
    return plain(text if len(text) <= longest else f"{text[: longest - 1]}…")


def shown(values: "NDArray[np.floating[Any]]", digits: int = 5) -> list[float | None]:
    """Numbers as JSON: so many digits, and None where there is none.

    >>> shown(np.array([0.123456789, np.nan, 2.0]))
    [0.12346, None, 2.0]
    """
    return [float(f"{v:.{digits}g}") if isfinite(v) else None for v in values.tolist()]


def written(picture: Picture, table: Html) -> Html:
    """A picture as a part of a page: its title, where it is drawn, and its numbers in `table`."""
    document: Figure = dict(picture.figure)
    if picture.links is not None:
        document["links"] = {
            "rows": list(picture.links.rows),
            "columns": list(picture.links.columns),
        }
    leads = picture.links is not None
    return element(
        "figure",
        element("figcaption", element("h3", picture.title), element("p", picture.summary)),
        element(
            "div",
            class_="plot",
            role="application" if leads else "img",
            aria_label=f"{picture.title}: {picture.summary}"
            + (" Arrow keys choose, Enter opens." if leads else ""),
            tabindex="0" if leads else None,
            style=f"height:{picture.height}px",
        ),
        data(document),
        element("p", picture.note, class_="meta") if picture.note else None,
        element("details", element("summary", "Figures"), table),
        class_="picture",
        id=picture.id,
    )
