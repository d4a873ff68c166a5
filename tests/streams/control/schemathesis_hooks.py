"""What no schema can say of a request; Schemathesis loads this file by name."""

from typing import Any

import schemathesis


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """A cursor is the `next` of an earlier answer, and the key of a command is the id in its body."""
    cursor = (case.query or {}).get("cursor")
    if isinstance(cursor, str) and len(cursor) <= 1_000:
        del case.query["cursor"]
    if case.headers and "Idempotency-Key" in case.headers:
        del case.headers["Idempotency-Key"]
