"""What does a name say about what it names? The only place that knows words of other people's events."""

import re
from collections.abc import Mapping

__all__ = ["FIELDS", "OBJECTS", "is_code", "is_id", "is_personal", "plain", "tokens"]

# our field: what others call it, the likeliest first; compared without case, blanks, dots, dashes and underscores
FIELDS: Mapping[str, tuple[str, ...]] = {
    "timestamp": (
        *("timestamp", "eventtimestamp", "eventtime", "predictiontimestamp", "predictiontime"),
        *("predictedat", "scoredat", "servedat", "occurredat", "requestedat", "requesttime"),
        *("ts", "at", "time", "datetime", "loggedat", "createdat", "created", "date", "asof"),
    ),
    "event_id": (
        *("eventid", "predictionid", "requestid", "inferenceid", "correlationid", "traceid"),
        *("transactionid", "messageid", "uuid", "guid", "rowid", "id"),
    ),
    "model_id": ("modelid", "modelname", "model"),
    "model_version": ("modelversion", "modelver", "modelrevision", "version", "model"),
    "prediction": (
        *("prediction", "predicted", "predictedclass", "predictedlabel", "predictedvalue"),
        *("ypred", "yhat", "pred", "predictions", "forecast", "decision", "output", "result"),
    ),
    "score": (
        *("score", "probability", "proba", "prob", "confidence", "pscore", "yscore", "yproba"),
        *("predictionscore", "modelscore", "riskscore", "likelihood"),
    ),
    "latency_ms": (
        *("latencyms", "latency", "durationms", "tookms", "elapsedms", "responsetimems"),
        *("inferencetimems", "processingtimems", "latencymillis"),
    ),
    "status": ("status", "state", "statuscode"),
    "label": (
        *("label", "truth", "groundtruth", "actual", "ytrue", "truelabel", "actuallabel"),
        *("outcome", "target", "actualvalue", "y"),
    ),
    "loss": ("loss",),
    "label_timestamp": (
        *("labeltimestamp", "labeltime", "labelledat", "labeledat", "knownat", "outcomeat"),
        *("truthtimestamp", "resolvedat"),
    ),
    "prediction_timestamp": ("predictiontimestamp",),
    "label_confidence": ("labelconfidence",),
    "entity_id": ("entityid",),
    "feature_timestamp": ("featuretimestamp",),
}
OBJECTS: Mapping[str, tuple[str, ...]] = {
    "features": (
        *("features", "inputs", "input", "instance", "featurevector", "modelinput", "x"),
        *("attributes", "payload", "data", "record", "row"),
    ),
    "scores": ("scores", "probabilities", "probas", "classprobabilities", "predictproba"),
    "tags": ("tags", "dimensions", "segments", "labels", "context", "metadata", "meta"),
}
STATUSES = frozenset(("ok", "error", "timeout", "fallback"))
POSITIVE = frozenset(
    (
        *("1", "true", "yes", "y", "positive", "pos", "default", "defaulted", "fraud", "bad"),
        *("churn", "churned", "leaves", "late", "spam", "up", "click", "clicked", "reject"),
        *("abnormal", "anomaly", "failure", "failed", "sick", "converted", "buy"),
    )
)
SEGMENTS = frozenset(
    (
        *("country", "region", "channel", "platform", "device", "market", "store", "site"),
        *("tenant", "segment", "cohort", "language", "locale", "brand", "product", "plan"),
        *("tier", "environment", "zone", "datacenter", "partner"),
    )
)
DIVISIONS = frozenset(("split", "fold", "dataset", "partition", "subset", "cvfold"))
_CODES = frozenset(
    (
        *("code", "class", "type", "kind", "category", "zip", "postcode", "weekday", "month"),
        *("flag", "is", "has", "group", "dayofweek", "status", "cluster", "bucket"),
    )
)
_IDS = frozenset(("id", "ids", "uuid", "guid", "key", "hash", "token", "reference"))
_PERSONAL = frozenset(
    (
        *("email", "mail", "emailaddress", "phone", "mobile", "telephone", "fax", "msisdn"),
        *("iban", "bic", "ssn", "passport", "surname", "firstname", "lastname", "fullname"),
        *("forename", "maidenname", "username", "birthday", "birthdate", "dob", "address"),
        *("street", "postcode", "zip", "zipcode", "ip", "ipaddress", "latitude", "longitude"),
        *("gps", "lat", "lon", "lng", "gender", "sex", "ethnicity", "religion", "nationality"),
        *("taxid", "nationalid", "licenseplate", "cardnumber", "accountnumber", "socialsecurity"),
    )
)
_WHOSE_NAME = frozenset(
    ("customer", "user", "person", "applicant", "client", "patient", "contact", "first", "last")
)
_PAIRS = re.compile(
    r"(date|year)ofbirth|birth(date|day|year|place)|(card|account|phone|passport)(number|no)"
    r"|(tax|national)id|socialsecurity|(first|last|full|sur|user)name|ipaddr|licenseplate"
)
_LOOKS_PERSONAL = re.compile(
    r"[^@\s]+@[^@\s]+\.[a-zA-Z]{2,}"  # e-mail
    r"|[A-Z]{2}\d{2}( ?[A-Z0-9]{4}){3,7}( ?[A-Z0-9]{1,3})?"  # IBAN
    r"|\+\d[\d ()/-]{6,18}\d"  # telephone
    r"|(\d{1,3}\.){3}\d{1,3}"  # IPv4
    r"|\d{4}[ -]\d{4}[ -]\d{4}[ -]\d{4}"  # a payment card
)


def plain(name: str) -> str:
    """A name without what only separates.

    >>> plain("Event-ID"), plain("created_at")
    ('eventid', 'createdat')
    """
    return re.sub(r"[\s._\-/]", "", name).lower()


def tokens(name: str) -> tuple[str, ...]:
    """The words in a name.

    >>> tokens("customerEmail_2")
    ('customer', 'email', '2')
    """
    return tuple(word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+", name))


def is_personal(name: str, examples: list[str]) -> bool:
    """Whether a name, or most of some values, look like data about a person.

    >>> is_personal("customerEmail", []), is_personal("plan_name", []), is_personal("who", ["a@b.de"])
    (True, False, True)
    """
    words = tokens(name)
    if not _PERSONAL.isdisjoint(words) or _PAIRS.search(plain(name)) or words == ("name",):
        return True
    if words[-1:] == ("name",) and not _WHOSE_NAME.isdisjoint(words):
        return True
    looks = sum(_LOOKS_PERSONAL.fullmatch(text.strip()) is not None for text in examples)
    return 2 * looks > len(examples)


def is_code(name: str) -> bool:
    """Whether whole numbers of this name are rather codes than counts.

    >>> is_code("day_of_week"), is_code("term_months")
    (True, False)
    """
    return plain(name) in _CODES or not _CODES.isdisjoint(tokens(name))


def is_id(name: str) -> bool:
    """Whether a name is that of an identifier.

    >>> is_id("customer_id"), is_id("paid")
    (True, False)
    """
    words = tokens(name)
    return bool(words) and words[-1] in _IDS
