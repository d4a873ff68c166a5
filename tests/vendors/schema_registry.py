"""A schema registry in tests: Confluent's REST interface as it is documented, as far as its own client uses it.

Registering, looking up and fetching, references between schemas, GUIDs, and the codes of its errors: 40401 no such
subject, 40402 no such version, 40403 no such schema, 42201 no valid schema, 42202 no valid version; 401 without the
right name and password. Subjects have no compatibility rules (level NONE).
"""

import base64
import json
from dataclasses import dataclass
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import fastavro
from jsonschema import Draft7Validator
from jsonschema.exceptions import SchemaError

from tests.vendors.fake import FakeHttp, Reply

_TYPE = "application/vnd.schemaregistry.v1+json"


class Refused(Exception):
    """An answer that says no."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.reply = _reply(status, {"error_code": code, "message": message})


def _reply(status: int, document: object) -> Reply:
    return Reply(status, json.dumps(document).encode(), (("Content-Type", _TYPE),))


@dataclass(frozen=True, slots=True)
class Stored:
    """A schema, whatever subjects it is in."""

    id: int
    kind: str
    text: str
    references: tuple[tuple[str, str, int], ...]  # name, subject, version

    @property
    def guid(self) -> UUID:
        return uuid5(NAMESPACE_URL, f"{self.kind}:{self.text}:{self.references}")

    def document(self) -> dict[str, Any]:
        """As every answer has it; AVRO is the type that goes without saying."""
        kind = {} if self.kind == "AVRO" else {"schemaType": self.kind}
        names = ("name", "subject", "version")
        refers = [dict(zip(names, one, strict=True)) for one in self.references]
        return {"schema": self.text, "guid": str(self.guid), **kind, "references": refers}


class FakeRegistry(FakeHttp):
    """The registry. `user`: name and password that it asks for."""

    def __init__(self, *, user: tuple[str, str] | None = None) -> None:
        super().__init__()
        self._user = user
        self._schemas: list[Stored] = []
        self._subjects: dict[str, list[Stored]] = {}

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def register(self, subject: str, text: str, kind: str = "AVRO") -> int:
        """Register a schema as a client would; its id."""
        return self._register(subject, {"schema": text, "schemaType": kind}).id

    def take(self, path: str, headers: dict[str, str], body: bytes) -> Reply:
        try:
            self._let_in(headers)
            asked = json.loads(body) if body else None
            answer = self._answer([part for part in path.split("/") if part], asked)
        except Refused as refused:
            return refused.reply
        self.accept(path, asked, headers)
        return _reply(200, answer)

    def _let_in(self, headers: dict[str, str]) -> None:
        if self._user is not None:
            wanted = base64.b64encode(":".join(self._user).encode()).decode()
            if headers.get("authorization") != f"Basic {wanted}":
                raise Refused(401, 401, "Unauthorized")

    def _answer(self, path: list[str], asked: Any) -> object:
        match path:
            case ["schemas", "ids", number]:
                return self._found(lambda one: str(one.id) == number).document()
            case ["schemas", "guids", guid]:
                return self._found(lambda one: str(one.guid) == guid).document()
            case ["subjects", subject, "versions"] if asked is not None:
                stored = self._register(subject, asked)
                version = self._subjects[subject].index(stored) + 1
                return {"id": stored.id, "version": version, **stored.document()}
            case ["subjects", subject] if asked is not None:
                return self._looked_up(subject, asked)
            case ["subjects", subject, "versions", version]:
                return self._version(subject, version)
        raise Refused(404, 404, "HTTP 404 Not Found")

    def _found(self, matches: Any) -> Stored:
        for one in self._schemas:
            if matches(one):
                return one
        raise Refused(404, 40403, "Schema not found")

    def _stored(self, asked: Any) -> tuple[str, str, tuple[tuple[str, str, int], ...]]:
        kind, text = asked.get("schemaType") or "AVRO", asked["schema"]
        refers = tuple(
            (one["name"], one["subject"], one["version"]) for one in asked.get("references") or ()
        )
        return kind, text, refers

    def _register(self, subject: str, asked: Any) -> Stored:
        kind, text, refers = self._stored(asked)
        self._check(kind, text, refers)
        for one in self._schemas:
            if (one.kind, one.text, one.references) == (kind, text, refers):
                break
        else:
            one = Stored(len(self._schemas) + 1, kind, text, refers)
            self._schemas.append(one)
        versions = self._subjects.setdefault(subject, [])
        if one not in versions:
            versions.append(one)
        return one

    def _check(self, kind: str, text: str, refers: tuple[tuple[str, str, int], ...]) -> None:
        try:
            schema = json.loads(text)
            if kind == "AVRO":
                named: dict[str, Any] = {}
                for _, subject, version in refers:
                    needed = self._versions(subject)[version - 1]
                    fastavro.parse_schema(json.loads(needed.text), named)
                fastavro.parse_schema(schema, named)
            elif kind == "JSON":
                Draft7Validator.check_schema(schema)
        except (ValueError, SchemaError, fastavro.schema.SchemaParseException) as error:
            raise Refused(422, 42201, f"Invalid schema: {error}") from None

    def _versions(self, subject: str) -> list[Stored]:
        if subject not in self._subjects:
            raise Refused(404, 40401, f"Subject '{subject}' not found.")
        return self._subjects[subject]

    def _looked_up(self, subject: str, asked: Any) -> object:
        versions = self._versions(subject)
        for number, one in enumerate(versions, 1):
            if (one.kind, one.text, one.references) == self._stored(asked):
                return {"subject": subject, "id": one.id, "version": number, **one.document()}
        raise Refused(404, 40403, "Schema not found")

    def _version(self, subject: str, version: str) -> object:
        versions = self._versions(subject)
        if version != "latest" and not version.isdigit():
            raise Refused(422, 42202, f"The specified version '{version}' is not a valid version")
        number = len(versions) if version == "latest" else int(version)
        if not 1 <= number <= len(versions):
            raise Refused(404, 40402, f"Version {version} not found.")
        one = versions[number - 1]
        return {"subject": subject, "id": one.id, "version": number, **one.document()}
