"""What is wrong with a request? One exception, told as RFC 9457 says."""

from dataclasses import dataclass, field
from typing import Any

TITLES = {
    "bad_request": (400, "The request cannot be understood"),
    "unauthenticated": (401, "A token is needed"),
    "forbidden": (403, "This is not allowed"),
    "not_found": (404, "There is no such thing"),
    "method_not_allowed": (405, "This cannot be done here"),
    "conflict": (409, "This id stands for something else"),
    "too_large": (413, "The body is too large"),
    "unsupported": (415, "The body is of another type than expected"),
    "invalid_command": (422, "This is not a command"),
    "too_many": (429, "Too much at a time"),
    "failed": (500, "Something failed here"),
    "not_ready": (503, "This cannot be answered yet"),
}


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong, in RFC 9457's `errors`."""

    path: str
    expected: str
    got: str | None = None


@dataclass(slots=True)
class Problem(Exception):
    """A request that cannot be answered; `name` is one of `TITLES`."""

    name: str
    detail: str
    errors: tuple[Mistake, ...] = field(default=())

    @property
    def status(self) -> int:
        return TITLES[self.name][0]

    @property
    def title(self) -> str:
        return TITLES[self.name][1]

    def document(self, instance: str) -> dict[str, Any]:
        """The body of the answer.

        >>> Problem("not_found", "no model is called x").document("/api/v1/models/x")["type"]
        'urn:leeway:problem:not_found'
        """
        return {
            "type": f"urn:leeway:problem:{self.name}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "instance": instance,
            "errors": [
                {"path": one.path, "expected": one.expected, "got": one.got} for one in self.errors
            ],
        }
