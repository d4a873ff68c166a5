"""What came in and could not be used, why, and what is to be done? Dead letters by reason; never their content."""

from collections import Counter

from streams.console.html import Content, Html, element, link
from streams.console.lists import PER_PAGE, address, chosen, paging
from streams.console.parts import Page, filters, moment, pill, screen, section, select, table
from streams.console.wording import number, words
from streams.views.asked import Asked
from streams.views.rejected import Rejection

# what docs/messages.md says of each, and what to do; a test holds them to the code
REASONS: dict[str, tuple[str, str]] = {
    "empty": ("the value is null or has no bytes", "see why the producer writes nothing"),
    "too_large": ("it has more than 1 MiB", "send fewer fields; a prediction needs a few KiB"),
    "not_json": ("it is not UTF-8, or not JSON", "see the producer's serializer"),
    "too_deep": ("it nests deeper than 32 levels", "send flat fields"),
    "not_object": ("it is JSON, but no object", "send one object for each prediction"),
    "model_id": (
        "it is missing, not text, or no legal name",
        "set model_id, or source.fields in the lifecycle",
    ),
    "timestamp_missing": (
        "there is no timestamp",
        "set timestamp, or source.fields in the lifecycle",
    ),
    "timestamp_type": ("it is no time", "send milliseconds or RFC 3339"),
    "timestamp_unit": (
        "the number is outside 1971 to 2099",
        "see source.timestamp_unit; the message says which unit it looks like",
    ),
    "timestamp_zone": ("the text has no offset", "end it with Z or an offset"),
    "label_incomplete": (
        "a label without its value, or without what it belongs to",
        "send label or loss, and an event_id",
    ),
    "cloudevent": (
        "an attribute is missing or wrong, or the data are no JSON",
        "see the producer, and source.format in the lifecycle",
    ),
    "schema_missing": (
        "no schema is named, neither before the value nor in a header",
        "see the producer's serializer, and source.format in the lifecycle",
    ),
    "schema_unknown": (
        "the schema registry has no schema of that number",
        "see which registry the producer uses",
    ),
    "schema_type": (
        "the schema is of another kind than the format, or is none",
        "set source.format in the lifecycle to what is sent",
    ),
    "not_avro": ("the bytes are none of that schema", "see the producer's serializer"),
    "timestamp_future": ("it is further ahead than max_ahead allows", "see the producer's clock"),
}
_OTHER = ("a receiver or a later release said so", "read the message below")


def dead_letters(asked: Asked) -> str:
    """How many there were of each reason and topic, and the newest."""
    known = asked.read.rejected
    reasons = sorted({reason for _, reason in known.counts})
    topics = sorted({topic for topic, _ in known.counts})
    reason, topic = chosen(asked, "reason"), chosen(asked, "topic")
    found = known.newest(reason, topic)
    shown, following = asked.part(
        found, lambda one: (one.at_ms, one.partition, one.offset), usual=PER_PAGE
    )
    return screen(
        asked,
        "Dead letters",
        "/dead-letters",
        element("h1", "Dead letters"),
        element(
            "p",
            "What could not be used, byte for byte on its own topic. Only where it came from is shown here.",
            class_="because",
        ),
        section("Reasons", _reasons(asked), id_="reasons"),
        filters(select("reason", "Reason", reasons, reason), select("topic", "Topic", topics, topic)),
        section("The newest", _listed(shown), paging(asked, "/dead-letters", following), id_="newest"),
        section("To do", _commands(), id_="do"),
        models=(),
        kinds=("dead-letter",),
    )  # fmt: skip


def _reasons(asked: Asked) -> Html:
    counts = asked.read.rejected.counts
    if not counts:
        return element("p", "Nothing was rejected.", class_="empty")
    totals: Counter[str] = Counter()
    for (_, reason), count in counts.items():
        totals[reason] += count
    rows = []
    for reason, count in sorted(totals.items(), key=lambda one: (-one[1], one[0])):
        what, to_do = REASONS.get(reason, _OTHER)
        of = sorted(
            ((n, topic) for (topic, why), n in counts.items() if why == reason), reverse=True
        )
        rows.append(
            (
                link(reason, address("/dead-letters", {"reason": reason})),
                number(count),
                ", ".join(f"{topic}: {number(n)}" for n, topic in of),
                what,
                to_do,
            )
        )  # fmt: skip
    return table(
        ("Reason", "How many", "Topics", "Means", "What to do"),
        rows,
        figures=(1,),
        label="Reasons",
        stacks=True,
    )


def _listed(shown: list[Rejection]) -> Content:
    if not shown:
        return element("p", "None is remembered.", class_="empty")
    rows = [
        (
            moment(one.at_ms, short=True),
            element("b", one.reason),
            one.message if one.message != one.reason else "–",
            element("code", str(one.origin)),
            f"{number(one.size)} B" + (" (cut)" if one.truncated else ""),
            f"{one.group} {words(one.stage)}".strip() or "–",
            pill("again", "replayed") if one.replayed_ms is not None else "–",
        )
        for one in shown
    ]
    head = ("At", "Reason", "Message", "Topic/partition/offset", "Size", "By", "Sent again")
    return table(head, rows, figures=(4,), label="The newest", stacks=True)


def _commands() -> Html:
    lines = (
        ("leeway dead-letters list", "lists them, with --reason, --topic and --since"),
        ("leeway dead-letters replay --dry-run", "says what would be sent again"),
        ("leeway dead-letters replay", "sends them to their topics again, each once, when the cause is repaired"),
    )  # fmt: skip
    return element(
        "ul", *(element("li", element("code", line), f": {does}") for line, does in lines)
    )


DEAD_LETTERS = Page("/dead-letters", ("reason", "topic", "limit", "cursor"), dead_letters)
