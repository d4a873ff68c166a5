"""`python -m streams.cli`: the same as `leeway`, without being installed."""

import sys

from streams.cli import main

if __name__ == "__main__":
    sys.exit(main())
