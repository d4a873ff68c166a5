"""What may a person do here, and what came of what was asked? The buttons of models, episodes, triggers and silences.

A button goes out as a command, and the judge says what came of it: nothing is shown as done before that.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, get_args

from alerting.types import SEVERITIES, Kind
from streams.commands import Command, refusal
from streams.console.forms import NOTE, UNTIL, Action, Field, buttons
from streams.console.html import Html, element
from streams.console.parts import moment, name, pill, table
from streams.console.wording import words
from streams.views.answers import ModelView
from streams.views.asked import Asked
from streams.views.ledger import Given, Ledger
from streams.views.read import ReadModel

LATELY = 10  # commands shown
_RECENT = 1_000  # commands that are looked at for one that waits
_WAITS = "asked for already, and waits for the next window"


# ---- what is asked of a model


def for_model(asked: Asked, view: ModelView) -> Html | None:
    """The buttons of a model."""
    return buttons(
        retrain(asked.read, view.model_id),
        silence(asked.read, view.model_id),
        rebaseline(asked.read, view.model_id),
    )


def retrain(read: ReadModel, model_id: str, reason: str = "") -> Action:
    """Ask for a retraining."""
    said = {"command": "retrain", "model_id": model_id}
    return Action(
        "Retrain",
        said,
        "Asks for a retraining. Guards and approvers of the lifecycle hold; a pipeline starts once it is approved.",
        (
            Field("reason", "Why", "goes into the request", reason, most=1_000),
            Field(
                "priority",
                "Priority",
                choices=(("low", "low"), ("normal", "normal"), ("high", "high")),
                value="normal",
                required=True,
            ),
        ),
        typed=f"leeway retrain {model_id} --reason TEXT",
        why_not=refused_of(read, model_id) or _given(read.commands, said),
    )


def silence(
    read: ReadModel,
    model_id: str | None,
    *,
    kind: str = "",
    segment: str = "",
    series: Sequence[str] = (),
    models: Sequence[str] = (),
) -> Action:
    """Tell nobody of such problems for a while; `model_id` None: one of `models` is chosen."""
    anything = ("", "any")
    said = {"command": "silence"} | ({} if model_id is None else {"model_id": model_id})
    chosen = (
        ()
        if model_id is not None
        else (
            Field("model_id", "Model", choices=tuple((one, one) for one in models), required=True),
        )
    )
    known = model_id if model_id is not None else "MODEL"
    return Action(
        "Silence",
        said,
        "Such problems are still found and shown here, but nobody is told. What is open at the end is told then.",
        (
            *chosen,
            Field(
                "match.kind",
                "Kind of problem",
                value=kind,
                choices=(anything, *((one, words(one)) for one in get_args(Kind))),
            ),
            Field(
                "match.segment",
                "Segment",
                "such as country=DE; empty: any",
                segment,
                suggestions=_segments(read, model_id),
            ),
            UNTIL,
            Field("reason", "Reason", "everybody can read it", required=True, most=1_000),
            Field(
                "match.severity",
                "Severity",
                choices=(anything, *((one, one) for one in SEVERITIES)),
                rare=True,
            ),
            Field("match.version", "Version", "empty: any", rare=True),
            Field(
                "match.series",
                "Series",
                "such as feature:income; it holds while nothing else is affected",
                suggestions=tuple(series),
                rare=True,
            ),
        ),
        typed=f"leeway silence {known} --for 4h --reason TEXT",
        why_not=None if model_id is None else refused_of(read, model_id),
    )


def _segments(read: ReadModel, model_id: str | None) -> tuple[str, ...]:
    return tuple(sorted({one.segment for one in read.results.get(model_id or "", {})}))


def unsilence(read: ReadModel, model_id: str, silence_id: str, why_not: str | None) -> Action:
    """End a silence before its time."""
    said = {"command": "unsilence", "model_id": model_id, "silence_id": silence_id}
    return Action(
        "End silence",
        said,
        "The silence ends with the next window; what is still open then is told.",
        (NOTE,),
        typed=f"leeway unsilence {silence_id}",
        why_not=why_not or _given(read.commands, said),
    )


def rebaseline(read: ReadModel, model_id: str) -> Action:
    """The present is normal."""
    references = tuple(reversed(read.references.get(model_id, {})))
    said = {"command": "rebaseline", "model_id": model_id}
    none = "no reference is registered: leeway baseline builds one, leeway apply registers it"
    return Action(
        "Rebaseline",
        said,
        "From the next window on, everything is compared with this reference: the present is normal. Open problems of "
        "inputs end as rebaselined.",
        (
            Field(
                "reference_id",
                "Reference",
                "the newest first",
                references[0] if references else "",
                required=True,
                choices=tuple((one, one) for one in references),
            ),
            NOTE,
        ),
        typed=f"leeway rebaseline {model_id} --reference ID",
        grave=True,
        why_not=refused_of(read, model_id)
        or (None if references else none)
        or _given(read.commands, said),
    )


def refused_of(read: ReadModel, model_id: str) -> str | None:
    """Why nothing can be asked of a model; None: it can."""
    registered = read.lifecycles.get(model_id)
    if registered is None:
        return "its lifecycle is not registered"
    return "it is retired" if registered.retired else None


# ---- what is asked of an episode and of a trigger


def of_episode(
    read: ReadModel, word: str, text: str, explains: str, episode: Mapping[str, str], **more: Any
) -> Action:
    """A button about an episode; `episode` has `model_id` and `episode_id`."""
    said = {"command": word, **episode}
    why_not = more.pop("why_not", None)
    return Action(text, said, explains, **more, why_not=why_not or _given(read.commands, said))


def of_trigger(
    read: ReadModel, word: str, text: str, explains: str, trigger: Mapping[str, str], **more: Any
) -> Action:
    """A button about a trigger; `trigger` has `model_id` and `trigger_id`."""
    return of_episode(read, word, text, explains, trigger, **more)


# ---- what came of it


def _given(ledger: Ledger, said: Mapping[str, str]) -> str | None:
    """Why the same is not asked for again: it waits for its window."""
    wanted = dict(said)
    for one in islice(reversed(ledger.given.values()), _RECENT):
        if one.word != wanted["command"] or one.model_id != wanted.get("model_id"):
            continue
        if ledger.outcome(one) is None and _says(one.command, wanted):
            return f"{_WAITS} (by {one.by})"
    return None


def _says(command: Command | None, wanted: Mapping[str, str]) -> bool:
    return command is not None and all(
        getattr(command, name) == value for name, value in wanted.items() if name != "command"
    )


def lately(
    read: ReadModel, wanted: Callable[[Given], bool], title: str = "What was asked"
) -> Html | None:
    """The newest commands, and what the judge said to each; None: there are none."""
    found = _newest(one for one in read.commands.given.values() if wanted(one))
    if not found:
        return None
    rows = []
    for one in found:
        outcome = read.commands.outcome(one)
        rows.append(
            (
                moment(one.given_ms, short=True),
                words(one.word),
                name(one.by),
                _stands(outcome.outcome if outcome else "pending"),
                _because(outcome.reason if outcome else None, waits=outcome is None),
            )
        )
    return element(
        "section",
        element("h2", title),
        table(("At", "What", "By", "State", "Because"), rows, label=title, stacks=True),
        id="asked",
    )


def _newest(found: Iterable[Given]) -> list[Given]:
    ordered = sorted(found, key=lambda one: (one.given_ms, one.command_id), reverse=True)
    return ordered[:LATELY]


def _stands(state: str) -> Html:
    return pill(state, "command")


def _because(reason: str | None, *, waits: bool) -> str:
    if waits:
        return "it takes effect with the next window that is judged"
    return "–" if reason is None else refusal(reason)
