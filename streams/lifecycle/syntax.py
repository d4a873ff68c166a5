"""The text is not YAML: which slip was it, and would quotes mend it?"""

import re
from dataclasses import dataclass
from typing import Any

import yaml

from streams.lifecycle.mistakes import Place, quoted

_PAIR = re.compile(
    r"""(?:^|[\s{,\-])(?P<key>[^\s#{}\[\],:"'&*!|>%@`][^#{}\[\],:"']*|"[^"]*"|'[^']*'):\s+(?=\S)"""
)
_VALUE = re.compile(r"^\s*(?:-\s+)*|[\[,]\s*")
_INDEXED = re.compile(r"""[:,\[{]\s*(?P<value>[^\s,{}\[\]:"'#&*!]+\[\d*\w*\][^\s,}\]]*)""")
_BLOCK = re.compile(r"[>|][-+0-9]{0,2}")
_LEADING = re.compile(r"[>|%@`]")

LOADER: Any = getattr(
    yaml, "CSafeLoader", yaml.SafeLoader
)  # libyaml where PyYAML was built with it


@dataclass(frozen=True, slots=True)
class Repair:
    """Quotes that were put around a value."""

    place: Place
    length: int  # of the value as it was written
    replacement: str

    def apply(self, text: str) -> str:
        lines = text.split("\n")
        line = lines[self.place.line - 1]
        start = self.place.column - 1
        lines[self.place.line - 1] = line[:start] + self.replacement + line[start + self.length :]
        return "\n".join(lines)

    def before(self, place: Place) -> Place:
        """Where `place` was before the repair."""
        behind = place.line == self.place.line and place.column > self.place.column
        return (
            Place(place.line, place.column - len(self.replacement) + self.length)
            if behind
            else place
        )


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, where, and the repair that lets reading go on."""

    place: Place
    text: str
    repair: Repair | None = None


@dataclass(frozen=True, slots=True)
class _Stop:
    """Where a text stops being YAML, and whether that is inside braces or brackets."""

    place: Place
    flow: bool


def _stop(text: str) -> _Stop | None:
    """None where all of `text` is YAML."""
    depth = 0
    try:
        for event in yaml.parse(text, Loader=LOADER):
            if isinstance(event, yaml.CollectionStartEvent):
                depth += bool(event.flow_style) or depth > 0
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= depth > 0
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        return _Stop(Place(mark.line, mark.column) if mark else Place(0, 0), depth > 0)
    return None


def diagnose(text: str, error: yaml.YAMLError, *, quote: bool) -> Problem:
    """Say what a person did to make the parser stop. `quote=False`: without quoting what is written."""
    if isinstance(error, yaml.reader.ReaderError):
        return _character(text, error)
    stop = _stop(text) or _Stop(Place(0, 0), flow=False)
    problem_mark: Any = getattr(error, "problem_mark", None)
    context_mark: Any = getattr(error, "context_mark", None)
    marks = [mark for mark in (problem_mark, context_mark) if mark is not None]
    lines = text.split("\n")
    for number in dict.fromkeys(n for mark in marks for n in (mark.line, mark.line - 1)):
        if 0 <= number < len(lines):
            found = _needs_quotes(
                lines[number - 1] if number else "",
                lines[number],
                number + 1,
                flow=stop.flow,
                quote=quote,
            )
            if found is not None and _helps(text, found, stop):
                return found
    said = str(getattr(error, "problem", "") or "cannot be read")
    if context_mark is not None and ("',' or" in said or "end of stream" in said):
        marks.reverse()  # what is not closed, not where the file ends
    mark = marks[0] if marks else None
    place = Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1)
    line = lines[place.line - 1] if place.line <= len(lines) else ""
    lead = line[: len(line) - len(line.lstrip())]
    if "\t" in lead:
        column = lead.index("\t") + 1
        return Problem(
            Place(place.line, column), "not YAML: a tab: expected blanks for indentation"
        )
    about = str(getattr(error, "context", "") or "")
    return Problem(place, f"not YAML: {_in_words(said, about)}")


def _helps(text: str, found: Problem, before: _Stop) -> bool:
    """Whether reading gets further with the repair than without."""
    if found.repair is None:
        return True
    after = _stop(found.repair.apply(text))
    return after is None or after.place > before.place


def _character(text: str, error: Any) -> Problem:
    ahead = text[: error.position]
    place = Place(ahead.count("\n") + 1, len(ahead) - ahead.rfind("\n"))
    return Problem(place, "not YAML: a control character: expected printable text")


def _needs_quotes(ahead: str, line: str, number: int, *, flow: bool, quote: bool) -> Problem | None:
    """A value on this line that quotes would make readable; `ahead` is the line before."""
    pairs = {found.end() for found in _PAIR.finditer(line)}
    if flow and ahead.rstrip().endswith(":"):  # its key stands on the line before
        pairs.add(len(line) - len(line.lstrip()))
    for found in _INDEXED.finditer(line) if flow else ():
        place, value = Place(number, found.start("value") + 1), found["value"]
        return _quotes(place, value, 'a "[" inside a plain value', quote=quote)
    for start in sorted(pairs | {found.end() for found in _VALUE.finditer(line)}):
        value = _plain(line[start:], flow=flow)
        if not value or value[0] in "\"'&*!#" or _BLOCK.fullmatch(value):
            continue
        if _LEADING.match(value):
            what = f'a plain value cannot begin with "{value[0]}"'
        elif value[0] not in "{[" and re.search(r":(\s|$)", value) and start in pairs:
            what = '": " inside a plain value'
        else:
            continue
        return _quotes(Place(number, start + 1), value, what, quote=quote)
    return None


def _quotes(place: Place, value: str, what: str, *, quote: bool) -> Problem:
    mended = '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    expected = f"quotes, {quoted(value)}" if quote else "quotes around it"
    text = f"not YAML: {what}: expected {expected}"
    return Problem(place, text, Repair(place, len(value), mended))


def _plain(rest: str, *, flow: bool) -> str:
    """The plain value that begins `rest`: to the end of the line, a comment, or the flow collection."""
    end = re.search(r"[,}\]]|\s#" if flow else r"\s#", rest)
    return rest[: end.start() if end else len(rest)].strip()


_WORDS = (
    ("mapping values are not allowed", 'a ":" that starts no key: expected one key on each line'),
    ("did not find expected ',' or '}'", 'a "{" that is not closed: expected "," or "}"'),
    ("did not find expected ',' or ']'", 'a "[" that is not closed: expected "," or "]"'),
    (
        "did not find expected key",
        "this is no key of the mapping it stands in: expected the same indentation as its neighbours",
    ),
    (
        "did not find expected '-' indicator",
        'this is no item of the list it stands in: expected "- "',
    ),
    ("could not find expected ':'", 'a key without ":": expected "key: value"'),
    ("found unexpected end of stream", "a quote that is not closed: expected a closing quote"),
    ("cannot start any token", "a character that cannot begin a value: expected quotes around it"),
    (
        "found unknown escape character",
        "an unknown escape in double quotes: expected single quotes, or \\\\ for a backslash",
    ),
    ("found undefined tag handle", "a tag: expected no tags"),
    ("expected the node content", "a value is missing: expected one after the colon or the dash"),
)


def _in_words(problem: str, context: str) -> str:
    for said, words in _WORDS:
        if said in problem or said in context:
            return words
    return f"{problem}: expected YAML"
