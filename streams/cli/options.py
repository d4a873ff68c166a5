"""Options that several commands take, described once."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["KindOption", "ReferencesOption", "SourceOption", "WhereOption"]

SourceOption = Annotated[
    str,
    typer.Option(metavar="SOURCE", help="Parquet, CSV or JSON lines (perhaps .gz), or topic:NAME"),
]
WhereOption = Annotated[
    list[str] | None,
    typer.Option(metavar="COLUMN=VALUE", help="keep only such rows; may be repeated"),
]
KindOption = Annotated[
    str | None,
    typer.Option(metavar="KIND", help="predictions or features; else told by the fields"),
]
ReferencesOption = Annotated[
    list[Path] | None,
    typer.Option(metavar="FILE", help="default: MODEL_ID.reference.json beside each lifecycle"),
]
