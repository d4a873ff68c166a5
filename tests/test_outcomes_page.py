"""Does `docs/outcomes.md` show what the commands of its example really print and publish?"""

import csv
import re
import shlex
from collections.abc import Mapping
from contextlib import chdir, redirect_stdout
from functools import cache
from io import StringIO
from math import exp, log
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from streams.cli import main
from tests.test_documentation import EXAMPLE, blocks, shown, text_of

DAY_S, START_S = 86_400, 1_772_409_600  # 2026-03-02T00:00:00Z, a Monday
A_DAY = 400
CHANGED = 6  # the day from which on tenants behave otherwise
PAGE = "outcomes.md"
COMMANDS = re.compile(r"(<!-- example: commands -->\n```text\n)(.*?)(^```)", re.M | re.S)


def rows(first: int, last: int, *, seed: int) -> list[dict[str, Any]]:
    """Customers by day; the model knows how likely each is to leave, until tenants change."""
    draw, found = Random(seed), []
    for day in range(first, last):
        for n in range(A_DAY):
            at_s = START_S + day * DAY_S + n * DAY_S // A_DAY
            tenure, home = round(draw.expovariate(1 / 400)), draw.choice(("own", "rent", "rent"))
            chance = 1 / (1 + exp(1.6 * log((tenure + 30) / 300)))
            leaves = chance if day < CHANGED or home == "own" else 1 - chance
            found.append(
                {
                    "event_id": f"c{day}-{n}",
                    "model_id": "churn",
                    "model_version": "1.0.0",
                    "timestamp": at_s * 1000,
                    "prediction": "leaves" if chance > 0.5 else "stays",
                    "score": round(chance, 4),
                    "tenure_days": tenure,
                    "home": home,
                    "label": "leaves" if draw.random() < leaves else "stays",
                    "label_timestamp": (at_s + draw.randrange(2, 30) * 3600) * 1000,
                }
            )
    return found


def write(path: Path, table: list[dict[str, Any]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(table)


@cache
def played() -> tuple[str, dict[str, str]]:
    """What the commands of the page print, and what is published, by the names of its examples."""
    text = text_of(PAGE)
    (lifecycle,) = (
        b.text for b in blocks(text) if b.language == "yaml" and "model_lifecycle" in b.text
    )
    found = COMMANDS.search(text)
    assert found is not None
    typed = [line for line in found[2].splitlines() if line.startswith("$ leeway ")]
    with TemporaryDirectory() as folder, chdir(folder), redirect_stdout(StringIO()) as out:
        Path("churn.yaml").write_text(lifecycle)
        write(Path("past.csv"), rows(-32, 0, seed=1))
        write(Path("now.csv"), rows(0, 10, seed=2))
        for line in typed:
            out.write(f"{line}\n")
            assert main(shlex.split(line.removeprefix("$ leeway "))) == 0
        published = {
            name: records(Path("found"), name) for name in ("results", "alerts", "retraining")
        }
    printed = "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"
    return printed, {name: shown(value) for name, value in pieces(published).items()}


def records(folder: Path, topic: str) -> list[dict[str, Any]]:
    lines = (folder / f"leeway.{topic}.jsonl").read_bytes().splitlines()
    return [msgspec.json.decode(line)["value"] for line in lines]


def pieces(published: Mapping[str, list[dict[str, Any]]]) -> dict[str, object]:
    """The parts of messages that the page shows."""
    alert = next(a for a in published["alerts"] if a["kind"] == "concept_drift")
    result = next(
        r for r in published["results"] if r["result_id"] == alert["evidence"]["result_id"]
    )
    day = [
        r
        for r in published["results"]
        if r["scope"] == "matured" and r["window"]["start"].startswith(f"2026-03-{2 + CHANGED:02}")
    ]
    trigger = published["retraining"][0]
    return {
        "window": taken(result, "scope", "window", "verdict", "reason", "alarm")
        | {
            "metrics": taken(
                result["metrics"],
                "accuracy",
                "recall",
                "auc",
                "accuracy_estimated",
                "label_coverage",
                "label_lag",
            )
        }
        | taken(result, "confusion", "slices"),
        "days": [
            taken(r, "scope", "revision", "verdict", "reason")
            | {"window": taken(r["window"], "start", "events")}
            | {"metrics": taken(r["metrics"], "accuracy", "label_coverage")}
            for r in day
        ],
        "alert": taken(
            alert,
            "change",
            "kind",
            "severity",
            "title",
            "summary",
            "since",
            "affected",
            "cause",
            "evidence",
        ),
        "trigger": taken(trigger, "status", "reason", "training_window"),
    }


def taken(document: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: document[name] for name in names}


def test_the_commands_of_the_example_print_what_the_page_shows() -> None:
    found = COMMANDS.search(text_of(PAGE))
    assert found is not None
    assert found[2] == played()[0], "python -m tests.test_outcomes_page writes it anew"


def test_what_the_example_publishes_is_what_the_page_shows() -> None:
    examples = {name: text for _, name, text, _ in EXAMPLE.findall(text_of(PAGE))}
    assert examples.pop("commands") + "\n" == played()[0]
    assert examples == played()[1], "python -m tests.test_outcomes_page writes them anew"


def write_examples() -> None:
    """Put what the commands say today into the page."""
    printed, found = played()
    page = Path(__file__).resolve().parent.parent / "docs" / PAGE
    found = {"commands": printed.rstrip("\n")} | found
    text = page.read_text("utf-8")
    text = EXAMPLE.sub(lambda m: m[1] + found.get(m[2], "no such example") + m[4], text)
    page.write_text(text, "utf-8")


if __name__ == "__main__":
    write_examples()
