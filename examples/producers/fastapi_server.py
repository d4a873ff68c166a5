"""A model behind FastAPI that tells Leeway what it predicted.

    pip install fastapi uvicorn
    LEEWAY_BROKERS=localhost:9092 uvicorn fastapi_server:app --workers 4

Each worker makes its own emitter when it starts; a request only puts an event into its queue.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from pydantic import BaseModel

from streams.client import Emitter


class Customer(BaseModel):
    tenure_days: int
    plan: str
    monthly_fee: float | None = None


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    brokers = os.environ.get("LEEWAY_BROKERS", "localhost:9092")
    with Emitter(brokers, model_id="churn", model_version="1.0.0") as emitter:
        app.state.emitter = emitter
        yield


app = FastAPI(lifespan=lifespan)


def model(customer: Customer) -> float:
    """Stands for yours: the probability that a customer leaves."""
    if customer.tenure_days < 0:
        raise ValueError("a customer from the future")
    return 0.8 if customer.tenure_days < 90 and customer.plan == "basic" else 0.1


@app.post("/predict")
async def predict(customer: Customer, request: Request) -> dict[str, Any]:
    features = customer.model_dump()
    with request.app.state.emitter.timed(features, tags={"channel": "web"}) as seen:
        seen.score = model(customer)
        seen.prediction = "leaves" if seen.score >= 0.5 else "stays"
    return {"prediction": seen.prediction, "event_id": seen.event_id}
