"""A nightly job that scores a table and tells Leeway what it predicted.

    python batch.py customers.parquet scored.parquet --brokers localhost:9092

A job can wait where a server cannot: it lets the queue run empty after every chunk, so nothing is dropped, and ends
with an error if something was lost all the same.
"""

import argparse
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd

from streams.client import Emitter

CHUNK = 10_000  # rows; fewer than the queue holds
FEATURES = ["tenure_days", "plan", "monthly_fee"]


def score(customers: pd.DataFrame) -> Any:
    """Stands for your model: the probability that each customer leaves."""
    young = (customers["tenure_days"] < 90) & (customers["plan"] == "basic")
    return np.where(young, 0.8, 0.1)


def chunks(table: pd.DataFrame) -> Iterator[pd.DataFrame]:
    for first in range(0, len(table), CHUNK):
        yield table.iloc[first : first + CHUNK]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("customers")
    parser.add_argument("scored")
    parser.add_argument("--brokers", default="localhost:9092")
    parser.add_argument("--topic", default="leeway.predictions")
    asked = parser.parse_args()
    table = pd.read_parquet(asked.customers)
    table["score"] = score(table)
    table["prediction"] = np.where(table["score"] >= 0.5, "leaves", "stays")
    now = datetime.now(UTC)  # the whole run is one moment: it was predicted now
    ids = []
    with Emitter(
        asked.brokers,
        model_id="churn",
        model_version="1.0.0",
        topics={"predictions": asked.topic},
    ) as emitter:
        for chunk in chunks(table):
            for row in chunk.to_dict("records"):
                ids.append(
                    emitter.prediction(
                        {name: row[name] for name in FEATURES},
                        prediction=row["prediction"],
                        score=row["score"],
                        timestamp=now,
                    )
                )
            emitter.flush(timeout=60)
    table.assign(event_id=ids).to_parquet(asked.scored)  # labels will name these ids
    print(emitter.counts, file=sys.stderr)
    return 1 if emitter.counts.lost else 0


if __name__ == "__main__":
    sys.exit(main())
