"""Has a slice lost more than the rest? Tallies of rows and errors compared, many at once, and the p-values corrected.

A tally is (2, …, width): of the window and of the past (else zeros), its rows, Σ and, for a loss, Σ².
"""

import numpy as np
from scipy import special

from detectors.samples.effects import Floats

LEAST = 30  # rows of a slice, and of the rest, to be compared


def rates(tally: Floats) -> Floats:
    """Error rate or mean loss; 0 where there is no row."""
    return np.asarray(tally[..., 1] / np.maximum(tally[..., 0], 1.0))


def compare(inside: Floats, outside: Floats, past: bool) -> tuple[Floats, Floats]:
    """Does each slice exceed the rest, or its own past by more than the rest does?

    Returns
    -------
    excess, log_p : logarithms of one-sided p-values; 0 where there are too few rows to say

    Examples
    --------
    >>> one = np.array([[100.0, 30.0], [0.0, 0.0]])
    >>> excess, log_p = compare(one, np.array([[900.0, 90.0], [0.0, 0.0]]), past=False)
    >>> round(float(excess), 2), round(float(np.exp(log_p)), 9)
    (0.2, 2.29e-07)
    """
    inside, outside = possible(inside), possible(outside)
    enough = (inside[0, ..., 0] >= LEAST) & (outside[0, ..., 0] >= LEAST)
    if past:
        whole = inside[1] + outside[1]
        few = (inside[1, ..., 0] < LEAST) | (outside[1, ..., 0] < LEAST)
        inside, outside = (
            np.stack([side[0], np.where(few[..., None], whole, side[1])])
            for side in (inside, outside)
        )
        enough &= whole[..., 0] >= LEAST
    now, before = rates(inside) - rates(outside)
    excess = now - before
    if inside.shape[-1] == 2 and not past:
        log_p = _fisher(inside[0], outside[0])
    else:
        others = (outside[0], inside[1], outside[1]) if past else (outside[0],)
        square = np.stack([square_error(side) for side in others]).sum(0)
        square = square + np.maximum(square_error(inside[0]), _expected(inside, outside, past))
        t = excess / np.sqrt(np.maximum(square, 1e-300))
        if inside.shape[-1] == 2:
            log_p = special.log_ndtr(-t)
        else:
            tail = special.stdtr(np.maximum(inside[0, ..., 0] - 1, 1.0), -t)
            log_p = np.log(np.maximum(tail, 1e-300))
    return excess, np.where(enough & (excess > 0), np.minimum(log_p, 0.0), 0.0)


def possible(tally: Floats) -> Floats:
    """No fewer than no rows, no more errors than rows: corrections may take back what another window counted."""
    out = np.maximum(tally, 0.0)
    if tally.shape[-1] == 2:
        out[..., 1] = np.minimum(out[..., 1], out[..., 0])
    return out


def _expected(inside: Floats, outside: Floats, past: bool) -> Floats:
    """Squared standard error of a slice's rate if it had no excess: where all are wrong, its own would be near 0."""
    n = inside[0, ..., 0]
    if inside.shape[-1] == 2:
        rate = np.clip(rates(outside[0]) + rates(inside[1]) - rates(outside[1]), 0.0, 1.0)
        return square_error(np.stack([n, n * rate], axis=-1))
    other = inside[1] if past else outside[0]
    return np.asarray(square_error(other) * np.maximum(other[..., 0] - 1, 1) / np.maximum(n - 1, 1))


def square_error(tally: Floats) -> Floats:
    """Squared standard error of a rate, or of a mean loss."""
    n = tally[..., 0]
    if tally.shape[-1] == 2:
        share = (tally[..., 1] + 1) / (n + 2)
        return np.asarray(share * (1 - share) / (n + 2))
    mean = rates(tally)
    spread = np.maximum(tally[..., 2] / np.maximum(n, 1.0) - mean * mean, 0.0)
    return np.asarray(spread / np.maximum(n - 1, 1.0))


def _fisher(inside: Floats, outside: Floats) -> Floats:
    """Logarithm of the chance of so many errors inside or more, given all margins; never too small.

    Each further term is at most the last times the ratio of the first two, which bounds the tail by a geometric sum.
    """
    n, k = inside[..., 0], inside[..., 1]
    rest, others = outside[..., 0], outside[..., 1]
    rows, errors = n + rest, k + others

    def chosen(of: Floats, some: Floats) -> Floats:
        return np.asarray(
            special.gammaln(of + 1) - special.gammaln(some + 1) - special.gammaln(of - some + 1)
        )

    log_mass = chosen(errors, k) + chosen(rows - errors, n - k) - chosen(rows, n)
    ratio = others * (n - k) / ((k + 1) * (rest - others + 1))
    return np.asarray(np.where(ratio < 1, log_mass - np.log1p(-np.minimum(ratio, 1 - 1e-12)), 0.0))


def holm(log_p: Floats) -> Floats:
    """Holm's corrected p-values.

    >>> holm(np.log([0.01, 0.5, 0.02])).round(9).tolist()
    [0.03, 0.5, 0.04]
    """
    order = np.argsort(log_p, kind="stable")
    steps = np.exp(log_p[order]) * np.arange(len(log_p), 0, -1)
    out = np.empty(len(log_p))
    out[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return out
