"""Do the pages on alerts and retraining say who hears what, and what a trigger goes through, as the code has it?"""

from pathlib import Path
from typing import get_args

import yaml

from alerting.digest import TITLES
from alerting.notify import EXPIRES_AFTER_SECONDS
from alerting.routing import DEFAULTS, REPEAT_MS
from alerting.settings import HOUR_MS
from alerting.transitions import TRANSITIONS
from alerting.types import Held
from streams.service import load_service
from tests.test_documentation import blocks, rows, text_of


def test_the_table_of_kinds_is_that_of_the_code() -> None:
    told = {kind: tuple(of) for kind, *of in rows(text_of("alerts.md"), "What is told")[:9]}
    assert told == {
        kind: (of.drifting, of.severe, "yes" if of.pages else "no") for kind, of in DEFAULTS.items()
    }


def test_the_table_of_severities_is_that_of_the_code() -> None:
    for severity, _, again, late in rows(text_of("alerts.md"), "What is told")[9:]:
        repeat = REPEAT_MS[severity]  # type: ignore[index]
        assert again == ("never" if repeat is None else f"{repeat // HOUR_MS} h")
        assert late == f"{EXPIRES_AFTER_SECONDS[severity] // 3600} h"  # type: ignore[index]


def test_every_reason_that_keeps_a_message_back_is_told_of() -> None:
    told = {row[0].strip("`") for row in rows(text_of("alerts.md"), "What keeps a message back")}
    assert told == {"inhibited_by", "silenced_by", *(f"held: {why}" for why in get_args(Held))}


def test_the_sections_of_the_digest_are_in_its_order() -> None:
    told = [section for section, _ in rows(text_of("alerts.md"), "The digest")]
    assert told == list(TITLES.values())


def test_the_example_of_routing_is_a_service_file(tmp_path: Path) -> None:
    (example,) = (b.text for b in blocks(text_of("alerts.md")) if b.language == "yaml")
    file = tmp_path / "leeway.yaml"
    file.write_text(example)
    service = load_service(file, {"SLACK_TOKEN": "t", "PAGERDUTY_KEY": "k"})
    assert [receiver.name for receiver in service.receivers] == ["slack", "pagerduty", "risk"]
    assert len(service.routing) == len(yaml.safe_load(example)["routing"])


def test_the_life_of_a_trigger_is_that_of_the_code() -> None:
    found = rows(text_of("retraining.md"), "Its life")
    told = {status: tuple(filter(None, following.split(", "))) for status, following, _ in found}
    assert told == TRANSITIONS
