"""How does a button become a command? Its form, as markup that `static/actions.js` fills in, sends and follows.

Without a form nothing is sent, and what is not possible now is shown with the reason.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from streams.console.html import Content, Html, element

_HOUR_S = 3600
LENGTHS = (
    ("1 hour", _HOUR_S),
    ("4 hours", 4 * _HOUR_S),
    ("12 hours", 12 * _HOUR_S),
    ("1 day", 24 * _HOUR_S),
    ("3 days", 72 * _HOUR_S),
    ("1 week", 168 * _HOUR_S),
    ("4 weeks", 672 * _HOUR_S),
)


@dataclass(frozen=True, slots=True)
class Field:
    """What a person says beside a command.

    Parameters
    ----------
    name : the member of the command; ``until`` is asked for as a length or a time
    choices : pairs of what is said and what it reads; none: text
    suggestions : names that a text may be completed to
    rare : seldom said: it is behind a fold
    """

    name: str
    label: str
    hint: str = ""
    value: str = ""
    required: bool = False
    choices: tuple[tuple[str, str], ...] = ()
    suggestions: tuple[str, ...] = ()
    most: int = 256
    rare: bool = False


@dataclass(frozen=True, slots=True)
class Action:
    """One button.

    Parameters
    ----------
    text : what it says
    command : what is sent, as far as it is settled
    explains : what happens then
    typed : the same at a terminal
    grave : it cannot be taken back: that is said, and asked again
    at_once : without a form, where the person's name is known
    why_not : why it is not possible now; None: it is
    """

    text: str
    command: Mapping[str, str]
    explains: str
    fields: tuple[Field, ...] = ()
    typed: str | None = None
    grave: bool = False
    at_once: bool = False
    why_not: str | None = None


NOTE = Field("note", "Note", "for whoever asks why; may be left out", most=1_000)
UNTIL = Field("until", "For how long", required=True)


def buttons(*actions: Action | None) -> Html | None:
    """A row of buttons with the forms behind them, and why some are not possible."""
    shown = [one for one in actions if one is not None]
    if not shown:
        return None
    held = [
        element("li", element("b", one.text), f": {one.why_not}")
        for one in shown
        if one.why_not is not None
    ]
    return element(
        "div",
        element("div", *(_button(one) for one in shown), class_="buttons"),
        element("ul", *held, class_="held") if held else None,
        element(
            "noscript",
            element("p", "Buttons need scripts. The command line does the same: leeway --help"),
        ),
        class_="actions",
    )


def _button(action: Action) -> Html:
    said = msgspec.json.encode(dict(action.command)).decode()
    return element(
        "div",
        element(
            "button",
            action.text,
            type="button",
            class_="act grave" if action.grave else "act",
            aria_haspopup="dialog" if not action.at_once else None,
            data_at_once="" if action.at_once else None,
            disabled="" if action.why_not is not None else None,
        ),
        None if action.why_not is not None else element("template", _form(action, said)),
        class_="action",
    )


def _form(action: Action, said: str) -> Html:
    return element(
        "dialog",
        element(
            "form",
            element("h2", action.text),
            element("p", action.explains),
            element("p", "This cannot be taken back.", class_="grave") if action.grave else None,
            *(_field(one) for one in action.fields if not one.rare),
            _folded([one for one in action.fields if one.rare]),
            _field(Field("by", "Your name", "kept in this browser", required=True)),
            element("p", "At a terminal: ", element("code", action.typed), class_="meta")
            if action.typed
            else None,
            element("p", class_="mistake", role="alert"),
            element(
                "p",
                element("button", "Back", type="button", class_="back"),
                element(
                    "button",
                    action.text,
                    type="submit",
                    class_="act grave" if action.grave else "act",
                ),
                class_="buttons",
            ),
            data_command=said,
            data_called=action.text,
            novalidate="",
        ),
        class_="ask",
        aria_label=action.text,
    )


def _folded(fields: Sequence[Field]) -> Html | None:
    if not fields:
        return None
    return element("details", element("summary", "More"), *(_field(one) for one in fields))


def _field(one: Field) -> Html:
    if one.name == "until":
        return element("div", *_until(one), class_="field")
    required = "" if one.required else None
    listed = f"of-{one.name}" if one.suggestions else None
    entry = (
        element(
            "select",
            *(
                element("option", text, value=value, selected="" if value == one.value else None)
                for value, text in one.choices
            ),
            name=one.name,
            required=required,
        )
        if one.choices
        else element(
            "input",
            name=one.name,
            value=one.value or None,
            required=required,
            maxlength=str(one.most),
            list=listed,
            autocomplete="name" if one.name == "by" else "off",
        )
    )
    suggested = (
        element("datalist", *(element("option", value=text) for text in one.suggestions), id=listed)
        if listed
        else None
    )
    return element(
        "div",
        element("label", one.label, "" if one.required else " (optional)", " ", entry),
        suggested,
        element("p", one.hint, class_="meta") if one.hint else None,
        class_="field",
    )


def _until(one: Field) -> tuple[Content, ...]:
    lengths = (
        element("option", text, value=str(seconds), selected="" if seconds == 4 * _HOUR_S else None)
        for text, seconds in LENGTHS
    )
    return (
        element("label", one.label, " ", element("select", *lengths, name="for")),
        element(
            "label",
            "or until (UTC; optional) ",
            element("input", name="until", type="datetime-local"),
        ),
        element("p", "At most 30 days.", class_="meta"),
    )
