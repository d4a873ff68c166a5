"""A joiner from the first record to the last, with nobody to disturb it and nothing else in its process: what it takes.

python -m benchmarks._joiner_alone BROKERS PREFIX RECORDS FOLDER MEMORY_BYTES
"""

import sys
import time
from pathlib import Path

import msgspec

from streams.joining.joiner import Joiner
from streams.joining.rocks import Memory, RocksStore
from streams.kafka.broker import KafkaBroker
from streams.loop import FOREVER_MS, Loop
from streams.roles import JOINER_BATCH, collect_rarely, waiting
from streams.topics import Names


class Taken(msgspec.Struct):
    """What a run took."""

    cpu_s: float
    wall_s: float
    disk_bytes: int
    resident_bytes: int  # at the most


def alone(brokers: str, prefix: str, records: int, folder: Path, memory_bytes: int) -> Taken:
    """Join so many records, as the role does it."""
    collect_rarely()
    names = Names(prefix)
    properties = waiting({"bootstrap.servers": brokers})
    broker = KafkaBroker(properties, f"{prefix}measured", "0")
    memory = Memory(memory_bytes)
    stage = Joiner(names, lambda lane: RocksStore(folder / lane, memory), broker.partition_count)
    topics = [names("labels"), names("predictions")]
    loop = Loop(broker, stage, topics, [names("models")], limit=JOINER_BATCH, clock=time.monotonic)
    loop.start()
    left, disk, due = records, 0, 0.0
    cpu, wall = time.process_time(), time.perf_counter()
    while left > 0:
        polled = loop.turn(0.2)
        left -= sum(len(batch.values) for batch in polled.batches)
        now = time.perf_counter()
        if now >= due and polled.batches:
            loop.commit()
            disk = max(disk, stage.size().disk_bytes)
            due = now + 1.0
    stage.idle(dict.fromkeys(loop.owned, FOREVER_MS))
    loop.commit()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    stage.close()
    broker.close()
    disk = max(disk, sum(file.stat().st_size for file in folder.rglob("*.sst")))
    return Taken(cpu, wall, disk, _most_resident())


def _most_resident() -> int:
    """Bytes; `getrusage` would tell of the parent, too."""
    (line,) = (x for x in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in x)
    return int(line.split()[1]) * 1024


def main() -> int:
    brokers, prefix, records, folder, memory_bytes = sys.argv[1:]
    taken = alone(brokers, prefix, int(records), Path(folder), int(memory_bytes))
    sys.stdout.buffer.write(msgspec.json.encode(taken))
    return 0


if __name__ == "__main__":
    sys.exit(main())
