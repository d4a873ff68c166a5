"""Airflow 3 without a bridge: an asset that watches the topic, and a DAG that runs when it changes.

The watcher commits a message before its event is stored, so that a crash in between loses it; `start_within` then tells
that nothing was started. It may also give one event twice: the task asks by the trigger's id whether it was done.
Needs apache-airflow-providers-apache-kafka and a connection `leeway` (bootstrap.servers, group.id,
isolation.level: read_committed).
"""

import json
from typing import Any

from airflow.providers.apache.kafka.triggers.msg_queue import KafkaMessageQueueTrigger
from airflow.sdk import Asset, AssetWatcher, dag, task


def approved(message: Any) -> dict[str, Any] | None:
    """The trigger, if a pipeline may start; None: the watcher goes on."""
    headers = message.headers() or []
    if ("ce_type", b"leeway.retraining.approved.v1") not in headers:
        return None
    return dict(json.loads(message.value()))


WATCHER = AssetWatcher(
    name="leeway",
    trigger=KafkaMessageQueueTrigger(
        topics=["leeway.retraining"],
        apply_function="airflow_watcher.approved",  # as the triggerer imports this file
        kafka_config_id="leeway",
    ),
)


@dag(schedule=[Asset("leeway-retraining", watchers=[WATCHER])], max_active_runs=1, catchup=False)
def retrain() -> None:
    @task
    def train(triggering_asset_events: Any = None) -> None:
        for events in triggering_asset_events.values():
            for event in events:
                trigger = event.extra["payload"]
                print(trigger["trigger_id"], trigger["training_window"])

    train()


retrain()
