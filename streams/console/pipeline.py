"""Is Leeway itself well? Each role, how far it is behind, what came in and what was lost, and what waits to be sent."""

from collections import Counter

from alerting.wording import duration
from streams.console.html import Content, Html, element, link
from streams.console.lists import address
from streams.console.parts import Page, moment, picture, pill, screen, section, table
from streams.console.pictures.lines import together
from streams.console.wording import ago, number, sentence, words
from streams.views import answers
from streams.views.asked import Asked
from streams.views.flow import flow
from streams.views.vitals import RoleVitals

_DOES = {
    "profiler": "reads events and counts them",
    "joiner": "joins labels to predictions",
    "judge": "judges windows",
    "control": "serves this page and sends messages",
}
_MOST_NAMES = 20


def pipeline(asked: Asked) -> str:
    """How the pipeline is. Unknown is said where it is unknown."""
    return screen(
        asked,
        "Pipeline",
        "/pipeline",
        element("h1", "Pipeline"),
        element("p", _summary(asked), class_="because", id="summary"),
        section("Roles", _roles(asked), id_="roles"),
        section("Throughput", *_throughput(asked), id_="throughput"),
        section("How far behind", _lag(asked), id_="lag"),
        section("What came in", _sources(asked), _unregistered(asked), id_="sources"),
        section("Delivery", _delivery(asked), id_="delivery"),
        section("What control has read", _reading(asked), id_="reading-control"),
        kinds=("pipeline", "result", "delivery", "dead-letter"),
        pictures=True,
    )


def _summary(asked: Asked) -> str:
    """The worst of it, in one sentence."""
    bad: dict[str, list[str]] = {}
    for one in asked.vitals.roles:
        if one.needed and one.state not in ("working", "waiting"):
            bad.setdefault(one.state, []).append(one.role)
    said = [f"{state}: {', '.join(roles)}" for state, roles in sorted(bad.items())]
    if not asked.ready:
        said.insert(0, "control is still reading the log")
    resting = sorted(name for name, rests in asked.delivering.circuits.items() if rests)
    if resting:
        said.append(f"receivers that cannot be reached: {', '.join(resting)}")
    return sentence("; ".join(said)) if said else "Every role that is needed works."


def _throughput(asked: Asked) -> tuple[Content, ...]:
    lines = flow(asked.read)
    if not lines:
        return (element("p", "No window has been judged yet.", class_="empty"),)
    events, late = (int(line.value.sum()) for line in lines)
    said = f"{number(events)} events in 24 hours, and {number(late)} that came after their window was judged."
    drawn = together(
        lines[:1],
        picture_id="picture-throughput",
        title="Events per hour",
        names={"events": "events"},
        note="Of all models, by the hour their windows end in, up to the newest window.",
    )
    return element("p", said), picture(drawn)


def _roles(asked: Asked) -> Content:
    vitals = asked.vitals
    rows = [
        (
            element("b", one.role),
            pill(one.state, "role"),
            one.because,
            "unknown" if one.members is None else number(one.members),
            "unknown" if one.lag is None else number(one.lag),
            _DOES.get(one.role, ""),
        )
        for one in vitals.roles
    ]
    at = vitals.as_of_ms
    said = (
        "Nobody has been asked yet."
        if at is None
        else ["As of ", moment(at), f", {ago(asked.now_ms - at)}."]
    )
    head = ("Role", "State", "Because", "Processes", "Records that wait", "What it does")
    listed = table(head, rows, figures=(3, 4), label="Roles", stacks=True)
    return listed, element("p", said, class_="meta")


def _lag(asked: Asked) -> Content:
    rows = [row for role in asked.vitals.roles for row in _of_role(role)]
    if not rows:
        return element("p", "Unknown: no role's place on its topics is known.", class_="empty")
    return table(
        ("Role", "Topic", "Partition", "Read to", "Ends at", "Waits"), rows, figures=(2, 3, 4, 5)
    )


def _of_role(role: RoleVitals) -> list[tuple[Content, ...]]:
    return [
        (
            role.role,
            share.topic,
            str(share.partition),
            "never" if share.committed is None else number(share.committed),
            number(share.end),
            number(share.lag),
        )
        for share in role.topics
    ]


def _sources(asked: Asked) -> Content:
    read = asked.read
    found = answers.intake_documents(read)
    if not found:
        return element("p", "Nothing was reported yet.", class_="empty")
    rows = []
    for item in found:
        rows.append(
            (
                element("b", item["topic"]),
                number(item["events"]),
                _rejected(item["dead_letters"]),
                number(item["unregistered"]),
            )
        )
    head = ("Topic", "Events", "Rejected", "Of unregistered models")
    times = sorted(at for at, _ in read.intakes.values())
    seen: list[Content] = [moment(times[-1])]
    if times[0] != times[-1]:
        seen = [moment(times[0], short=True), " (the partition furthest behind) to ", *seen]
    return (
        table(head, rows, figures=(1, 3), label="Sources", stacks=True),
        element("p", "Event time is judged up to ", *seen, ".", class_="meta"),
    )


def _rejected(counts: dict[str, int]) -> Content:
    links = [
        link(f"{number(n)} {words(why)}", address("/dead-letters", {"reason": why}))
        for why, n in sorted(counts.items())
    ]
    return [[", " if at else None, one] for at, one in enumerate(links)] or "none"


def _unregistered(asked: Asked) -> Html | None:
    found = answers.unregistered(asked.read)
    if not found:
        return None
    rows = [(one["model_id"], one["topic"], number(one["events"])) for one in found[:_MOST_NAMES]]
    left = len(found) - len(rows)
    return element(
        "div",
        element("h3", "Not registered"),
        element(
            "p",
            "Events of these models are skipped until leeway apply registers them.",
            class_="meta",
        ),
        table(
            ("Model", "Topic", "Events"), rows, figures=(2,), label="Not registered", stacks=True
        ),
        element("p", f"And {number(left)} more.", class_="meta") if left else None,
    )


def _delivery(asked: Asked) -> Content:
    delivering, read = asked.delivering, asked.read
    states: dict[str, Counter[str]] = {}
    for one in read.deliveries.values():
        states.setdefault(one.receiver, Counter())[one.state] += 1
    names = sorted({*delivering.circuits, *delivering.oldest_ms, *states})
    kept = ", ".join(
        f"{number(n)} {words(why)}"
        for why, n in sorted((read.suppressed + Counter(delivering.suppressed)).items())
    )
    said = element("p", f"Kept back: {kept}." if kept else "Nothing was kept back.", class_="meta")
    if not names:
        return element("p", "No receiver is set up, or nothing was sent yet.", class_="empty"), said
    rows = []
    for name in names:
        oldest, of = delivering.oldest_ms.get(name), states.get(name, Counter())
        circuit = delivering.circuits.get(name)
        rows.append(
            (
                element("b", name),
                "unknown"
                if circuit is None
                else pill("resting" if circuit else "open", "receiver"),
                number(of["sent"]),
                number(of["waiting"]),
                "–" if oldest is None else duration(max(asked.now_ms - oldest, 0)),
                ", ".join(
                    f"{number(n)} {words(state)}"
                    for state, n in sorted(of.items())
                    if state not in ("sent", "waiting")
                )
                or "none",
            )
        )
    head = ("Receiver", "State", "Told", "Waiting", "Oldest waits for", "Not told")
    return table(head, rows, figures=(2, 3), label="Delivery", stacks=True), said


def _reading(asked: Asked) -> Content:
    rows = [
        (topic, str(partition), number(position), number(end), number(max(end - position, 0)))
        for (topic, partition), position, end in asked.reading
    ]
    broken = [
        element("li", f"{topic}: ", ", ".join(f"{number(n)} {why}" for why, n in of.items()))
        for topic, of in sorted(asked.read.unreadable.items())
    ]
    return (
        element(
            "p",
            "Everything that was written before the start was read."
            if asked.ready
            else "What was written before the start is still being read.",
        ),
        table(("Topic", "Partition", "Read to", "Ends at", "Waits"), rows, figures=(1, 2, 3, 4))
        if rows
        else element("p", "Unknown: no partition is assigned yet.", class_="empty"),
        [element("h3", "Records that cannot be read"), element("ul", *broken)] if broken else None,
    )


PIPELINE = Page("/pipeline", (), pipeline)
