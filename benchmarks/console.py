"""What does the console cost where there is much to see? A month of many models on a real Kafka, and one real control.

    python -m benchmarks.console [--models 200] [--features 50] [--days 30] [--brokers HOST:PORT]

Every result is that of an hourly window with its counts, of scopes inputs and health; outcomes come every sixth hour,
matured days at midnight; episodes, requests to retrain, commands, deliveries and dead letters as they come in a month.
`leeway run --role control` reads all of it. Then every path of the API is asked for equally often, each time for
another model, episode or series, by a client with several connections; and real headless Chromium opens pages, each
after a start of its own, with a profile that has seen the chart library on another page.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from zlib import crc32

from confluent_kafka import Producer

from benchmarks._asking import Answered, ask, paths
from benchmarks._figures import Figure, cells, markdown
from benchmarks._opening import person
from streams.kafka.admin import create_topics
from streams.local_kafka import any_broker
from streams.supervisor import leeway
from streams.topics import Names
from tests.streams.fleet import PARTITIONS, Fleet, headers

HOUR_MS = 3_600_000
MEMORY_MB, P95_MS, USABLE_S, TRANSFERRED_MB = 500, 100, 1.0, 2.0
_PATIENCE_S = 900.0
_FULL = 10_000  # waiting to be sent


def write(brokers: str, names: Names, fleet: Fleet) -> tuple[int, int]:
    """The fleet's records on the log; how many, and their bytes before they are packed."""
    producer = Producer(
        {
            "bootstrap.servers": brokers,
            "compression.type": "zstd",
            "linger.ms": 50,
            "queue.buffering.max.kbytes": 256 * 1024,
        }
    )
    many = size = 0
    for one in fleet.written():
        key = one.key.encode()
        shared = one.topic in ("results", "state")
        partition = crc32(key) % PARTITIONS if shared else -1
        while len(producer) > _FULL:
            producer.poll(0.05)
        producer.produce(names(one.topic), one.value, key, partition, headers=list(headers(one)))
        many, size = many + 1, size + len(one.value or b"")
    if producer.flush(120):
        raise SystemExit("not everything could be written")
    return many, size


@contextmanager
def control(brokers: str, names: Names) -> Iterator[tuple[int, str]]:
    """`leeway run --role control`: its process, and where it listens."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "leeway.yaml")
        document = {"brokers": brokers, "topics": {"prefix": names.prefix}, "http": {"port": 0}}
        config.write_text(json.dumps(document))
        command = leeway("run", "--role", "control", "--config", str(config))
        process = subprocess.Popen(command, stderr=subprocess.PIPE)
        urls: list[str] = []
        said = threading.Thread(target=_listen, args=(process, urls), daemon=True)
        said.start()
        try:
            _until(lambda: bool(urls) or process.poll() is not None, "control's address")
            if not urls:
                raise SystemExit("control did not start")
            yield process.pid, urls[0]
        finally:
            process.terminate()
            process.wait(30)
            said.join(5)
            assert process.stderr is not None
            process.stderr.close()


def _listen(process: "subprocess.Popen[bytes]", urls: list[str]) -> None:
    """Find where it listens in what it says; pass on what is a warning or worse."""
    assert process.stderr is not None
    for line in process.stderr:
        said = json.loads(line) if line.startswith(b"{") else {"level": "error"}
        if said.get("happened") == "console.opened":
            urls.append(said["url"].rstrip("/"))
        elif said.get("level") != "info":
            sys.stderr.buffer.write(line)


def _until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"{what} did not come within {_PATIENCE_S:.0f} s")
        threading.Event().wait(0.05)


def _ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=10) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def resident(pid: int) -> tuple[int, int]:
    """What a process holds in memory, now and at most, in MB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    of = {
        name: int(rest.split()[0])
        for name, rest in (line.split(":") for line in lines if " kB" in line)
    }
    return of["VmRSS"] * 1024 // 10**6, of["VmHWM"] * 1024 // 10**6


def measure(
    brokers: str,
    fleet: Fleet,
    requests: int,
    connections: int,
    opens: int = 5,
    written: str | None = None,
) -> Iterator[Figure]:
    """All figures; those that have a limit say whether it holds. `written`: the prefix of a log that is there."""
    names = Names(written or f"console-{uuid.uuid4().hex[:8]}.")
    if written is None:
        create_topics({"bootstrap.servers": brokers}, names, partitions=PARTITIONS)
        began = time.perf_counter()
        many, size = write(brokers, names, fleet)
        told = f"{many:,}, {size / 1e9:.2f} GB, {time.perf_counter() - began:.0f} s"
        yield Figure("LOG", f"records, written ({names.prefix})", told)
    began = time.perf_counter()
    with control(brokers, names) as (pid, url):
        _until(lambda: _ready(url), "the end of the log")
        took = time.perf_counter() - began
        yield Figure("START", "from the command to ready", f"{took:.1f} s")
        yield from _of_api(url, requests, connections)
        yield from _of_pages(url, fleet, opens)
        now, most = resident(pid)
        yield Figure(
            "MEMORY",
            "resident after all of it (most)",
            f"{now} MB ({most} MB)",
            f"{MEMORY_MB} MB",
            most <= MEMORY_MB,
        )


def _of_api(url: str, requests: int, connections: int) -> Iterator[Figure]:
    wanted = list(paths(url, requests))
    ask(url, wanted[: min(len(wanted) // 5, 100)], connections)  # everything for the first time
    began = time.perf_counter()
    found = ask(url, wanted, connections)
    rate = len(found) / (time.perf_counter() - began)
    wrong = {(one.path, one.status) for one in found if one.status != 200}
    p95 = _quantile([one.ms for one in found], 0.95)
    p50 = _quantile([one.ms for one in found], 0.5)
    case = f"p95 of {len(found):,} requests, {connections} connections"
    told = f"{p95:.0f} ms (median {p50:.0f} ms, {rate:.0f}/s)"
    yield Figure("API", case, told, f"{P95_MS} ms", p95 <= P95_MS and not wrong)
    for path, status in sorted(wrong):
        yield Figure("API", path, f"answered {status}", "200", met=False)
    by_path: dict[str, list[Answered]] = {}
    for one in found:
        by_path.setdefault(one.path, []).append(one)
    slowest = sorted(by_path, key=lambda path: -_quantile([a.ms for a in by_path[path]], 0.95))
    for path in slowest[:5]:
        of = by_path[path]
        size = max(one.size for one in of) / 1000
        yield Figure(
            "API", path, f"p95 {_quantile([a.ms for a in of], 0.95):.0f} ms, up to {size:.0f} kB"
        )


def _of_pages(url: str, fleet: Fleet, opens: int) -> Iterator[Figure]:
    drifting = fleet.made[min(1, len(fleet.made) - 1)].id
    pages = {
        "overview": "/",
        "a model that drifts": f"/models/{drifting}",
        "a feature of it": f"/models/{drifting}/series/feature:income",
    }
    before = f"/models/{fleet.made[0].id}/series/feature:income"
    with person(url, before, min(opens, 3)) as look:
        for title, path in pages.items():
            found = [look(path) for _ in range(opens)]
            seconds = statistics.median(one.seconds for one in found)
            size = max(one.transferred for one in found)
            met = seconds <= USABLE_S and size <= TRANSFERRED_MB * 1e6
            most = max(one.seconds for one in found)
            told = f"{seconds:.2f} s (most {most:.2f}), {size / 1e6:.2f} MB, {found[0].pictures} pictures"
            yield Figure(
                "PAGE",
                f"{title}, median of {opens}",
                told,
                f"{USABLE_S:.0f} s, {TRANSFERRED_MB:.0f} MB",
                met,
            )


def _quantile(values: Sequence[float], q: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(q * len(ordered)), len(ordered) - 1)]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", type=int, default=200)
    parser.add_argument("--features", type=int, default=50)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--requests", type=int, default=2_000)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--brokers", help="of an existing Kafka; default: a local one is started")
    parser.add_argument("--written", metavar="PREFIX", help="use the log of an earlier run")
    options = parser.parse_args()
    now_ms = time.time_ns() // 1_000_000 // HOUR_MS * HOUR_MS
    fleet = Fleet(options.models, options.features, options.days, now_ms, alike=True)
    print(f"{options.models} models, {options.features} features, {options.days} days; ", end="")
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}", flush=True)
    with any_broker(options.brokers) as broker:
        found = []
        how = {"requests": options.requests, "connections": options.connections}
        for figure in measure(broker.bootstrap, fleet, **how, written=options.written):
            print(" ".join(cells(figure)), file=sys.stderr, flush=True)
            found.append(figure)
    head = ("what", "case", "measured", "limit", "met")
    print(*markdown(head, [cells(figure)[:5] for figure in found]), sep="\n")
    sys.exit(any(figure.met is False for figure in found))


if __name__ == "__main__":
    main()
