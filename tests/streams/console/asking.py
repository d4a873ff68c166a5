"""Pages without a server: what a page writes for a read model, as text."""

import re
from collections.abc import Mapping
from typing import Any

from streams.console.pages import PAGES
from streams.views.asked import Asked
from streams.views.read import ReadModel
from tests.streams.published import NOW_MS

_MARKUP, _NAME = re.compile(r"<[^>]*>"), re.compile(r"</?bdi[^>]*>")


def ask(path: str, read: ReadModel, wanted: str = "", **query: str) -> str:
    """The markup of a page; `path` as it is listed, `wanted` the id in it."""
    return asked(path, read, wanted, query)


def asked(path: str, read: ReadModel, wanted: str, query: Mapping[str, str], **more: Any) -> str:
    page = next(one for one in PAGES if one.path == path)
    about = Asked(read=read, now_ms=NOW_MS, path={"id": wanted}, query=query, **more)
    return page.render(about)


def bare(markup: str) -> str:
    """The markup without that around names."""
    return _NAME.sub("", markup)


def text(markup: str) -> str:
    """What a person reads of it.

    >>> text("<p>a <b>b</b></p>\\n<i>c</i>")
    'a b c'
    """
    plain = _MARKUP.sub(" ", bare(markup))
    for code, character in (
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", '"'),
        ("&#x27;", "'"),
        ("&amp;", "&"),
    ):
        plain = plain.replace(code, character)
    return " ".join(plain.split())
