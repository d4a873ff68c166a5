"""Who may import whom? The table of parts, and every import in the code held against it."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent

# What has effects, or answers differently at each call. A clock, a file, a socket, chance.
EFFECTS = frozenset(
    {
        *(
            "asyncio",
            "ctypes",
            "fcntl",
            "ftplib",
            "getpass",
            "glob",
            "http",
            "importlib",
            "inspect",
        ),
        *(
            "io",
            "locale",
            "logging",
            "multiprocessing",
            "os",
            "pathlib",
            "platform",
            "queue",
            "random",
        ),
        *(
            "sched",
            "secrets",
            "select",
            "selectors",
            "shutil",
            "signal",
            "smtplib",
            "socket",
            "ssl",
        ),
        *(
            "subprocess",
            "sys",
            "tempfile",
            "threading",
            "time",
            "urllib",
            "uuid",
            "warnings",
            "weakref",
        ),
    }
)
HARMLESS = frozenset({"io.BytesIO", "urllib.parse", "uuid.UUID"})  # data in, data out

# Modules of `streams` that do what stages may not: everything else there is held to be a stage's.
OUTSIDE = (
    "streams/counting.py",
    "streams/contracts/*",
    "streams/kafka/*",
    "streams/logs.py",
    "streams/loop.py",
    "streams/metrics/*",
    "streams/offline/*",
    "streams/registration.py",
    "streams/roles.py",
    "streams/schemas.py",
    "streams/supervisor.py",
)
INSIDE = ("streams", "alerting", "detectors")


@dataclass(frozen=True, slots=True)
class Part:
    """Files, and what they may import beside the standard library; `pure` forbids what has effects there."""

    name: str
    files: tuple[str, ...]
    may: tuple[str, ...]
    pure: bool


CELLS = ("detectors.binning", "detectors.edges", "detectors.series", "numpy", "scipy")
SAMPLES = (*CELLS, "detectors.samples")
ALARM = (*SAMPLES, "detectors.alarm")
REFERENCE = (*ALARM, "detectors.performance", "detectors.reference")

# A file belongs to the first part that names it.
PARTS = (
    Part("samples", ("detectors/samples/*",), SAMPLES, True),
    Part("alarm", ("detectors/alarm/*",), ALARM, True),
    Part("reference", ("detectors/reference/*",), REFERENCE, True),
    Part(
        "sequences",
        ("detectors/sequences/*",),
        (*ALARM, "detectors.sequences", "pydantic", "river"),
        True,
    ),
    Part(
        "performance",
        ("detectors/performance/*",),
        (
            *(*REFERENCE, "detectors.performance", "detectors.sequences"),
            *("detectors.calibration", "detectors.judging.packing", "detectors.operations"),
            "detectors.types",
        ),
        True,
    ),
    Part(
        "operations",
        ("detectors/operations/*",),
        (*SAMPLES, "detectors.operations", "detectors.types"),
        True,
    ),
    Part(
        "windows",
        ("detectors/judging/*",),
        (*REFERENCE, "detectors.judging", "detectors.types"),
        True,
    ),
    Part("detectors", ("detectors/*",), ("detectors", "numpy", "scipy"), True),
    Part(
        "delivery",
        ("alerting/deliver/*",),
        ("alerting", "anyio", "httpx2", "pydantic", "stamina"),
        False,
    ),
    Part(
        "alerting",
        ("alerting/*",),
        ("alerting", "detectors.settings.Settings", "detectors.types", "pydantic"),
        True,
    ),
    Part(
        "console",
        ("streams/views/*", "streams/console/*"),
        (*INSIDE, "msgspec", "numpy"),
        True,
    ),
    Part(
        "control",
        ("streams/control/*",),
        (*INSIDE, "aiohttp", "aiokafka", "faust", "mode", "msgspec", "stamina", "yarl"),
        False,
    ),
    Part(
        "command line",
        ("streams/cli/*", "streams/demo/*"),
        (*INSIDE, "msgspec", "numpy", "rich", "typer"),
        False,
    ),
    # lives inside other people's servers: no NumPy, no pydantic, nothing that counts or judges
    Part(
        "client",
        ("streams/client/*",),
        (
            *("streams.client", "streams.errors", "streams.topics"),
            *("confluent_kafka", "msgspec", "prometheus_client"),
        ),
        False,
    ),
    Part("lifecycle", ("streams/lifecycle/*",), (*INSIDE, "msgspec", "pydantic", "yaml"), False),
    Part("service file", ("streams/service*.py",), (*INSIDE, "pydantic"), False),
    Part(
        "local Kafka",
        ("streams/local_kafka/*",),
        (
            *("streams.errors", "streams.local_kafka", "streams.logs", "streams.topics"),
            *("confluent_kafka", "docker", "requests", "testcontainers"),
        ),
        False,
    ),
    Part("predictions on disk", ("streams/joining/rocks.py",), ("streams", "rocksdict"), False),
    Part("Kafka", ("streams/kafka/*",), ("streams", "confluent_kafka", "httpx2"), False),
    Part("formats", ("streams/formats/*",), ("streams", "alerting", "fastavro", "msgspec"), True),
    Part("metrics", ("streams/metrics/*",), ("streams", "prometheus_client"), False),
    Part(
        "tables", ("streams/offline/tables.py",), ("streams", "msgspec", "numpy", "pyarrow"), False
    ),
    Part("outer streams", OUTSIDE, (*INSIDE, "msgspec", "numpy"), False),
    Part("stages", ("streams/*",), (*INSIDE, "msgspec", "numpy", "pydantic"), True),
)

# What a stage may have of `streams`: other stages, and the lifecycle's settings.
STAGES_NEVER = (
    *(
        "streams.cli",
        "streams.console",
        "streams.control",
        "streams.demo",
        "streams.views",
        "streams.joining.rocks",
    ),
    "streams.local_kafka",
)


class Import(NamedTuple):
    file: Path
    line: int
    name: str  # dotted, down to the imported name: "detectors.types.Verdict"


def imports(text: str, file: Path) -> Iterator[Import]:
    """Every import of a file, those inside functions and behind `TYPE_CHECKING` too."""
    package = file.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(text, str(file))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(file, node.lineno, alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            for alias in node.names:
                named = [*base, *([node.module] if node.module else []), alias.name]
                yield Import(file, node.lineno, ".".join(named))


@cache
def files() -> tuple[Path, ...]:
    return tuple(sorted(file for top in INSIDE for file in (ROOT / top).rglob("*.py")))


def part_of(file: Path) -> Part:
    place = file.relative_to(ROOT).as_posix()
    return next(part for part in PARTS if any(fnmatch(place, glob) for glob in part.files))


def begins_with(name: str, prefixes: tuple[str, ...] | frozenset[str]) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def objection(part: Part, name: str) -> str | None:
    """Why this part may not import this name, or None."""
    if name.split(".")[0] in sys.stdlib_module_names:
        if part.pure and begins_with(name, EFFECTS) and not begins_with(name, HARMLESS):
            return "has effects"
        return None
    if not begins_with(name, part.may):
        return f"not among {', '.join(part.may)}"
    if part.name == "stages" and begins_with(name, STAGES_NEVER + outside()):
        return "is outside the stages"
    return None


@cache
def outside() -> tuple[str, ...]:
    """The modules of `OUTSIDE`, by name."""
    return tuple(
        ".".join(file.relative_to(ROOT).with_suffix("").parts)
        for file in files()
        if file.parent == ROOT / "streams" and part_of(file).name != "stages"
    )


@pytest.mark.parametrize("part", PARTS, ids=lambda part: str(part.name))
def test_a_part_imports_only_what_the_table_allows(part: Part) -> None:
    wrong = [
        f"{found.file.relative_to(ROOT)}:{found.line}: {part.name} imports {found.name}: {why}"
        for file in files()
        if part_of(file) is part
        for found in imports(file.read_text(), file)
        if (why := objection(part, found.name))
    ]
    assert not wrong, "\n" + "\n".join(wrong)


def test_imports_inside_functions_and_relative_ones_are_found() -> None:
    file = ROOT / "detectors" / "x.py"
    text = "def f():\n    import faust.types\n    from ..streams import loop\nfrom . import types\n"
    found = {(each.line, each.name) for each in imports(text, file)}
    assert found == {(2, "faust.types"), (3, "streams.loop"), (4, "detectors.types")}


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("detectors", "alerting.types"),
        ("detectors", "time"),
        ("alerting", "detectors.judging.decision.decide"),
        ("alerting", "urllib.request"),
        ("alerting", "streams.topics"),
        ("stages", "confluent_kafka"),
        ("stages", "streams.loop"),
        ("stages", "streams.local_kafka.any_broker"),
        ("stages", "random"),
        ("command line", "confluent_kafka.Producer"),
    ],
)
def test_the_table_forbids(part: str, name: str) -> None:
    assert objection(next(each for each in PARTS if each.name == part), name)


def test_no_pure_module_asks_for_the_present() -> None:
    """`datetime` itself is allowed: times are data. Asking it what time it is, is not."""
    wrong = [
        f"{file.relative_to(ROOT)}:{node.lineno}: .{node.attr}"
        for file in files()
        if part_of(file).pure
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in ("now", "utcnow", "today", "urandom")
    ]
    assert not wrong, "\n" + "\n".join(wrong)


@pytest.mark.parametrize(
    ("package", "never"),
    [
        ("detectors", ("alerting", "streams", "confluent_kafka", "faust", "msgspec", "yaml")),
        ("alerting", ("streams", "confluent_kafka", "faust", "yaml", "scipy", "river")),
    ],
)
def test_importing_a_package_whole_brings_nothing_forbidden_along(
    package: str, never: tuple[str, ...]
) -> None:
    """In a fresh interpreter: this finds what is imported by what is imported."""
    modules = [
        ".".join(file.relative_to(ROOT).with_suffix("").parts)
        for file in files()
        if file.is_relative_to(ROOT / package)
        and not file.is_relative_to(ROOT / package / "deliver")
    ]
    script = (
        f"import importlib, sys; [importlib.import_module(name) for name in {modules!r}];"
        f"print(*[name for name in {never!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
