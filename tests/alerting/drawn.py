"""Which alerts could there be? Strategies that draw any: hostile names, extreme numbers, everything missing or endless.

What a rendering shows at the top is drawn by hypothesis, piece by piece; the rest comes from a seed that it draws, and
takes a tenth of the time.
"""

from random import Random

from hypothesis import strategies as st

from alerting.digest import TITLES, Digest, DigestItem, Why, digest
from alerting.identity import alert_id, episode_id, rfc3339
from alerting.settings import DAY_MS, Receiver
from alerting.shared import News, Shared
from alerting.types import (
    Affected,
    Alert,
    AlertEvidence,
    AlertLinks,
    AlertModel,
    Bin,
    Cause,
    CauseClass,
    Change,
    Delivery,
    Effect,
    Kind,
    Missing,
    Severity,
    Since,
    Subject,
)
from detectors.types import Status

NOW_MS = 1_772_434_800_000  # 2026-03-02T07:00:00Z
HOSTILE = (
    "x" * 5_000,
    "<script>alert(1)</script>",
    "&<>|" * 200,
    "&amp;&lt;&#x202e;",
    'a\n\r\n"\\' * 100,
    "\r\nBcc: everybody@example.org",
    "<!channel> <@U1> <http://evil.example|here> @here @channel",
    "*bold* _it_ ~no~ `code` ```block```",
    "🎉👩‍👩‍👧‍👦" * 60,
    "שלום עולם",
    "\u202e drow \u2066 \u200f txet",
    "\x00\x07\x1b[31m\ud800\ufdd0\uffff",
    "е́" * 200,  # combining
    "'; DROP TABLE x; --",
    "$(reboot) `reboot` ; reboot",
    "javascript:alert(1)",
    "https://",
    "https://wiki.example/a b|c>d<e\"f'g",
    "https://user:secret@" + "y" * 700,
    "",
    " ",
)
KINDS: tuple[Kind, ...] = Kind.__args__  # type: ignore[attr-defined]
CHANGES: tuple[Change, ...] = Change.__args__  # type: ignore[attr-defined]
CAUSES: tuple[CauseClass, ...] = CauseClass.__args__  # type: ignore[attr-defined]
SEVERITIES: tuple[Severity, ...] = Severity.__args__  # type: ignore[attr-defined]
REASONS: tuple[Why, ...] = tuple(TITLES)
EFFECTS = ("psi", "auc_shift", "difference", "tv", "missing(income)", "latency_p99", "recall")

WORDS = ("annual_income", "home", *HOSTILE)
NUMBERS = (0.0, -0.0, 1e-300, 0.0312, 0.404, -12.5, 199.0, 1e12, 1e308, -1e308)
SHARES = (0.0, 1e-9, 0.011, 0.355, 0.83, 1.0)
names = st.sampled_from(WORDS) | st.text(max_size=30)
times = st.integers(NOW_MS - 400 * DAY_MS, NOW_MS + 400 * DAY_MS)
seeds = st.integers(0, 2**32).map(Random)


def _series(seed: Random) -> Affected:
    of = seed.choice
    effect = Effect(of((*EFFECTS, *HOSTILE)), *(of(NUMBERS) for _ in range(4)))
    bins = tuple(Bin(seed.randint(1, 9), 500, of(SHARES), of(SHARES)) for _ in range(3))
    return Affected(
        of(("feature:", "missing:", "metric:", "joint:", "")) + of(WORDS),
        of(SHARES),
        of((None, effect, effect)),
        of((None, Missing(of(SHARES), of(SHARES)))),
        bins[: seed.randint(0, 3)],
    )


def _model(seed: Random) -> AlertModel:
    of = seed.choice
    return AlertModel(
        of(("loan-default", "m", "m" * 100)),
        of(WORDS),
        of(("2.3.1", "1" * 64)),
        of(("Production", "Staging EU/1", *HOSTILE)),
        of((None, *WORDS)),
    )


def _some(seed: Random, most: int) -> tuple[str, ...]:
    return tuple(seed.choices(WORDS, k=seed.randint(0, most)))


@st.composite
def alerts(draw: st.DrawFn) -> Alert:
    """Any alert whose ids, times and statuses agree."""
    change, kind = draw(st.sampled_from(CHANGES)), draw(st.sampled_from(KINDS))
    seed, opened_ms = draw(seeds), draw(times)
    of, model = seed.choice, _model(seed)
    at_ms = opened_ms + seed.randint(0, 90 * DAY_MS)
    episode = episode_id(Subject(model.id, model.version), kind, opened_ms)
    sequence = 1 if change == "opened" else seed.randint(2, 1000)
    over = change == "resolved"
    earliest, begun, latest = (rfc3339(opened_ms - DAY_MS * days) for days in (3, 2, 1))
    shown = tuple(_series(seed) for _ in range(of((0, 1, 2, 5)))) * of((1, 1, 10))
    price: dict[str, float | str] = {
        "amount": of(NUMBERS),
        "unit": of(("EUR", *WORDS)),
        "per": of((1000, 1000.0)),
    }
    return Alert(
        alert_id=alert_id(episode, sequence),
        episode_id=episode,
        sequence=sequence,
        at=rfc3339(at_ms),
        change=change,
        status="resolved" if over else "acknowledged" if change == "acknowledged" else "open",
        resolve_reason="recovered" if over else None,
        kind=kind,
        severity=draw(st.sampled_from(SEVERITIES)),
        verdict=of(tuple(Status)),
        title=draw(names),
        summary=draw(names),
        opened_at=rfc3339(opened_ms),
        resolved_at=rfc3339(at_ms) if over else None,
        since=of((None, Since(begun, earliest, latest))),
        reopened=of((True, False)),
        model=model,
        segment=of(("all", f"country={draw(names)}")),
        also_in=_some(seed, 4),
        affected_total=of((len(shown), 10**12)),
        affected=shown,
        cause=Cause({"class": of(CAUSES), "hints": _some(seed, 3)}),
        cost=of((None, price)),
        evidence=AlertEvidence(None, None, None, of((None, 0, 50_000, 10**12)), 3_544, None),
        delivery=Delivery(("slack", "pagerduty", "email", "hook"), None, None, None),
        links=AlertLinks(of((None, *WORDS)), of((None, "https://leeway.example/m?a=b&c", *WORDS))),
    )


ADDRESSES = ((), ("ops@example.org",), ("Ops <ops@example.org>",) * 100)
slack_receivers = st.builds(
    Receiver,
    st.just("slack"),
    st.just("slack"),
    st.sampled_from((None, "#ml-alerts", "C" * 80)),
    threads=st.booleans(),
    buttons=st.booleans(),
)
mail_receivers = st.builds(
    Receiver, st.just("email"), st.just("email"), to=st.sampled_from(ADDRESSES)
)
PAGERDUTY = Receiver("pagerduty", "pagerduty")
WEBHOOK = Receiver("hook", "webhook")


@st.composite
def digests(draw: st.DrawFn) -> Digest:
    """A day's digest, of one line or of hundreds."""
    seed, copies = draw(seeds), draw(st.sampled_from((1, 1, 40)))
    of = seed.choice
    many = [
        DigestItem(
            of(REASONS),
            f"m{k}",
            f"ep-{k}",
            rfc3339(NOW_MS + k),
            text,
            of(SEVERITIES),
            of((True, False)),
        )
        for k, text in enumerate(draw(st.lists(names, min_size=1, max_size=8)) * copies)
    ]
    found = digest("slack", 1_772_352_000_000, many)
    assert found is not None
    return found


@st.composite
def shared_causes(draw: st.DrawFn) -> Shared:
    """One series in 3 to 40 models."""
    series = f"feature:{draw(names)}"
    end_ms, title = draw(times), draw(names)
    severity = draw(st.sampled_from(SEVERITIES))
    members = tuple(
        News("slack", series, f"model-{k}", episode_id(Subject(f"m{k}", "1"), "data_drift", end_ms),
             end_ms + k * 1000, severity, title)
        for k in range(draw(st.integers(3, 40)))
    )  # fmt: skip
    return Shared("sh-" + "0" * 40, "slack", series, end_ms, severity, members)
