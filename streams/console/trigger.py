"""Why is this retraining asked for, what must the new model prove, and who decides? One trigger and its life."""

from alerting.transitions import TRANSITIONS
from streams.commands import TickCheck
from streams.console import actions
from streams.console.forms import NOTE, Action, Field, buttons
from streams.console.html import Content, Html, element, isolated, link
from streams.console.parts import (
    Page,
    episode_path,
    model_path,
    moment,
    pill,
    screen,
    section,
    table,
    trigger_path,
)
from streams.console.wording import number, words
from streams.views import answers
from streams.views.asked import Asked
from streams.views.documents import Gates, Trigger, epoch_ms
from streams.views.problems import Problem
from streams.views.read import ReadModel, Story

_PATH = ("requested", "approved", "started", "completed")
_DECISIONS = {
    "promote": "everything that was asked of it is fulfilled: deploy it",
    "hold": "something is missing, or a person must look first",
    "reject": "a gate failed: keep the present model",
}


def trigger(asked: Asked) -> str:
    """One trigger. Raises `Problem` where nobody knows it."""
    wanted = asked.path["id"]
    story = answers.story(asked.read.triggers, wanted)
    if story is None:
        raise Problem("not_found", f"no trigger has the id {wanted[:200]!r}")
    told = story.latest.read_as(Trigger)
    title = told.reason.summary or f"Retrain {story.model_id}"
    return screen(
        asked,
        title,
        "/triggers",
        element("p", link("Triggers", "/triggers"), " / ", words(story.kind), class_="meta"),
        element("h1", isolated(title)),
        element(
            "p",
            pill(told.status.name, "trigger"),
            " ",
            _action(told),
            " ",
            link(isolated(story.model_id), model_path(story.model_id)),
            f" {story.version}",
            class_="because",
        ),
        _steps(story),
        _facts(story, told),
        section("What can be done", _who(told), deciding(asked.read, story, told), id_="do"),
        section("What happened", _life(story), id_="happened"),
        section("Evidence", _evidence(asked.read, told), id_="evidence"),
        section("Suggested training data", _data(told), id_="data"),
        section("What the new model must prove", _gates(asked.read, story, told), id_="gates"),
        section("Pipeline", _pipeline(told), id_="pipeline"),
        actions.lately(
            asked.read, lambda one: getattr(one.command, "trigger_id", None) == story.id
        ),
        models=(story.model_id,),
        kinds=("trigger", "command"),
    )


def _action(told: Trigger) -> str:
    return "look at" if told.policy.action == "evaluate" else "retrain"


def _steps(story: Story) -> Html:
    """The way of a request, as far as it went."""
    went = [told.status for told in story.history]
    ways = list(dict.fromkeys(went))
    ways += [step for step in _PATH if step not in ways] if not story.ended else []
    return element(
        "ol",
        *(
            element(
                "li",
                pill(step, "trigger")
                if step in went
                else element("span", words(step), class_="quiet"),
                aria_current="step" if step == story.latest.status else None,
            )
            for step in ways
        ),
        class_="steps",
        aria_label="where it stands",
    )


def _facts(story: Story, told: Trigger) -> Html:
    policy, episode_id = told.policy, told.reason.episode_id
    facts: list[tuple[str, Content]] = [
        ("Asked", moment(story.since_ms)),
        ("Because of", words(told.reason.code)),
        ("Condition", policy.name or "–"),
        ("Priority", policy.priority),
        ("Approval", words(policy.approval) if policy.approval else "–"),
        ("Approvers", _names(policy.approvers) or "anybody"),
        ("Expires", "–" if policy.expires_at is None else moment(epoch_ms(policy.expires_at))),
        (
            "Not asked again before",
            "–" if policy.cooldown_until is None else moment(epoch_ms(policy.cooldown_until)),
        ),
        ("Owner", isolated(told.model.owner) if told.model.owner else "–"),
    ]
    if episode_id is not None:
        facts.insert(2, ("Episode", link("what happened", episode_path(episode_id))))
    if policy.dry_run:
        facts.append(("Dry run", "it is never approved"))
    if policy.suppressed_since_last:
        facts.append(("Held back before it", number(policy.suppressed_since_last)))
    if policy.previous_trigger_id is not None:
        facts.append(
            ("Before it", link("the previous one", trigger_path(policy.previous_trigger_id)))
        )
    return element("dl", *((element("div", element("dt", k), element("dd", v))) for k, v in facts))


# ---- what can be done


def _who(told: Trigger) -> Html | None:
    names = _names(told.policy.approvers)
    return element("p", "Only ", names, " may decide.", class_="meta") if names else None


def _names(found: list[str]) -> list[Content]:
    return [[", " if at else None, isolated(one)] for at, one in enumerate(found)]


def deciding(read: ReadModel, story: Story, told: Trigger) -> Html | None:
    """The buttons of a trigger, as far as its state has them."""
    about = {"model_id": story.model_id, "trigger_id": story.id}
    status = told.status.name
    # a status of a later release leads nowhere that we know of
    may = TRANSITIONS.get(status, ())  # type: ignore[call-overload]
    ended = f"it is {words(status)}"
    newest = max(
        answers.stories(read.triggers, story.model_id), key=lambda one: (one.since_ms, one.id)
    )
    old = "a newer one took its place" if newest.id != story.id else None
    dry = "retraining.guards.dry_run lets no retraining begin" if told.policy.dry_run else None

    def step(word: str, text: str, to: str, explains: str, **more: object) -> Action:
        why_not = more.pop("why_not", None) or old or (None if to in may else ended)
        return actions.of_trigger(
            read,
            word,
            text,
            explains,
            about,
            fields=(NOTE,),
            typed=f"leeway {word} {story.id}",
            why_not=why_not,
            **more,
        )

    return buttons(
        step("approve", "Approve", "approved", "The pipeline may start.", why_not=dry)
        if status == "requested"
        else None,
        step("reject", "Reject", "rejected", "It is not to be retrained for this.", grave=True)
        if status == "requested"
        else None,
        step(
            "cancel",
            "Cancel",
            "cancelled",
            "It is called off, begun or not. A pipeline that runs hears of it.",
            grave=True,
        ),
        _deployed(read, story, told)
        if status == "completed" and told.gates.decision != "reject"
        else None,
    )


def _deployed(read: ReadModel, story: Story, told: Trigger) -> Action:
    references = tuple(reversed(read.references.get(story.model_id, {})))
    return actions.of_trigger(
        read,
        "deployed",
        "Deployed",
        "Another version answers now: detectors begin anew, and the old version's problems end as retrained.",
        {"model_id": story.model_id, "trigger_id": story.id},
        fields=(
            Field("model_version", "Version", "as events name it", required=True, most=64),
            Field(
                "reference_id",
                "Reference",
                choices=(("", "that of the lifecycle"), *((one, one) for one in references)),
            ),
        ),
        typed=f"leeway deployed {story.model_id} VERSION --trigger {story.id}",
        grave=True,
    )


def _tick(read: ReadModel, story: Story, told: Trigger, check: str) -> Content:
    if check in told.gates.passed:
        return "ticked"
    by = _ticked(read, story, check)
    if by is not None:
        return f"ticked by {by}"
    ended = told.status.name in ("rejected", "cancelled", "failed")
    return buttons(
        actions.of_trigger(
            read,
            "tick_check",
            "Tick",
            f"Somebody made this check: {check}",
            {"model_id": story.model_id, "trigger_id": story.id, "check": check},
            typed=f'leeway tick {story.id} "{check}"',
            at_once=True,
            why_not="the request is over" if ended else None,
        )
    )


def _ticked(read: ReadModel, story: Story, check: str) -> str | None:
    """Who made a check before the run was over: until then only the command says so."""
    for one in read.commands.given.values():
        said, outcome = one.command, read.commands.outcome(one)
        if (
            isinstance(said, TickCheck)
            and (said.trigger_id, said.check) == (story.id, check)
            and outcome is not None
            and outcome.outcome == "applied"
        ):
            return one.by
    return None


# ---- what is known of it


def _life(story: Story) -> Html:
    steps = []
    for event in reversed(story.history):
        told = event.read_as(Trigger)
        steps.append(
            element(
                "li",
                element(
                    "p",
                    moment(event.at_ms),
                    " ",
                    pill(event.status, "trigger"),
                    f" by {told.status.by}" if told.status.by else None,
                ),
                element("p", isolated(told.status.note)) if told.status.note else None,
                class_=f"step-{event.status}",
            )
        )
    return element("ol", *steps, class_="timeline")


def _evidence(read: ReadModel, told: Trigger) -> Content:
    found, episode_id = told.evidence, told.reason.episode_id
    about = None
    if episode_id is not None:
        about = element(
            "p",
            link("The episode", episode_path(episode_id)),
            f" (alerts: {number(len(found.alert_ids))}, results: {number(len(found.result_ids))})"
            if answers.story(read.episodes, episode_id) is not None
            else " is no longer known here.",
        )
    if not found.signals:
        return about, element("p", "No measurement asked for it.", class_="empty")
    rows = [
        (
            element("b", one.series),
            f"{number(one.value)} ({number(one.low)} to {number(one.high)})",
            "–" if one.reference is None else number(one.reference),
            "–" if one.threshold is None else number(one.threshold),
            number(one.n_reference) if one.n_reference else "–",
            number(one.n_current),
        )
        for one in found.signals
    ]
    left = (
        element("p", f"And {number(found.truncated)} more.", class_="meta")
        if found.truncated > 0
        else None
    )
    head = ("Series", "Value", "Reference", "Threshold", "Of reference", "Of now")
    return about, table(head, rows, figures=(1, 2, 3, 4, 5), label="Evidence", stacks=True), left


def _data(told: Trigger) -> Content:
    window = told.training_window
    if window is None:
        return element("p", "None is suggested.", class_="empty")
    basis = {"change_point": "since the change", "lookback": "the newest data"}
    said = element(
        "p",
        moment(epoch_ms(window.start)),
        " to ",
        moment(epoch_ms(window.end)),
        f" ({basis.get(window.basis, words(window.basis))}): {number(window.records)} events, "
        f"{number(window.labelled)} with a label.",
    )
    rows = [
        (one.topic, str(one.partition), str(one.start), str(one.end), one.cluster_id)
        for one in window.offsets
    ]
    head = ("Topic", "Partition", "From offset", "To offset", "Cluster")
    return said, table(head, rows, figures=(1, 2, 3)) if rows else None


def _gates(read: ReadModel, story: Story, told: Trigger) -> Content:
    gates = told.gates
    if not gates.required and not gates.checks:
        return element("p", "The lifecycle names no gates.", class_="empty")
    rows: list[tuple[Content, ...]] = [
        (element("b", isolated(gate)), _bound(bound), _result(gates, gate), "")
        for gate, bound in gates.required.items()
    ]
    rows += [
        (
            element("b", isolated(check)),
            "a person checks",
            _result(gates, check),
            _tick(read, story, told, check),
        )
        for check in gates.checks
    ]
    decision = None
    if gates.decision is not None:
        words_ = _DECISIONS.get(gates.decision, "")
        decision = element("p", pill(gates.decision, "decision"), f" {words_}", class_="because")
    return decision, table(("Gate", "Must be", "Result", ""), rows, label="Gates", stacks=True)


def _bound(bound: dict[str, float | str]) -> str:
    names = {"min": "at least", "max": "at most", "segment": "in"}
    return ", ".join(f"{names.get(key, words(key))} {value}" for key, value in bound.items())


def _result(gates: Gates, gate: str) -> Html:
    if gate in gates.passed:
        return pill("passed", "gate")
    if gate in gates.failed:
        return pill("failed", "gate")
    return pill("missing" if gate in gates.missing else "not yet", "gate")


def _pipeline(told: Trigger) -> Content:
    found = told.pipeline
    facts: list[tuple[str, Content]] = [("Location", found.location or "–")]
    facts += [("Data", ", ".join(found.data_sources))] if found.data_sources else []
    facts += list(found.params.items())
    if told.model.training_data_snapshot:
        facts.append(("Trained on", told.model.training_data_snapshot))
    links = [element("li", link(one.text, one.href)) for one in told.links]
    listed = element("dl", *(element("div", element("dt", k), element("dd", v)) for k, v in facts))
    return listed, element("ul", *links) if links else None


TRIGGER = Page("/triggers/{id}", (), trigger)
