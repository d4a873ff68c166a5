"""Which topics make a lane, and for how long does it keep what?"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain

_BUCKETS = 3  # of the horizon; one more is the slack, one is being filled
_LEAST_BUCKET_MS = 60_000


@dataclass(frozen=True, slots=True)
class Shape:
    """Which topics a lane is made of, and for how long it keeps what.

    Parameters
    ----------
    labels : topic of labels -> the topics of the predictions that they belong to
    idle_ms : topic of predictions -> the silence after which labels wait for it no longer
    horizon_ms : the longest of all models
    max_ahead_ms : how far an event's time may be ahead of the log's
    """

    labels: Mapping[str, tuple[str, ...]]
    idle_ms: Mapping[str, int]
    horizon_ms: int
    max_ahead_ms: int
    bucket_ms: int = field(init=False)
    slack_ms: int = field(init=False)  # how far events may be behind each other and still meet
    reach_ms: int = field(init=False)  # what is older than this is gone

    def __post_init__(self) -> None:
        bucket_ms = max(self.horizon_ms // _BUCKETS, _LEAST_BUCKET_MS)
        object.__setattr__(self, "bucket_ms", bucket_ms)
        object.__setattr__(self, "slack_ms", bucket_ms)
        object.__setattr__(self, "reach_ms", self.horizon_ms + bucket_ms)

    @property
    def predictions(self) -> tuple[str, ...]:
        return tuple(sorted(dict.fromkeys(chain.from_iterable(self.labels.values()))))

    @property
    def topics(self) -> tuple[str, ...]:
        return (*self.predictions, *sorted(self.labels))
