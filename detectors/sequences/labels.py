"""Has the model begun to err more, label by label? The default detectors of errors where their order is known.

* `Labels` bets against the rate that a reference tolerates: `detectors.sequences.losses.Bernoulli`, on every label
  instead of every window. It sees a change within a window.
* `Unreferenced` has no reference and compares every batch of labels with all before it.

Both are `SequenceDetector`, and both have a bound on their false alarms: with M = (1 + M) e, M reaches A not before A
steps on average while the rate stays. Blind to errors that change place while their rate stays.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import exp, inf, isinf, log
from typing import Any

import numpy as np

from detectors.samples.effects import Floats, Ints
from detectors.sequences.contract import screened
from detectors.sequences.losses import CERTAIN, ODDS, Bernoulli, gains, log_mean

BLOCK = 256  # labels between two changes of scale: 5^±256 and their products stay finite
HIGHEST = 100.0  # largest log A, for the same reason
BATCH = 25  # labels that are compared with all before
TILTS = np.array([-3, -2, -1, -0.5, -0.25, 0.25, 0.5, 1, 2, 3.0])  # standardised shifts betted on
FIRST_BET = 10  # batches, this one included, from which the pool is worth a comparison
EXPECTED = 4.0  # rows of the rarer kind that a batch needs to have a usable z


def _checked(log_threshold: float) -> None:
    if not 0 < log_threshold <= HIGHEST:
        raise ValueError(f"log A is above 0 and at most {HIGHEST:.0f}, not {log_threshold}")


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """What `Labels` remembers. Numbers of errors and labels are exact; only `start` and `total` are sums of floats."""

    start: Floats  # (5,): M where the block began
    total: Floats  # (5,): sum of exp(-S) over the labels of the block, S being what they have won
    block: tuple[int, int]  # errors and labels in the block
    run: tuple[int, int]  # errors and labels since the last reset
    lowest: Floats  # (5,): least S since the last reset, 0 at its beginning
    lowest_at: Ints  # (5,): after how many labels since the reset it was last reached
    seen: int = 0  # labels in all
    skipped: int = 0
    found: tuple[int, int] | None = None  # the last detection: label and onset, counted from 0


@lru_cache(16)
def _tables(p0: float, phi: float) -> tuple[Floats, Floats, Floats, Floats]:
    """exp(±S) of 0 … BLOCK errors and of right answers, (5, BLOCK + 1) each. Looked up, not computed, in every call:
    a vectorised exp may depend on where in the array a number stands."""
    many = np.arange(BLOCK + 1)
    wrong, right = (np.array(g)[:, None] * many / phi for g in gains(p0))
    return np.exp(wrong), np.exp(right), np.exp(-wrong), np.exp(-right)


@dataclass(frozen=True, slots=True)
class Labels:
    r"""The e-detector of an error rate on single labels, 0 or 1 (an error), in order. A `SequenceDetector`.

    After a detection M starts at 0 again: in T labels at most T/A false alarms are expected.

    Parameters
    ----------
    rate : what is tolerated
    log_threshold : log A, A counted in labels; at most 100

    Notes
    -----
    Between changes of scale :math:`M_j = e^{S_j} (M_0 + \sum_{i<j} e^{-S_i})`, whose sum is taken one by one: a whole
    array costs .2 µs per label, and any split of it gives the same bits. With 10,000 reference labels of rate .2 and
    A = 100,000: .034 false alarms per 10,000 labels (bound .1), .3 found after 339 labels, .5 after 48.

    Examples
    --------
    >>> from detectors.sequences.losses import tolerated
    >>> watch = Labels(Bernoulli(tolerated(2_000, 10_000)), log(1e5))
    >>> errors = np.tile([0.0, 0, 0, 0, 1], 200)
    >>> state, found = watch.extend(watch.start(), np.append(errors, np.tile([0.0, 1], 100)))
    >>> found.tolist(), state.found
    ([1049, 1103, 1157], (1157, 1105))
    """

    rate: Bernoulli
    log_threshold: float

    def __post_init__(self) -> None:
        _checked(self.log_threshold)

    def start(self) -> Labelled:
        """No label yet."""
        zero = np.zeros(len(ODDS))
        return Labelled(zero, zero, (0, 0), (0, 0), zero, np.zeros(len(ODDS), np.int64))

    def log_statistic(self, state: Labelled) -> float:
        """log M, the mean over the alternatives; -inf after no label since the last reset."""
        grown, more, _, _ = _tables(self.rate.p0, self.rate.phi)
        k, n = state.block
        m = grown[:, k] * more[:, n - k] * (state.start + state.total)
        mean = float(np.add.reduce(m)) / len(ODDS)
        return log(mean) if mean > 0 else -inf

    def extend(self, state: Labelled, values: Floats) -> tuple[Labelled, Ints]:
        """Read labels; see `SequenceDetector`."""
        labels, at = screened(values, binary="loss")
        state = replace(state, skipped=state.skipped + len(values) - len(labels))
        if self.rate.p0 > CERTAIN:  # nothing can be worse: it stands still
            return replace(state, seen=state.seen + len(labels)), np.zeros(0, np.int64)
        wrong, found, position = labels.astype(np.int64), [], 0
        while position < len(wrong):
            part = wrong[position : position + BLOCK - state.block[1]]
            state, read, alarm = self._block(state, part)
            position += read
            if alarm:
                found.append(int(at[position - 1]))
        return state, np.array(found, np.int64)

    def _block(self, state: Labelled, part: Ints) -> tuple[Labelled, int, bool]:
        """Read labels up to the end of the block or the first alarm: the state, how many, and whether it alarmed."""
        grown, more, less, lost = _tables(self.rate.p0, self.rate.phi)
        k = np.concatenate(([0], part.cumsum()))  # before each label, and after the last
        right = np.arange(len(k)) - k
        kb, rb = k + state.block[0], right + (state.block[1] - state.block[0])
        # take: five times as fast as indexing the second axis
        shrunk = less.take(kb[:-1], 1) * lost.take(rb[:-1], 1)
        total = np.add.accumulate(np.concatenate((state.total[:, None], shrunk), 1), axis=1)[:, 1:]
        m = grown.take(kb[1:], 1) * more.take(rb[1:], 1) * (state.start[:, None] + total)
        over = np.add.reduce(m, axis=0) >= len(ODDS) * exp(self.log_threshold)
        alarm = bool(over.any())
        read = int(over.argmax()) + 1 if alarm else len(part)
        lowest, lowest_at = self._lowest(state, k[1 : read + 1], right[1 : read + 1])
        seen = state.seen + read
        if alarm:
            lead = int(m[:, read - 1].argmax())
            began = seen - (state.run[1] + read) + int(lowest_at[lead])
            fresh = self.start()
            found = (seen - 1, began)
            return replace(fresh, seen=seen, skipped=state.skipped, found=found), read, True
        block, run = (state.block[0] + int(k[read]), state.block[1] + read), state.run
        start, sums = state.start, total[:, -1]
        if block[1] == BLOCK:
            start, sums, block = m[:, -1], np.zeros(len(ODDS)), (0, 0)
        run = (run[0] + int(k[read]), run[1] + read)
        return (
            Labelled(start, sums, block, run, lowest, lowest_at, seen, state.skipped, state.found),
            read,
            False,
        )

    def _lowest(self, state: Labelled, k: Ints, right: Ints) -> tuple[Floats, Ints]:
        """Where the CUSUM twin was last at 0: where what was won since the reset is least."""
        wins, losses = (np.array(g)[:, None] for g in gains(self.rate.p0))
        won = (state.run[0] + k) * wins + (state.run[1] - state.run[0] + right) * losses
        newest = won.shape[1] - 1 - won[:, ::-1].argmin(1)
        least = won.min(1)
        lower = least <= state.lowest
        at = np.where(lower, state.run[1] + newest + 1, state.lowest_at)
        return np.where(lower, least, state.lowest), at

    def to_data(self, state: Labelled) -> dict[str, Any]:
        """The state for JSON, exact."""
        return {
            "start": state.start.tolist(),
            "total": state.total.tolist(),
            "block": list(state.block),
            "run": list(state.run),
            "lowest": state.lowest.tolist(),
            "lowest_at": state.lowest_at.tolist(),
            "seen": state.seen,
            "skipped": state.skipped,
            "found": state.found and list(state.found),
        }

    def from_data(self, data: dict[str, Any]) -> Labelled:
        """The state that `to_data` wrote."""
        return Labelled(
            np.array(data["start"], np.float64),
            np.array(data["total"], np.float64),
            _pair(data["block"]),
            _pair(data["run"]),
            np.array(data["lowest"], np.float64),
            np.array(data["lowest_at"], np.int64),
            data["seen"],
            data["skipped"],
            data["found"] and _pair(data["found"]),
        )


def _pair(data: Sequence[int]) -> tuple[int, int]:
    first, second = data
    return first, second


@dataclass(frozen=True, slots=True, eq=False)
class Batches:
    """What `Unreferenced` remembers."""

    batch: tuple[int, int]  # errors and labels of the batch that is not full yet
    pool: tuple[int, int]  # errors and labels of all batches since the last reset
    batches: int  # since the last reset
    log: Floats  # (10,): log M, -inf before the first bet
    seen: int = 0  # labels in all
    skipped: int = 0

    @property
    def log_statistic(self) -> float:
        """log M, the mean over the shifts betted on; -inf before the first bet."""
        return log_mean(self.log)


@dataclass(frozen=True, slots=True)
class Unreferenced:
    r"""The e-detector of an error rate without a reference: batches of 25 labels against all before. Both directions.

    Parameters
    ----------
    log_threshold : log A, A counted in labels; at most 100

    Notes
    -----
    :math:`e = \exp(λz - λ^2/2)` with :math:`z = (k/n - P)/\sqrt{P(1-P)(1/n - 1/N)}`, P the error rate of the N labels
    since the last reset, this batch included: D4 of `detectors.alarm.sequential`. It bets from the tenth batch on, and
    in batches that are joined until four labels of the rarer kind are expected in one: with fewer, z is far from normal
    (at a rate of .01, forty times the false alarms allowed). Assumes independent labels; asymptotic. Cost .5 µs
    per label. On Bernoulli .2 and A = 2,000,000: .005 false alarms per 10,000, .3 found after 390 labels, .5 after 66.

    Examples
    --------
    >>> watch = Unreferenced(log(2e6))
    >>> errors = np.tile([0.0, 0, 0, 0, 1], 400)
    >>> state, found = watch.extend(watch.start(), np.append(errors, np.tile([0.0, 1], 100)))
    >>> found.tolist()
    [2074]
    """

    log_threshold: float

    def __post_init__(self) -> None:
        _checked(self.log_threshold)

    def start(self) -> Batches:
        """No label yet."""
        return Batches((0, 0), (0, 0), 0, np.full(len(TILTS), -np.inf))

    def extend(self, state: Batches, values: Floats) -> tuple[Batches, Ints]:
        """Read labels; see `SequenceDetector`."""
        labels, at = screened(values, binary="loss")
        state = replace(state, skipped=state.skipped + len(values) - len(labels))
        errors = np.concatenate(([0], labels.astype(np.int64).cumsum())).tolist()
        position, found = 0, []
        while position < len(labels):
            read = min(BATCH - state.batch[1] % BATCH, len(labels) - position)
            k = errors[position + read] - errors[position]
            batch = (state.batch[0] + k, state.batch[1] + read)
            state = replace(state, batch=batch, seen=state.seen + read)
            position += read
            if batch[1] % BATCH == 0:
                state = self._closed(state)
                # A batch, not a label, is a step: A labels are A / BATCH of them.
                if state.log_statistic >= self.log_threshold - log(BATCH):
                    found.append(int(at[position - 1]))
                    state = replace(self.start(), seen=state.seen, skipped=state.skipped)
        return state, np.array(found, np.int64)

    def _closed(self, state: Batches) -> Batches:
        k, n = state.batch
        pool = (state.pool[0] + k, state.pool[1] + n)
        rate = pool[0] / pool[1]
        if n * min(rate, 1 - rate) < EXPECTED:
            return state  # wait for another 25
        state = replace(state, batch=(0, 0), pool=pool, batches=state.batches + 1)
        if state.batches < FIRST_BET:
            return state
        scale = (rate * (1 - rate) * (1 / n - 1 / pool[1])) ** 0.5
        gain = TILTS * ((k / n - rate) / scale) - TILTS**2 / 2
        return replace(state, log=np.logaddexp(0.0, state.log) + gain)

    def to_data(self, state: Batches) -> dict[str, Any]:
        """The state for JSON, exact; -inf is null."""
        return {
            "batch": list(state.batch),
            "pool": list(state.pool),
            "batches": state.batches,
            "log": [None if isinf(v) else v for v in state.log.tolist()],
            "seen": state.seen,
            "skipped": state.skipped,
        }

    def from_data(self, data: dict[str, Any]) -> Batches:
        """The state that `to_data` wrote."""
        return Batches(
            _pair(data["batch"]),
            _pair(data["pool"]),
            data["batches"],
            np.array([-inf if v is None else v for v in data["log"]], np.float64),
            data["seen"],
            data["skipped"],
        )
