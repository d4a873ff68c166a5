"""A model that guesses which customers leave, and the world it lives in: for docs/tutorial.md.

    python churn.py table training.parquet --days 7
    python churn.py table later.parquet --days 3 --first-day 7 --change-on 9
    python churn.py serve 32                 # hours; LEEWAY_BROKERS says where to
    python churn.py serve 4 --change         # the next ones

Everything follows from a seed. What changes is a campaign: more customers take the basic plan, and pay less.
"""

import argparse
import math
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from confluent_kafka.admin import AdminClient, NewTopic

from streams.client import Emitter

MODEL = {"model_id": "churn", "model_version": "1.0.0"}
PER_HOUR = 1_000
FEES = {"basic": 9.99, "plus": 19.99, "family": 29.99}
FIRST_DAY = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
SERVED = Path("served.txt")  # since when, and how many hours
SERVING = 10_000  # seeds that no table has


def hour(start: datetime, seed: int, *, change: bool) -> Iterator[tuple[datetime, dict[str, Any]]]:
    """The customers that are asked about in an hour: when, and who."""
    chance = np.random.default_rng(seed)
    mix = (0.65, 0.2, 0.15) if change else (0.45, 0.3, 0.25)
    plans = chance.choice(list(FEES), size=PER_HOUR, p=mix).tolist()
    tenures = chance.gamma(2, 200, PER_HOUR).astype(int).tolist()
    asked = (chance.lognormal(0, 0.1, PER_HOUR) * (0.8 if change else 1.0)).tolist()
    calls = chance.poisson(0.6, PER_HOUR).tolist()
    for i in range(PER_HOUR):
        yield (
            start + HOUR * i / PER_HOUR,
            {
                "tenure_days": tenures[i],
                "plan": plans[i],
                "monthly_fee": round(FEES[plans[i]] * asked[i], 2),
                "support_calls": calls[i],
            },
        )


def model(customer: dict[str, Any]) -> float:
    """The probability that a customer leaves."""
    logit = (
        -2.0
        + 0.9 * customer["support_calls"]
        + 0.7 * (customer["plan"] == "basic")
        - 0.002 * customer["tenure_days"]
    )
    return round(1 / (1 + math.exp(-logit)), 4)


def table(path: str, days: int, first_day: int, change_on: int | None) -> None:
    """Write what was asked on some days, with what the model answered, as Parquet."""
    import pandas as pd

    rows = []
    for day in range(first_day, first_day + days):
        change = change_on is not None and day >= change_on
        for i in range(day * 24, day * 24 + 24):
            for at, customer in hour(FIRST_DAY + i * HOUR, i, change=change):
                score = model(customer)
                answer = "leaves" if score >= 0.5 else "stays"
                rows.append(
                    {**MODEL, "timestamp": at, **customer, "score": score, "prediction": answer}
                )
    pd.DataFrame(rows).to_parquet(path)
    print(f"{path}: {len(rows):,} rows")


def topic(brokers: str) -> None:
    """Create the topic that events go to, if it is missing: on a real Kafka that is somebody's job."""
    admin = AdminClient({"bootstrap.servers": brokers, "log_level": 0})
    if "leeway.predictions" not in admin.list_topics(timeout=10).topics:
        created = admin.create_topics([NewTopic("leeway.predictions", 3, 1)])
        created["leeway.predictions"].result(10)


def serve(hours: int, *, change: bool) -> None:
    """Answer what was asked in the next hours, and tell Leeway. The first of them is sixty hours ago."""
    last = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    first, done = last - 60 * HOUR, 0
    if SERVED.exists():
        since, served = SERVED.read_text().split()
        first, done = datetime.fromisoformat(since), int(served)
    brokers = os.environ["LEEWAY_BROKERS"]
    topic(brokers)
    with Emitter(brokers, **MODEL) as emitter:
        for i in range(done, done + hours):
            for at, customer in hour(first + i * HOUR, SERVING + i, change=change):
                began = time.perf_counter()
                score = model(customer)
                emitter.prediction(
                    customer,
                    score=score,
                    prediction="leaves" if score >= 0.5 else "stays",
                    latency_ms=(time.perf_counter() - began) * 1000,
                    timestamp=at,
                )
            emitter.flush()
    SERVED.write_text(f"{first.isoformat()} {done + hours}")
    counts = emitter.counts
    print(f"{counts.delivered:,} events delivered, {counts.lost} lost")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    todo = parser.add_subparsers(dest="todo", required=True)
    of_table = todo.add_parser("table")
    of_table.add_argument("path")
    of_table.add_argument("--days", type=int, required=True)
    of_table.add_argument("--first-day", type=int, default=0)
    of_table.add_argument("--change-on", type=int)
    of_serve = todo.add_parser("serve")
    of_serve.add_argument("hours", type=int)
    of_serve.add_argument("--change", action="store_true")
    asked = parser.parse_args()
    if asked.todo == "table":
        table(asked.path, asked.days, asked.first_day, asked.change_on)
    else:
        serve(asked.hours, change=asked.change)


if __name__ == "__main__":
    main()
