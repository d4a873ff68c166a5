"""Airflow 3: a run of the DAG `retrain`, whose id is the trigger's. A second one of this id is answered with 409."""

import json
import os
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

AIRFLOW = os.environ.get("AIRFLOW_URL", "http://localhost:8080")


def start(trigger: dict[str, Any]) -> None:
    # without a logical date: that of an older run would be taken for the same run
    body = {"dag_run_id": trigger["trigger_id"], "logical_date": None, "conf": trigger}
    headers = {
        "Authorization": f"Bearer {os.environ['AIRFLOW_TOKEN']}",
        "Content-Type": "application/json",
    }
    url = f"{AIRFLOW}/api/v2/dags/retrain/dagRuns"
    try:
        urlopen(Request(url, json.dumps(body).encode(), headers), timeout=30).close()
    except HTTPError as error:
        with error:
            if error.code != 409:  # it was started already
                raise
