"""Is what docs/init.md shows what `leeway init` does? `python -m tests.test_init_page` writes it anew."""

import json
import re
from contextlib import chdir, redirect_stderr
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from streams.cli import main
from streams.offline.drafting.words import FIELDS, OBJECTS

PAGE = Path(__file__).resolve().parent.parent / "docs" / "init.md"
TYPED = "leeway init scored.jsonl --model loan-default --out loans.yaml"
BLOCK = re.compile(r"(<!-- init: (\w+) -->\n```\w+\n)(.*?)(```)", re.S)
NAMES = re.compile(r"(<!-- init: names -->\n)(.*?)(\n\n\*)", re.S)
MOST_NAMES = 6


def event(draw: Random, i: int) -> str:
    """What a scoring service of somebody else's writes."""
    risk = draw.betavariate(2, 6)
    at = datetime(2026, 3, 2, tzinfo=UTC) + timedelta(seconds=40 * i)
    document = {
        "meta": {
            "request_id": f"{draw.getrandbits(40):010x}",
            "at": at.isoformat(timespec="milliseconds"),
            "model": "2.3.1",
            "took_ms": round(draw.gammavariate(4, 4), 1),
            "channel": draw.choice(("web", "web", "app")),
        },
        "applicant": {
            "customer_id": f"c-{draw.randrange(10**7)}",
            "annual_income": round(draw.lognormvariate(10.6, 0.4), -1),
            "home": draw.choice(("rent", "own", "mortgage")),
            "postcode": f"{draw.randrange(10000, 99999)}"[:2],
            "dependants": draw.randrange(5),
            "debt": round(draw.random(), 3) if draw.random() < 0.96 else None,
        },
        "decision": {
            "output": "default" if risk > 0.35 else "repaid",
            "p_default": round(risk, 3),
        },
    }
    return json.dumps(document)


def drafted() -> dict[str, str]:
    """The blocks of the page, by name."""
    draw, said = Random(7), StringIO()
    events = [event(draw, i) for i in range(2_000)]
    with TemporaryDirectory() as folder, chdir(folder), redirect_stderr(said):
        Path("scored.jsonl").write_text("\n".join(events) + "\n")
        assert main(TYPED.split()[1:]) == 0
        assert main(["check", "loans.yaml"]) == 0
        text = Path("loans.yaml").read_text()
    return {
        "event": events[0] + "\n",
        "typed": TYPED + "\n",
        "said": said.getvalue(),
        "draft": text,
    }


def names() -> str:
    """The table of names: the likeliest of each field."""
    rows = ["| ours | found as |", "|---|---|"]
    for field, known in {**FIELDS, **OBJECTS}.items():
        others = [f"`{name}`" for name in known if name != field.replace("_", "")]
        if others:
            more = ", …" if len(others) > MOST_NAMES else ""
            rows.append(f"| `{field}` | {', '.join(others[:MOST_NAMES])}{more} |")
    return "\n".join(rows)


def renewed(text: str) -> str:
    found = drafted()
    text = BLOCK.sub(lambda m: m[1] + found[m[2]] + m[4], text)
    return NAMES.sub(lambda m: m[1] + names() + m[3], text)


def test_the_page_shows_what_is_drafted_and_recognised() -> None:
    text = PAGE.read_text("utf-8")
    assert text == renewed(text), "python -m tests.test_init_page writes it anew"
    assert {name for _, name, _, _ in BLOCK.findall(text)} == {"event", "typed", "said", "draft"}


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text("utf-8")), "utf-8")
