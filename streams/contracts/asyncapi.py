"""Which topics are there, what is on each, and who says and hears it? One AsyncAPI document that indexes the schemas.

Addresses begin with the parameter `prefix`, since `topics.prefix` can be set. What a lifecycle names instead of
`leeway.predictions`, `.features` and `.labels` has the same messages; these are yours, and so is how long they last.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from streams.contracts import shapes
from streams.contracts.documents import DOCUMENTS, Document
from streams.contracts.schemas import urn
from streams.topics import DAY_MS, MAX_MESSAGE_BYTES, TOPICS, Topic

__all__ = ["READERS", "VERSION", "WRITERS", "asyncapi"]

VERSION = "3.1.0"  # of the specification
_BINDING = "0.5.0"  # of the Kafka bindings
_PREFIX = "{prefix}"
Node = dict[str, Any]

#: by topic; `operator`: who uses the commands or the API; `producer` and `pipeline`: your services
WRITERS: Mapping[str, tuple[str, ...]] = {
    "predictions": ("producer",),
    "features": ("producer",),
    "labels": ("producer",),
    "profiles": ("profiler", "joiner"),
    "outcomes": ("joiner",),
    "models": ("operator", "judge"),
    "commands": ("operator", "control", "pipeline"),
    "state": ("judge",),
    "results": ("judge",),
    "alerts": ("judge",),
    "alerts.slack": ("judge",),
    "alerts.pagerduty": ("judge",),
    "alerts.email": ("judge",),
    "retraining": ("judge",),
    "deliveries": ("control",),
    "dead-letters": ("profiler", "control", "operator"),
}
READERS: Mapping[str, tuple[str, ...]] = {
    "predictions": ("profiler", "joiner"),
    "features": ("profiler",),
    "labels": ("profiler", "joiner"),
    "profiles": ("judge",),
    "outcomes": ("profiler",),
    "models": ("profiler", "joiner", "judge", "control", "operator"),
    "commands": ("judge", "control"),
    "state": ("judge", "control"),
    "results": ("control", "operator"),
    "alerts": ("control", "operator"),
    "alerts.slack": ("control",),
    "alerts.pagerduty": ("control",),
    "alerts.email": ("control",),
    "retraining": ("control", "operator", "pipeline"),
    "deliveries": ("control",),
    "dead-letters": ("control", "operator"),
}
_ROLES = {
    "profiler": "counts what producers send",
    "joiner": "finds the prediction of a label",
    "judge": "decides, and writes all that is decided",
    "control": "serves console and API, and delivers notifications",
    "operator": "people, with the commands of `leeway`",
    "producer": "your services that predict, compute features and learn truths",
    "pipeline": "your pipelines that train",
}


def asyncapi(version: str) -> Node:
    """The document of a release.

    >>> asyncapi("1.0.0")["channels"]["alerts"]["address"]
    '{prefix}alerts'
    """
    return {
        "asyncapi": VERSION,
        "id": "urn:leeway:messages",
        "info": {
            "title": "Leeway",
            "version": version,
            "description": (
                "Everything that Leeway reads from and writes to Kafka. Read with isolation.level=read_committed: what "
                "a transaction did not commit never happened. Outputs are CloudEvents 1.0: in binary mode, or as one "
                "JSON document where events.mode is structured. Within v1 a schema gains optional members only."
            ),
            "license": {"name": "Apache-2.0"},
            "tags": [{"name": role, "description": does} for role, does in _ROLES.items()],
        },
        "defaultContentType": "application/json",
        "servers": {
            "kafka": {
                "host": "{broker}",
                "protocol": "kafka",
                "description": "The cluster that `brokers` of leeway.yaml names.",
                "variables": {"broker": {"default": "localhost:9092"}},
            }
        },
        "channels": {_id(name): _channel(name) for name in WRITERS},
        "operations": dict(_operations()),
        "components": {
            "messages": {name: _message(of) for name, of in DOCUMENTS.items()},
            "parameters": {
                "prefix": {"default": "leeway.", "description": "`topics.prefix` of leeway.yaml"}
            },
            "schemas": {"cloudevent": _ATTRIBUTES},
        },
    }


def _id(topic: str) -> str:
    """Of a channel; a topic's dots are none of a reference's.

    >>> _id("alerts.slack")
    'alerts-slack'
    """
    return topic.replace(".", "-")


def _on(topic: str) -> list[Document]:
    return [one for one in DOCUMENTS.values() if topic in one.topics]


def _channel(name: str) -> Node:
    mine = {topic.name: topic for topic in TOPICS}.get(name)
    if mine is None:
        purpose = f"Events of {name}, unless a lifecycle names another topic. The topic is yours."
    else:
        purpose = mine.purpose[0].upper() + mine.purpose[1:] + "."
    return {
        "address": f"{_PREFIX}{name}",
        "title": name,
        "description": purpose,
        "servers": [{"$ref": "#/servers/kafka"}],
        "parameters": {"prefix": {"$ref": "#/components/parameters/prefix"}},
        "messages": {one.name: {"$ref": f"#/components/messages/{one.name}"} for one in _on(name)},
        "bindings": {"kafka": {"topic": f"{_PREFIX}{name}", **_settings(mine)}},
    }


def _settings(topic: Topic | None) -> Node:
    """How a topic of ours is made; `partitions` is left out where it is the same as for others and can be set."""
    if topic is None:
        return {"bindingVersion": _BINDING}
    compacted = topic.compacted or topic.retention_days is None
    policy = ["compact"] if compacted else ["delete"]
    kept: Node = {}
    if topic.retention_days is not None:
        policy = [*policy, "delete"] if compacted else policy
        kept = {"retention.ms": topic.retention_days * DAY_MS}
    return {
        **({} if topic.partitions is None else {"partitions": topic.partitions}),
        "topicConfiguration": {
            "cleanup.policy": policy,
            **kept,
            "max.message.bytes": MAX_MESSAGE_BYTES,
        },
        "bindingVersion": _BINDING,
    }


def _operations() -> Iterator[tuple[str, Node]]:
    """What each role does with each topic, seen from the role."""
    for action, verb, roles in (("send", "writes", WRITERS), ("receive", "reads", READERS)):
        for topic, who in roles.items():
            for role in who:
                channel = f"#/channels/{_id(topic)}"
                yield (
                    f"{role}-{verb}-{_id(topic)}",
                    {
                        "action": action,
                        "title": f"{role} {verb} {topic}",
                        "channel": {"$ref": channel},
                        "tags": [{"name": role}],
                        "messages": [
                            {"$ref": f"{channel}/messages/{one.name}"} for one in _on(topic)
                        ],
                    },
                )


_ATTRIBUTES: Node = {
    "type": "object",
    "description": "Attributes of a CloudEvent in binary mode, as headers.",
    "properties": {
        "content-type": {"const": "application/json"},
        "ce_specversion": {"const": "1.0"},
        "ce_id": {
            **shapes.derived("rs", "co", "al", "nt", "re"),
            "description": "Derived from content: what is delivered again has the same one.",
        },
        "ce_type": {"type": "string", "pattern": r"^leeway\.[a-z]+(\.[a-z]+)?\.v1$"},
        "ce_source": {"type": "string", "pattern": "^/leeway/"},
        "ce_subject": {"type": "string", "minLength": 1},
        "ce_time": shapes.TIME,
        "ce_dataschema": {"type": "string", "pattern": "^urn:leeway:schema:[a-z-]+:v1$"},
        "ce_correlationid": {**shapes.derived("ep"), "description": "The episode."},
        "ce_causationid": {
            **shapes.derived("rs", "al", "re"),
            "description": "The event that caused this one.",
        },
        "ce_expirytime": shapes.TIME,
        "ce_severitytext": {"enum": ["info", "warning", "error", "critical"]},
        "ce_severitynumber": {"enum": ["9", "13", "17", "21"]},
        "ce_kind": {"type": "string"},
        "ce_series": {"type": "string"},
    },
    "required": [
        *("content-type", "ce_specversion", "ce_id", "ce_type", "ce_source", "ce_subject"),
        *("ce_time", "ce_dataschema"),
    ],
}
_PROFILE_HEADERS: Node = {
    "type": "object",
    "properties": {
        "leeway.kind": {"enum": ["summary", "outcomes", "joined", "progress", "intake"]}
    },
    "required": ["leeway.kind"],
}


def _message(of: Document) -> Node:
    found: Node = {
        "name": of.name,
        "title": of.summary,
        "contentType": "application/msgpack" if of.packed else "application/json",
        "bindings": {"kafka": {"key": _key(of), "bindingVersion": _BINDING}},
    }
    if of.events:
        found["headers"] = {
            "allOf": [
                {"$ref": "#/components/schemas/cloudevent"},
                {
                    "type": "object",
                    "properties": {
                        "ce_type": {"enum": list(of.events)},
                        "ce_dataschema": {"const": urn(of.name)},
                    },
                },
            ]
        }
        found["correlationId"] = {"location": "$message.header#/ce_correlationid"}
    if of.packed:
        found["headers"] = _PROFILE_HEADERS
    if of.name == "dead-letter":  # its schema is of headers; the value is whatever somebody sent
        return {
            **found,
            "headers": {"$ref": "./dead-letter.json"},
            "contentType": "application/octet-stream",
        }
    return {**found, "payload": {"$ref": f"./{of.name}.json"}}


_KEYS: Mapping[str, str] = {
    "prediction": "The event id where labels are joined, else anything or nothing.",
    "feature": "The entity, or nothing.",
    "label": "The event id; partitioned as the predictions are.",
    "outcome": "The event id.",
    "mark": "Nothing.",
    "lifecycle": "lifecycle|MODEL",
    "reference": "reference|MODEL|REFERENCE",
    "deployment": "deployment|MODEL",
    "routing": "routing",
    "state": "MODEL|VERSION|SEGMENT|PART",
    "delivery": "RECEIVER|EPISODE",
    "notification": "The episode's id.",
    "dead-letter": "As the origin.",
}


def _key(of: Document) -> Node:
    if of.name in ("dead-letter", "prediction", "feature", "label", "mark"):
        return {"description": _KEYS[of.name]}
    return {"type": "string", "description": _KEYS.get(of.name, "The model's id.")}
