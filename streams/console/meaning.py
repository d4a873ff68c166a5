"""What do the words of alerts and deliveries mean to a person, and what is to be done?"""

from alerting.deliver.items import State
from alerting.types import CauseClass, Held, Kind

MEANS: dict[Kind, tuple[str, str]] = {
    "data_drift": (
        "The model is asked about other things than it was built on. That is no damage by itself: whether answers got "
        "worse, labels or an estimate say.",
        "Look at the series below, reference beside current. If the change is real and lasts, retrain; if the data are "
        "wrong, repair them; if it was planned, rebaseline.",
    ),
    "prediction_drift": (
        "The model answers differently than in its reference.",
        "See whether inputs drifted, too: then that explains it. If they did not, look at the version and at what "
        "happens between the model and this stream.",
    ),
    "concept_drift": (
        "The same inputs mean something else than before: the model is wrong more often.",
        "Retrain with data from after the change. Until then consider the fallback.",
    ),
    "performance": (
        "The model's answers are worse than the line in its lifecycle.",
        "See where the errors are, decide between rollback and retraining, and tell whoever depends on the answers.",
    ),
    "data_quality": (
        "What the model is given is broken: missing, of the wrong type, out of range or stale.",
        "Repair the source. Retraining on broken data makes it worse, so it is vetoed while this is open.",
    ),
    "label_health": (
        "Too few labels come, or they come too late: how good the answers are cannot be told.",
        "See why labels are missing. What was measured before is no longer news.",
    ),
    "operational": (
        "The model is slow, fails, or does not answer.",
        "Look at the service that runs the model: load, errors, the last deployment.",
    ),
    "pipeline": (
        "Events do not reach Leeway as they should: too many are rejected.",
        "See the producer and the pipeline page. While this lasts, nothing is known about the model.",
    ),
    "version_regression": (
        "The new version is worse than the one before, over the same windows.",
        "Roll back unless the difference was intended.",
    ),
}
CAUSES: dict[CauseClass, str] = {
    "pipeline_break": "something broke on the way of the data",
    "input_shift": "the inputs changed",
    "prediction_shift": "only the predictions changed",
    "label_shift": "how often each truth occurs changed",
    "relation_change": "what the inputs say about the truth changed",
    "unknown": "unknown",
}
HELD: dict[Held, str] = {
    "grace": "a version was deployed shortly before; it is told when the grace period is over, if still open",
    "flapping": "it came back more than three times in 24 hours; only the digest has it until it is quiet for a day",
    "staging": "the model is not in production",
    "muted": "every route to its receivers is muted at this time; it is told when one is not",
    "snoozed": "somebody put it off; it is told then, if still open",
}
INHIBITED = (
    "another open episode explains it; it is told one window after that is over, if still visible"
)
SILENCED = "somebody silenced it; it is told at the end of the silence, if still open"
STATES: dict[State, str] = {
    "waiting": "tried, and tried again",
    "sent": "it arrived",
    "expired": "too late: it could not be sent for longer than the news was worth",
    "late": "the events are too old for a message",
    "superseded": "nothing was left to say: something newer was sent",
    "merged": "told as part of a message about several models",
    "refused": "never to be accepted; it is among the dead letters",
}
CHANGES = {
    "opened": "Opened",
    "escalated": "Got worse",
    "eased": "Got better",
    "acknowledged": "Acknowledged",
    "repeated": "Told again",
    "resolved": "Resolved",
}
RESOLVED = {
    "recovered": "the numbers are well again",
    "retrained": "a retrained version answers",
    "rebaselined": "the present was declared normal",
    "deployed": "another version answers",
    "manual": "somebody said so",
    "retired": "the model is retired",
}
