"""Has a version that was deployed without a reference shown enough of itself to be its own? (`reference.from`)"""

from collections.abc import Mapping

from alerting.identity import derived
from detectors.reference.build import Reference
from detectors.reference.grown import Seen, enough, grown
from streams.judging.plans import UNVERSIONED, ModelPlan
from streams.judging.share import Share
from streams.judging.subjects import SubjectKey, SubjectState
from streams.judging.windows import OpenWindow
from streams.segments import ALL

MOST_WINDOWS = (
    1_000  # that are kept; what brings too few events in so many does not become a reference
)
_BROKEN = ("data_quality", "operational", "pipeline")


def see(share: Share, plan: ModelPlan, key: SubjectKey, start: int, counted: OpenWindow) -> None:
    """Keep a window of the current version, if nothing was broken in it."""
    model = share.models[plan.lifecycle.model_id]
    if key[0] not in (plan.lifecycle.version, UNVERSIONED):
        return
    if any(of.open and of.kind in _BROKEN for of in model.episodes):
        return
    of_key = model.subjects[key].seen
    of_key[start] = Seen(start, counted.events, counted.cells, plan.digest)
    share.put_seen(plan, key, start)
    for old in sorted(of_key)[:-MOST_WINDOWS]:
        del of_key[old]
        share.put_seen(plan, key, old)


def ripe(share: Share, plan: ModelPlan) -> Reference | None:
    """The reference, once there is enough of it; then nothing of it is kept besides."""
    model, lifecycle = share.models[plan.lifecycle.model_id], plan.lifecycle
    least, former = lifecycle.reference.min_events, plan.reference
    for version in (lifecycle.version, UNVERSIONED):
        mine = {key: of for key, of in model.subjects.items() if key[0] == version and of.seen}
        windows = _in_order(mine, (version, ALL), plan.digest)
        if former is None or not enough(windows, least):
            continue
        found = grown(
            former,
            windows,
            {key[1]: _in_order(mine, key, plan.digest) for key in sorted(mine) if key[1] != ALL},
            reference_id=derived("rf", lifecycle.model_id, lifecycle.version, windows[-1].start_ms),
            model_version=lifecycle.version,
            window_ms=plan.window_ms,
        )
        for key in sorted(model.subjects):
            share.forget_seen(plan, key)
        return found
    return None


def _in_order(of: Mapping[SubjectKey, SubjectState], key: SubjectKey, digest: str) -> list[Seen]:
    """Those that were counted in the same cells: another reference may have been lent meanwhile."""
    seen = sorted(of[key].seen.items()) if key in of else []
    return [one for _, one in seen if one.digest == digest]
