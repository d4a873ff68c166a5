"""Every topic Leeway owns, once: name, key, retention, purpose."""

from dataclasses import dataclass

DAY_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True)
class Topic:
    """`partitions` None: as many as `topics.partitions` of the service file says."""

    name: str  # without the prefix
    key: str
    purpose: str
    partitions: int | None
    retention_days: int | None  # None: compacted, kept for ever
    compacted: bool = False  # the last record of each key only, and that for `retention_days`


TOPICS = (
    Topic("profiles", "model id", "summaries, progress and intake, profiler to judge", None, 7),
    Topic(
        "outcomes", "event id", "predictions with their truths, as the joiner found them", None, 7
    ),
    Topic(
        "models",
        "lifecycle|M, reference|M|R, deployment|M, routing",
        "lifecycles, references, and which version answers",
        1,
        None,
    ),
    Topic("commands", "model id", "what people and pipelines ask for", None, 90),
    Topic("state", "M|V|SEGMENT|PART", "what outlives a window", None, None),
    Topic("results", "model id", "one verdict per window", None, 30),
    Topic("alerts", "model id", "every transition of an episode", 3, 90),
    Topic("alerts.slack", "episode id", "alerts rendered for Slack", 3, 7),
    Topic("alerts.pagerduty", "episode id", "alerts rendered for PagerDuty", 3, 7),
    Topic("alerts.email", "episode id", "alerts rendered for e-mail", 3, 7),
    Topic("retraining", "model id", "requests to retrain and their life", 3, 365),
    Topic(
        "deliveries",
        "receiver and episode id",
        "what was sent to whom, and what waits",
        3,
        30,
        compacted=True,
    ),
    Topic("dead-letters", "as the origin", "what could not be decoded, byte for byte", 3, 14),
)
SOURCES = (
    "predictions",
    "features",
    "labels",
)  # read where a lifecycle names no topic; yours to create
MAX_MESSAGE_BYTES = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Names:
    """The topics' full names under the configured prefix."""

    prefix: str = "leeway."

    def __call__(self, topic: str) -> str:
        """Full name of one of `TOPICS`, or of a default source.

        >>> Names()("alerts.slack")
        'leeway.alerts.slack'
        """
        if topic not in _KNOWN:
            raise KeyError(topic)
        return self.prefix + topic


_KNOWN = frozenset(topic.name for topic in TOPICS) | frozenset(SOURCES)
