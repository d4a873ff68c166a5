"""What do our documents look like to others? One JSON Schema (2020-12) each: `python -m streams.schemas`."""

from pathlib import Path
from typing import Any

import msgspec

from alerting.types import Alert, Notification, Trigger
from streams.commands import Command, CommandOutcome
from streams.messages import ResultDocument

DOCUMENTS: dict[str, Any] = {
    "alert": Alert,
    "command": Command,
    "command-outcome": CommandOutcome,
    "notification": Notification,
    "result": ResultDocument,
    "trigger": Trigger,
}
FOLDER = Path(__file__).resolve().parent.parent / "schemas"


def schema(name: str) -> bytes:
    """The schema of one of `DOCUMENTS`, as its file holds it."""
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:leeway:schema:{name}:v1",
    }
    document = head | msgspec.json.schema(DOCUMENTS[name])
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def main() -> None:
    for name in DOCUMENTS:
        (FOLDER / f"{name}.json").write_bytes(schema(name))


if __name__ == "__main__":
    main()
