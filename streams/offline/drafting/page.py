"""How does a drafted lifecycle read? The YAML file, with what was guessed and what to decide beside it."""

from streams.offline.drafting.draft import Draft, moment
from streams.offline.drafting.inputs import Feature
from streams.offline.drafting.written import Page, listed, number, scalar

__all__ = ["page_of"]


def page_of(drafted: Draft, file: str) -> str:
    """The file's text.

    Parameters
    ----------
    drafted : what it says
    file : how the commands in its head call it
    """
    page = Page()
    _head(page, drafted, file)
    page.say(0, "model_lifecycle:")
    page.say(1, f"model_id: {scalar(drafted.model_id)}")
    why = "that of most events" if drafted.version_seen else "no event says which"
    page.say(1, f"version: {_quoted(drafted.version)}", why)
    kind = (
        "Classification"
        if drafted.output.classes
        else "Regression"
        if drafted.output.numeric
        else "Other"
    )
    page.say(1, "metadata:")
    page.remark(2, "who is told, and why it matters: purpose, owner, framework, deployed_date")
    page.say(2, f"model_type: {kind}")
    _prediction(page, drafted)
    page.say(1, "deployment:")
    page.say(2, "environment: Staging", "Production may page people at night: when you trust it")
    _source(page, drafted)
    _features(page, drafted)
    _segments(page, drafted)
    _monitoring(page, drafted)
    personal = [one.name for one in drafted.features if one.personal or not drafted.values]
    if personal:
        page.say(1, "privacy:")
        page.say(2, f"pii: {listed(personal)}", "kept as numbers of bins, never as values")
    return str(page)


def _head(page: Page, drafted: Draft, file: str) -> None:
    of = "" if drafted.looked_at == drafted.rows else f" of {drafted.rows:,}"
    when = (
        f", {moment(drafted.first_ms)} to {moment(drafted.last_ms)}"
        if drafted.first_ms is not None and drafted.last_ms is not None
        else ""
    )
    page.remark(
        0,
        f"A draft by `leeway init`, from {drafted.looked_at:,}{of} events of {drafted.name}{when}.",
    )
    page.remark(0, "Read it, decide what the comments ask, and delete what you do not need. Then:")
    page.remark(0, f"leeway check {file} && leeway baseline {file} --data {drafted.name}")


def _quoted(text: str) -> str:
    return f'"{text}"'  # a version is text, also where YAML would not see it


def _prediction(page: Page, drafted: Draft) -> None:
    output = drafted.output
    if not output.classes and output.target is None and output.score_range is None:
        return
    page.say(1, "prediction:")
    if output.target is not None:
        page.say(2, f"target: {scalar(output.target)}")
    if output.classes:
        page.say(2, f"classes: {listed(output.classes)}")
    if output.positive is not None:
        page.say(2, f"positive: {scalar(output.positive)}", output.why)
    elif len(output.classes) == 2:
        page.remark(2, f"positive: {output.classes[0]}, or {output.classes[1]}: decide")
    if output.score_range is not None:
        low, high = map(number, output.score_range)
        page.say(2, f"score_range: [{low}, {high}]", "as far as the sample goes: decide")


def _source(page: Page, drafted: Draft) -> None:
    predictions: list[str] = []
    if drafted.topic is not None:
        predictions.append(f"topic: {scalar(drafted.topic)}")
    fields = dict(drafted.fields)
    if drafted.unit != "ms":
        predictions.append(f"timestamp_unit: {drafted.unit}")
    labels = [] if drafted.label_topic is None else [f"topic: {scalar(drafted.label_topic)}"]
    if drafted.label_unit != "ms":
        labels.append(f"timestamp_unit: {drafted.label_unit}")
    if not (predictions or fields or drafted.labels or drafted.constant_model):
        return
    page.say(1, "source:")
    if predictions or fields or drafted.constant_model:
        page.say(2, "predictions:")
        for line in predictions:
            page.say(3, line)
        if fields or drafted.constant_model:
            page.say(3, "fields:")
            if drafted.constant_model:
                page.say(
                    4, f"model_id: {{const: {scalar(drafted.model_id)}}}", "no event says which"
                )
            for field, path in fields.items():
                page.say(4, f"{field}: {scalar(path)}")
    if not drafted.labels:
        return
    if not labels and not drafted.label_fields:
        page.say(2, "labels: {}", "the truth, as it becomes known")
    else:
        page.say(2, "labels:")
        for line in labels:
            page.say(3, line)
        if drafted.label_fields:
            page.say(3, "fields:")
            for field, path in drafted.label_fields.items():
                page.say(4, f"{field}: {scalar(path)}")
    if drafted.joined:
        page.remark(2, "join: {window: 60d}: how long a prediction waits for its label")
    else:
        page.say(2, "join: false", "labels say what was predicted")


def _features(page: Page, drafted: Draft) -> None:
    if drafted.features:
        page.say(1, "features:")
    elif drafted.left_out:
        page.remark(1, "features: none was found")
    for one in drafted.features:
        page.say(2, f"{scalar(one.name)}: {_feature(one)}", one.note)
    for left in drafted.left_out:
        declared = f": {left.type}" if left.type is not None else ""
        page.remark(2, f"{left.name}{declared}  (left out: {left.why})")


def _feature(one: Feature) -> str:
    parts = [f"type: {one.type}"]
    if one.path is not None:
        parts.append(f"path: {scalar(one.path)}")
    if one.range is not None:
        low, high = map(number, one.range)
        parts.append(f"range: [{low}, {high}]")
    if one.allowed:
        parts.append(f"allowed: {listed(one.allowed)}")
    if one.nullable is not None:
        parts.append(f"nullable: {100 * one.nullable:.4g}%")
    return f"{{{', '.join(parts)}}}" if len(parts) > 1 else one.type


def _segments(page: Page, drafted: Draft) -> None:
    if not drafted.segments:
        return
    page.say(1, "segments:")
    for one in drafted.segments:
        said = f"{one.values} values, each watched by itself"
        name = scalar(one.name)
        text = name if one.path is None else f"{{name: {name}, path: {scalar(one.path)}}}"
        page.say(2, f"- {text}", said)


def _monitoring(page: Page, drafted: Draft) -> None:
    windows = drafted.windows
    page.say(1, "monitoring:")
    if windows is not None:
        about = f"about {windows.events:,.0f} events in a window"
        if windows.events < 100:
            about += ": few, so only large changes can be told from chance"
        page.say(2, f"window: {{pane: {windows.pane}, size: {windows.size}}}", about)
    page.say(
        2, "false_alarms: 1 per 90 days", "of the whole model: all features, segments and looks"
    )
    page.say(2, "drift_detection:")
    page.say(3, "data_drift: {method: auto, features_monitored: all}")
    if drafted.labels:
        length = windows.outcomes if windows is not None else "1d"
        page.say(
            3,
            f"concept_drift: {{method: Performance degradation, window: {length}, threshold: 5 points}}",
            "how much worse is worth a retraining: decide",
        )
    if windows is not None and windows.quality is not None:
        page.say(
            2,
            f"data_quality: {{window: {windows.quality}}}",
            "shorter ones would hold too few events",
        )
    page.say(2, "alerts:")
    page.say(3, "- {condition: Data drift detected, severity: Warning, channel: Slack}")
    if drafted.labels:
        page.say(3, "- {condition: Concept drift detected, severity: Error, channel: Slack}")
