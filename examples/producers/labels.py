"""Truths that became known since yesterday, told to Leeway by the ids of their predictions.

    python labels.py outcomes.csv --brokers localhost:9092

The table has the columns event_id, label and known_at.
"""

import argparse
import sys

import pandas as pd

from streams.client import Emitter


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("outcomes")
    parser.add_argument("--brokers", default="localhost:9092")
    parser.add_argument("--topic", default="leeway.labels")
    parser.add_argument("--partitioner", default="consistent_random")
    asked = parser.parse_args()
    table = pd.read_csv(asked.outcomes, dtype=str)
    table["known_at"] = pd.to_datetime(table["known_at"], utc=True)
    with Emitter(
        asked.brokers,
        model_id="churn",
        topics={"labels": asked.topic},
        kafka={"partitioner": asked.partitioner},  # murmur2_random, if Java or Spark predict
    ) as emitter:
        for i, row in enumerate(table.to_dict("records"), start=1):
            emitter.label(row["event_id"], row["label"], timestamp=row["known_at"])
            if i % 10_000 == 0:
                emitter.flush(timeout=60)
    print(emitter.counts, file=sys.stderr)
    return 1 if emitter.counts.lost else 0


if __name__ == "__main__":
    sys.exit(main())
