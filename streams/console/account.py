"""What happened in an episode, and why do we think so? What moved, every transition with its evidence, who was told."""

from alerting.deliver.items import Delivery
from alerting.identity import rfc3339
from streams.console.html import Content, Html, element, isolated, link
from streams.console.meaning import CHANGES, HELD, INHIBITED, RESOLVED, SILENCED, STATES
from streams.console.parts import episode_path, moment, name, pill, series_path, table
from streams.console.wording import effect, number, percent, times, words
from streams.views import answers
from streams.views.asked import Asked
from streams.views.documents import Affected, Alert, epoch_ms
from streams.views.read import ReadModel, Story, Told

MOST_CULPRITS = 10


# ---- what moved


def culprits(story: Story, alert: Alert, first: Alert) -> Content:
    if not alert.affected:
        return element("p", "No single series is to blame.", class_="empty")
    rows = [_culprit(story, one, rfc3339(epoch_ms(first.at))) for one in alert.affected]
    left = alert.affected_total - min(len(rows), MOST_CULPRITS)
    return (
        table(
            ("Series", "Share of the change", "Effect", "Floor or limit", "Missing", "Most moved"),
            rows[:MOST_CULPRITS],
            figures=(1, 3),
            label="What moved",
            stacks=True,
        ),
        element("p", f"And {number(left)} more.", class_="meta") if left > 0 else None,
    )


def _culprit(story: Story, one: Affected, window: str) -> tuple[Content, ...]:
    moved = [
        f"{cell.bin} of {cell.of}: {percent(cell.reference)} → {percent(cell.current)}"
        for cell in one.top_bins[:2]
    ]
    missing = "–"
    if one.missing is not None:
        missing = f"{percent(one.missing.reference)} → {percent(one.missing.current)}"
    return (
        _to_series(story, one.series, window),
        percent(one.share_of_change) if one.share_of_change else "–",  # a rule has none
        "–" if one.effect is None else element("span", effect(one.effect), class_="whole"),
        "–" if one.effect is None else number(one.effect.floor),
        element("span", missing, class_="whole"),
        [element("span", text, class_="whole line") for text in moved] or "–",
    )


def _to_series(story: Story, series: str, window: str) -> Html:
    """A link to the page of a series in the window the episode opened in; what is no series has no page."""
    kind, colon, _ = series.partition(":")
    if colon and kind != "feature":
        return element("b", name(series))
    query = {"segment": story.segment, "window": window}
    if story.version:
        query["version"] = story.version
    return link(name(series), series_path(story.model_id, series, **query))


# ---- what happened


def timeline(read: ReadModel, story: Story) -> Html:
    return element(
        "ol", *(_step(read, told) for told in reversed(story.history)), class_="timeline"
    )


def _step(read: ReadModel, told: Told) -> Html:
    alert = told.read_as(Alert)
    why = (
        f": {RESOLVED.get(alert.resolve_reason, words(alert.resolve_reason))}"
        if alert.resolve_reason
        else ""
    )
    return element(
        "li",
        element(
            "p",
            moment(told.at_ms),
            " ",
            element("b", CHANGES.get(told.word, words(told.word)), why),
            " ",
            pill(told.severity, "severity"),
            " ",
            pill(alert.verdict, "verdict") if alert.verdict else None,
        ),
        element("p", isolated(alert.summary)) if alert.summary else None,
        element("p", _evidence(alert), class_="meta"),
        _heard(read, alert),
        class_=f"severity-{told.severity} change-{told.word if told.word in CHANGES else 'other'}",
    )


def _evidence(alert: Alert) -> str:
    found, said = alert.evidence, []
    if found.log_threshold:
        ratio = max(found.log_statistic or 0.0, 0.0) / found.log_threshold
        said.append(f"alarm at {times(ratio)} of its threshold")
    lead = alert.affected[0] if alert.affected else None
    if lead is not None and lead.effect is not None:
        line = "floor" if lead.share_of_change else "limit"
        said.append(f"{lead.series} {effect(lead.effect)}, {line} {number(lead.effect.floor)}")
    if found.n_current is not None:
        of = f" against {number(found.n_reference)}" if found.n_reference is not None else ""
        said.append(f"{number(found.n_current)} events{of}")
    if found.budget:
        said.append(f"false alarms at most {found.budget}")
    return "; ".join(said) or "no numbers are known"


def _heard(read: ReadModel, alert: Alert) -> Html:
    """Who was to hear of a transition, or why nobody was told."""
    kept, names = alert.delivery, ", ".join(alert.delivery.receivers)
    lines: list[Content] = []
    if kept.silenced_by is not None:
        lines.append([link("Silenced", f"/silences#{kept.silenced_by}"), f": {SILENCED}."])
    if kept.held is not None:
        why = HELD.get(kept.held, "")  # type: ignore[call-overload]  # a later release's
        lines.append(
            f"Held back ({words(kept.held)}): {why}." if why else f"Held back: {words(kept.held)}."
        )
    if kept.inhibited_by is not None:
        other = answers.story(read.episodes, kept.inhibited_by)
        about = words(other.kind) if other is not None else "another episode"
        lines.append(
            ["Explained by ", link(about, episode_path(kept.inhibited_by)), f": {INHIBITED}."]
        )
    if lines:
        lines.append("It is a line of the day's digest.")
        return element("div", *(element("p", line, class_="quiet") for line in lines))
    return element(
        "p",
        f"For {names}." if names else "For nobody: it is here and on its topic.",
        class_="quiet",
    )


# ---- who was told


def deliveries(asked: Asked, story: Story, alert: Alert) -> Content:
    found = sorted(
        (one for one in asked.read.deliveries.values() if one.episode_id == story.id),
        key=lambda one: one.receiver,
    )
    known = {one.receiver for one in found}
    waiting = sorted({*alert.delivery.receivers} - known) if alert.delivery.reason is None else []
    note = None
    if waiting:
        note = element("p", f"Nothing is on record yet for {', '.join(waiting)}.", class_="meta")
    if not found:
        return note or element("p", "Nobody was sent anything.", class_="empty")
    head = (
        "Receiver",
        "Last news",
        "State",
        "Arrived so far",
        "Attempts",
        "When",
        "Last error",
        "Next attempt",
    )
    rows = [_delivery(one) for one in found]
    return table(head, rows, figures=(4,), label="Who was told", stacks=True), note


def _delivery(one: Delivery) -> tuple[Content, ...]:
    instead = f" ({one.fallback} instead)" if one.fallback else ""
    return (
        [isolated(one.receiver), element("span", f" {one.channel}", class_="quiet")],
        f"{words(one.change)}, {one.severity}",
        [pill(one.state, "delivery"), " ", STATES.get(one.state, ""), instead],
        f"to no. {one.told}" if one.told else ("perhaps" if one.reached else "nothing"),
        number(one.attempts),
        moment(one.at_ms, short=True),
        name(words(one.last_error)) if one.last_error else "–",
        "–" if one.next_attempt_ms is None else moment(one.next_attempt_ms, short=True),
    )
