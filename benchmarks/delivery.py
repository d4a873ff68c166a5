"""Does news arrive, whatever happens? Two vendors that fail in every way, and controls that are killed twenty times.

    python -m benchmarks.delivery [--kills 20] [--episodes 120] [--controls 1] [--seed 6] [--brokers HOST:PORT]

Problems open, worsen, are acknowledged and end, as a judge writes them. Fake Slack and PagerDuty answer 429 with
Retry-After and 500, say nothing for ten seconds, close the connection before or in the middle of an answer. With two
controls or more, some are also stopped for longer than their session before others are killed. At the end the vendors'
own memories are held against what was written. Exits with 1 if anything is missing, or was told twice anywhere but
between an answer and its record.
"""

import argparse
import logging
import sys
import tempfile
import uuid
from pathlib import Path

from streams.local_kafka import any_broker
from tests.integration.fire import Fire


def main(arguments: list[str] | None = None) -> int:
    """Print what the vendors saw; 0 if it is what was to be told."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.delivery")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--episodes", type=int, default=120)
    parser.add_argument("--controls", type=int, default=1)
    parser.add_argument("--seed", type=int, default=6)
    parser.add_argument("--brokers")
    asked = parser.parse_args(arguments)
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # killed clients
    with tempfile.TemporaryDirectory() as folder, any_broker(asked.brokers) as broker:
        fire = Fire(broker, f"fire-{uuid.uuid4().hex[:8]}", Path(folder), asked.seed)
        try:
            report = fire.run(
                episodes=asked.episodes,
                kills=asked.kills,
                hang=True,
                controls=asked.controls,
                freezes=asked.kills // 4 if asked.controls > 1 else 0,
            )
        finally:
            fire.close()
    print("\n".join(report.lines()))
    return 0 if report.good else 1


if __name__ == "__main__":
    sys.exit(main())
