"""What do our messages look like to others? One JSON Schema each, and an index: `python -m streams.schemas`."""

from pathlib import Path

from streams.contracts.documents import DOCUMENTS
from streams.contracts.schemas import schema

__all__ = ["DOCUMENTS", "FOLDER", "main", "schema"]

FOLDER = Path(__file__).resolve().parent.parent / "schemas"


def main() -> None:
    """Write them all."""
    for name in DOCUMENTS:
        (FOLDER / f"{name}.json").write_bytes(schema(name))


if __name__ == "__main__":
    main()
