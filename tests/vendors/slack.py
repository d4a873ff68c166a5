"""What does Slack accept? Messages by `chat.postMessage`, `chat.update` and incoming webhooks.

Sources, as read in November 2026: docs.slack.dev/reference/block-kit/blocks/header-block (150 characters, plain text),
…/section-block (text 3,000, ten fields of 2,000), …/context-block (ten elements), …/actions-block (25 elements),
…/block-elements/button-element (text 75, action_id 255, value 2,000, url 3,000),
…/composition-objects/text-object (1 to 3,000 characters), docs.slack.dev/reference/block-kit/blocks (50 blocks a
message), api.slack.com/methods/chat.postMessage and chat.update (`channel`, `ts`, one of text, blocks, attachments;
text best below 4,000, at most 100 attachments), docs.slack.dev/messaging/formatting-message-text (only ``&``, ``<``,
``>`` are escaped), api.slack.com/changelog/2016-05-17-changes-to-errors-for-incoming-webhooks (a webhook's words).
`msg_blocks_too_long` is not documented: github.com/slackapi/bolt-js/issues/2509 met it at about 13,200 characters. The
8,000 held here are Leeway's own, stricter limit.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Literal

from tests.vendors import Rejected

Method = Literal["post", "update", "webhook"]

TEXT_LIMIT = 4000
MESSAGE_LIMIT = 8000
MOST_BLOCKS, MOST_ATTACHMENTS = 50, 100
_MEMBERS: dict[str, tuple[frozenset[str], frozenset[str]]] = {  # required, optional
    "header": (frozenset({"text"}), frozenset({"block_id"})),
    "section": (frozenset(), frozenset({"text", "fields", "accessory", "expand", "block_id"})),
    "context": (frozenset({"elements"}), frozenset({"block_id"})),
    "divider": (frozenset(), frozenset({"block_id"})),
    "actions": (frozenset({"elements"}), frozenset({"block_id"})),
}
_MESSAGE = frozenset(
    {
        *("channel", "ts", "thread_ts", "text", "blocks", "attachments", "unfurl_links"),
        *("unfurl_media", "mrkdwn", "parse", "link_names", "metadata", "reply_broadcast"),
    }
)
_COLOUR = re.compile(r"#[0-9A-Fa-f]{6}|good|warning|danger")
_ENTITY = re.compile(r"&(?:amp|lt|gt);")
_LINK = re.compile(r"<https?://[^\s<>|]+(?:\|[^<>|]+)?>")
_CODE = re.compile(r"`[^`\n]*`")  # nothing is a mention in there
_PING = re.compile(r"@(?:here|channel|everyone)\b")


def message(payload: Any, method: Method = "post") -> None:
    """Hold a request's JSON against the documented rules.

    Raises
    ------
    Rejected
        Its reason is the `error` (of a webhook: the body) that Slack answers with.

    Examples
    --------
    >>> message({"channel": "#ml", "text": "hello"})
    >>> message({"channel": "#ml"})
    Traceback (most recent call last):
        ...
    tests.vendors.Rejected: no_text: nothing to show
    """
    if not isinstance(payload, dict):
        raise Rejected("invalid_payload" if method == "webhook" else "invalid_json", "no object")
    written = _written(payload)
    unknown = payload.keys() - _MESSAGE
    if unknown:
        raise Rejected("invalid_arguments", f"unknown members {sorted(unknown)}")
    if method != "webhook" and not (isinstance(payload.get("channel"), str) and payload["channel"]):
        raise Rejected("channel_not_found", "no channel")
    if method == "update" and not re.fullmatch(r"\d+\.\d+", str(payload.get("ts", ""))):
        raise Rejected("message_not_found", "no ts")
    text, blocks = payload.get("text", ""), payload.get("blocks", [])
    attachments = payload.get("attachments", [])
    if not isinstance(text, str):
        raise Rejected("invalid_arguments", "text is no text")
    if len(text) >= TEXT_LIMIT:
        raise Rejected("msg_too_long", f"text of {len(text)}")
    if not (text.strip() or blocks or attachments):
        raise Rejected("no_text", "nothing to show")
    if not isinstance(attachments, list) or not isinstance(blocks, list):
        raise Rejected("invalid_arguments", "attachments and blocks are lists")
    if len(attachments) > MOST_ATTACHMENTS:
        raise Rejected("too_many_attachments", str(len(attachments)))
    for attachment in attachments:
        _attachment(attachment)
    shown = [*blocks, *(block for one in attachments for block in one.get("blocks", []))]
    if len(shown) > MOST_BLOCKS:
        raise Rejected("invalid_blocks", f"{len(shown)} blocks")
    for block in shown:
        _block(block)
    _unique(shown)
    if len(written) > MESSAGE_LIMIT:
        raise Rejected("msg_blocks_too_long", f"{len(written)} bytes")


def harmless(payload: Any) -> None:
    """Hold what a message does to its readers against our own rules, which Slack does not enforce.

    Nothing that came from a name may become a mention, a link to elsewhere or a half escaped entity.
    """
    for text in texts(payload):
        rest = _LINK.sub("", text)
        if "<" in rest or ">" in rest:
            raise Rejected("unescaped", repr(text))
        if "&" in _ENTITY.sub("", text):
            raise Rejected("unescaped", repr(text))
        if _PING.search(_CODE.sub("", text)):
            raise Rejected("mention", repr(text))


def texts(payload: Any) -> Iterator[str]:
    """Every text that people see."""
    if isinstance(payload, dict):
        for name, value in payload.items():
            if name == "text" and isinstance(value, str):
                yield value
            else:
                yield from texts(value)
    elif isinstance(payload, list):
        for value in payload:
            yield from texts(value)


def _written(payload: Any) -> bytes:
    try:
        return json.dumps(payload, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise Rejected("invalid_json", type(error).__name__) from None


def _attachment(attachment: Any) -> None:
    if not isinstance(attachment, dict) or not isinstance(attachment.get("blocks", []), list):
        raise Rejected("invalid_attachments", "no object with blocks")
    if not (attachment.get("blocks") or attachment.get("text") or attachment.get("fallback")):
        raise Rejected("no_text", "an empty attachment")
    colour = attachment.get("color")
    if colour is not None and not _COLOUR.fullmatch(str(colour)):
        raise Rejected("invalid_attachments", f"color {colour!r}")


def _block(block: Any) -> None:
    kind = block.get("type") if isinstance(block, dict) else None
    if kind not in _MEMBERS:
        raise Rejected("invalid_blocks", f"type {kind!r}")
    required, optional = _MEMBERS[kind]
    members = block.keys() - {"type"}
    if not required <= members or not members <= required | optional:
        raise Rejected("invalid_blocks", f"members of a {kind}: {sorted(members)}")
    if not len(str(block.get("block_id", ""))) <= 255:
        raise Rejected("invalid_blocks", "block_id")
    if kind == "header":
        _text(block["text"], 150, ("plain_text",))
    elif kind == "section":
        if "text" not in block and not block.get("fields"):
            raise Rejected("invalid_blocks", "a section without text and fields")
        if "text" in block:
            _text(block["text"], 3000)
        for field in _some(block.get("fields", [None]), 10) if "fields" in block else ():
            _text(field, 2000)
    elif kind == "context":
        for element in _some(block["elements"], 10):
            _text(element, 3000)
    elif kind == "actions":
        for element in _some(block["elements"], 25):
            _button(element)


def _some(items: Any, most: int) -> list[Any]:
    if not isinstance(items, list) or not 1 <= len(items) <= most:
        raise Rejected("invalid_blocks", f"a list of 1 to {most}, got {items!r:.80}")
    return items


def _text(item: Any, limit: int, kinds: tuple[str, ...] = ("plain_text", "mrkdwn")) -> None:
    if not isinstance(item, dict) or item.get("type") not in kinds:
        raise Rejected("invalid_blocks", f"a text of {kinds}, got {item!r:.80}")
    if not item.keys() <= {"type", "text", "emoji", "verbatim"}:
        raise Rejected("invalid_blocks", f"members of a text: {sorted(item)}")
    text = item.get("text")
    if not isinstance(text, str) or not 1 <= len(text) <= limit:
        raise Rejected("invalid_blocks", f"1 to {limit} characters, got {text!r:.80}")


def _button(item: Any) -> None:
    if not isinstance(item, dict) or item.get("type") != "button":
        raise Rejected("invalid_blocks", f"a button, got {item!r:.80}")
    _text(item.get("text"), 75, ("plain_text",))
    limits = {"action_id": 255, "value": 2000, "url": 3000, "accessibility_label": 75}
    for name, limit in limits.items():
        if not isinstance(item.get(name, ""), str) or len(item.get(name, "")) > limit:
            raise Rejected("invalid_blocks", f"{name} beyond {limit}")
    if item.get("style", "primary") not in ("primary", "danger"):
        raise Rejected("invalid_blocks", "style")


def _unique(blocks: list[Any]) -> None:
    for block in blocks:
        ids = [element.get("action_id") for element in block.get("elements", [])]
        ids = [one for one in ids if one is not None]
        if len(set(ids)) < len(ids):
            raise Rejected("invalid_blocks", "the same action_id twice in a block")
