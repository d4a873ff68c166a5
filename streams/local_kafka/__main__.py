"""`python -m streams.local_kafka`: says which kind of Kafka this machine can have, or exits with what is missing."""

import os
import sys

from streams.errors import MissingTool
from streams.local_kafka import source

if __name__ == "__main__":
    try:
        sys.stdout.write(source(os.environ.get("LEEWAY_BROKERS")) + "\n")
    except MissingTool as lacking:
        sys.stderr.write(f"{lacking}\n")
        sys.exit(lacking.exit_code)
