"""SageMaker: an execution of the pipeline `retrain`. The token makes a second start answer with the first execution."""

import os
from typing import Any

PIPELINE = os.environ.get("SAGEMAKER_PIPELINE", "retrain")


def start(trigger: dict[str, Any], client: Any = None) -> None:
    if client is None:
        import boto3

        client = boto3.client("sagemaker")
    window = trigger["training_window"]
    texts = {  # values are texts of at most 1,024 characters
        "TriggerId": trigger["trigger_id"],
        "ModelId": trigger["model"]["id"],
        "Start": window["start"],
        "End": window["end"],
    }
    client.start_pipeline_execution(
        PipelineName=PIPELINE,
        PipelineExecutionDisplayName=trigger["trigger_id"],
        ClientRequestToken=trigger["trigger_id"],
        PipelineParameters=[{"Name": name, "Value": value} for name, value in texts.items()],
    )
