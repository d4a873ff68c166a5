"""What do all lists have? A choice of what is shown, and pages behind each other."""

from collections.abc import Mapping
from urllib.parse import quote

from streams.console.html import Html, element, link
from streams.views.asked import Asked

PER_PAGE = 50


def address(path: str, query: Mapping[str, str]) -> str:
    """
    >>> address("/episodes", {"kind": "a&b"}), address("/episodes", {})
    ('/episodes?kind=a%26b', '/episodes')
    """
    text = "&".join(
        f"{quote(key, safe='')}={quote(value, safe='')}" for key, value in query.items()
    )
    return f"{path}?{text}" if text else path


def chosen(asked: Asked, name: str, choices: tuple[str, ...] | None = None) -> str | None:
    """What was chosen in a form, which also sends what was left open; None: anything."""
    if choices is not None:
        return asked.choice(name, ("", *choices)) or None
    return asked.query.get(name) or None


def paging(asked: Asked, path: str, following: str | None) -> Html | None:
    """Links to the first page and to the one that follows."""
    kept = {key: text for key, text in asked.query.items() if key != "cursor"}
    first = link("The newest", address(path, kept)) if "cursor" in asked.query else None
    older = (
        None if following is None else link("Older", address(path, {**kept, "cursor": following}))
    )
    if first is None and older is None:
        return None
    return element("nav", first, " " if first else None, older, aria_label="pages", class_="paging")
