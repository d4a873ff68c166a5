"""How is a page written so that no text of an event can become markup? Elements whose text is always escaped."""

import json
from collections.abc import Iterable, Sequence
from html import escape
from typing import Union

_VOID = frozenset(("meta", "link", "br", "input"))
PLOTLY = "plotly-7.1.0.min.js"  # the release of the package it lies in: a name that holds for ever
STYLES = ("style.css", "actions.css")
Content = Union[str, "Html", None, Iterable["Content"]]


class Html(str):
    """Markup. Only `element` and `page` make it: plain text put into either is escaped."""

    __slots__ = ()


def element(name: str, /, *content: Content, **attributes: str | None) -> Html:
    """One element. Attributes that are None are left out; ``class_`` is ``class``, ``aria_label`` is ``aria-label``.

    >>> element("p", "1 < 2 ", element("b", "&"), class_='"x"')
    '<p class="&quot;x&quot;">1 &lt; 2 <b>&amp;</b></p>'
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{_text(content)}</{name}>")


def link(text: Content, href: str) -> Html:
    """A link to a page of ours, or to an http address; any other address (javascript:) is shown as text."""
    if href.startswith(("/", "https://", "http://")) and not href.startswith("//"):
        return element("a", text, href=href, rel=None if href.startswith("/") else "noreferrer")
    return element("span", text)


def isolated(text: str) -> Html:
    """Words of somebody's, in any script: they do not move what stands around them.

    >>> isolated("income")
    '<bdi>income</bdi>'
    """
    return element("bdi", text)


def data(document: object, **attributes: str | None) -> Html:
    r"""A document for a script to read; a browser runs nothing in it, and no text of it ends it.

    >>> data({"name": "</script>"})
    '<script type="application/json">{"name":"\\u003c/script\\u003e"}</script>'
    """
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return element("script", Html(text), type="application/json", **attributes)


def page(title: str, *content: Content, scripts: Sequence[str] = ("live.js", "actions.js")) -> Html:
    """A whole document; it renews itself by a script, or without scripts by the browser."""
    head = (
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("link", rel="icon", href="data:,"),
        *(element("link", rel="stylesheet", href=f"/static/{name}") for name in STYLES),
        *(element("script", src=f"/static/{name}", defer="") for name in scripts),
        element("noscript", element("meta", http_equiv="refresh", content="30")),
    )
    skip = element("a", "Skip to content", href="#content", class_="skip")
    body = element("body", skip, *content)
    return Html(f'<!doctype html>\n<html lang="en">{element("head", *head)}{body}</html>\n')


def _text(content: Content) -> str:
    if content is None:
        return ""
    if isinstance(content, Html):
        return content
    if isinstance(content, str):
        return escape(content)
    return "".join(_text(part) for part in content)
