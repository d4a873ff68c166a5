"""What do the classical rules say of the same windows? Every one is `(reference, windows) -> flags` on cell counts.

A rule sees one feature and one window; the alarm that people make of it is "any feature". References have the shape
(cells, features), windows (cells, windows, features); cells come first, as in `detectors.samples.effects`.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import special

from detectors.samples import two_sample
from detectors.samples.effects import Floats, Ints, shares
from detectors.series import Series

Flags = NDArray[np.bool_]
Rule = Callable[[Ints, Ints], Flags]

PSI_LIMIT, P_LIMIT, SDS = 0.2, 0.05, 3.0


def ks_p(reference: Ints, windows: Ints) -> Floats:
    """p-value of the two-sample Kolmogorov-Smirnov test at the edges (the limit distribution)."""
    (p, m), (q, n) = shares(reference), shares(windows)
    gap = np.abs(np.cumsum(q, 0) - np.cumsum(p, 0)).max(0)
    return np.asarray(special.kolmogorov(gap * np.sqrt(m * n / np.maximum(m + n, 1))))


def psi_rule(reference: Ints, windows: Ints) -> Flags:
    """PSI > 0.2, shares smoothed by a half row."""
    return np.asarray(two_sample.psi(*_same(reference, windows)).statistic > PSI_LIMIT)


def chi_square_rule(reference: Ints, windows: Ints) -> Flags:
    """Chi-square p < .05, two samples."""
    return np.asarray(two_sample.chi_square(*_same(reference, windows)).p_value < P_LIMIT)


def ks_rule(reference: Ints, windows: Ints) -> Flags:
    """Kolmogorov-Smirnov p < .05."""
    return ks_p(reference[:, None], windows) < P_LIMIT


def bonferroni_rule(reference: Ints, windows: Ints) -> Flags:
    """Chi-square p < 1 / (1,000 windows × 50 features): a false alarm in 1,000 windows, if the p-values are right."""
    p = two_sample.chi_square(*_same(reference, windows)).p_value
    return np.asarray(p < 1 / (1_000 * 50))


def _same(reference: Ints, windows: Ints) -> tuple[Ints, Ints]:
    return np.broadcast_to(reference[:, None], windows.shape), windows


def jensen_shannon(reference: Ints, windows: Ints) -> Floats:
    """Distance, base 2."""
    (p, _), (q, _) = shares(reference), shares(windows)
    p = np.broadcast_to(p[:, None], q.shape)
    middle = (p + q) / 2
    terms = [special.rel_entr(side, middle).sum(0) / (2 * np.log(2)) for side in (p, q)]
    return np.asarray(np.sqrt(np.maximum(terms[0] + terms[1], 0)))


def three_sds_rule(chunks: Ints, reference: Ints, windows: Ints) -> Flags:
    """Jensen-Shannon distance above mean + 3 sd of the reference's own chunks, shape as of windows."""
    own = jensen_shannon(reference, chunks)
    return np.asarray(jensen_shannon(reference, windows) > own.mean(0) + SDS * own.std(0))


def chunked(generator: Generator, reference: Ints, rows: int) -> Ints:
    """The reference's rows in random order, cut into chunks of `rows` rows: (cells, chunks, features)."""
    out = []
    for counts in reference.T:
        cells = generator.permutation(np.repeat(np.arange(len(counts)), counts))
        usable = cells[: len(cells) // rows * rows].reshape(-1, rows)
        out.append([np.bincount(c, minlength=len(counts)) for c in usable])
    return np.moveaxis(np.array(out, np.int64), (0, 1, 2), (2, 1, 0))


def features(series: Sequence[Series], flat: Ints) -> list[tuple[bool, Ints]]:
    """The value cells of a flat (…, cells) vector, grouped by kind: (whether numeric, (cells, …, features)).

    For categories unseen values are a cell too.
    """
    groups: dict[tuple[bool, int], list[Ints]] = {}
    at = 0
    for s in series:
        width = s.values if s.numeric else s.values + 1
        groups.setdefault((s.numeric, width), []).append(flat[..., at : at + width])
        at += s.cells
    return [
        (numeric, np.moveaxis(np.stack(found, axis=-1), -2, 0))
        for (numeric, _), found in groups.items()
    ]


def flagged(rule: Rule, series: Sequence[Series], reference: Ints, windows: Ints) -> Flags:
    """Per window, (windows, features in the order of kinds): what the rule flags."""
    pairs = zip(features(series, reference), features(series, windows), strict=True)
    return np.concatenate([rule(r, w) for (_, r), (_, w) in pairs], axis=1)


def ks_or_chi_square(series: Sequence[Series], reference: Ints, windows: Ints) -> Flags:
    """KS p < .05 for numbers and chi-square p < .05 for the others, as most tools combine them."""
    pairs = zip(features(series, reference), features(series, windows), strict=True)
    return np.concatenate(
        [(ks_rule if numeric else chi_square_rule)(r, w) for (numeric, r), (_, w) in pairs], axis=1
    )


def three_sds(
    series: Sequence[Series], reference: Ints, windows: Ints, rows: int, generator: Generator
) -> Flags:
    """`three_sds_rule` on all features, with chunks of as many rows as a window has."""
    pairs = zip(features(series, reference), features(series, windows), strict=True)
    return np.concatenate(
        [three_sds_rule(chunked(generator, r, rows), r, w) for (_, r), (_, w) in pairs], axis=1
    )
