"""How are numbers of unknown size added up exactly? As integers by magnitude, and read back as exact fractions.

A size in [2^(8k-48), 2^(8k-40)), k = 0 … 15, is rounded to :math:`m = |v| 2^{70-8k}`, at most 2^30: to 2^-22 of itself
or better. Smaller ones round to whole 2^-70; larger ones, from 2^80 on, count as 2^80. Of m² the high and the low 30
bits are kept, so squares of the rounded numbers are exact and a variance does not cancel away. Third and fourth powers
come from m and :math:`b = m²/2^{30}`, rounded; they serve intervals only.
"""

from fractions import Fraction

import numpy as np

from detectors.samples.effects import Floats, Ints

MAGNITUDES = 16
ERROR, TRUTH, RATIO = 8, 7, 3  # integers per magnitude
LARGEST = 2.0**80
_BITS = 30
_LOW = (1 << _BITS) - 1
_UNIT = 70  # the smallest magnitude counts in 2^-70
_STEP = 8  # bits between magnitudes


def magnitudes(values: Floats) -> tuple[Ints, Ints]:
    """Magnitude and rounded size of finite or infinite numbers.

    >>> magnitudes(np.array([0.0, 1.0, -3.0, 1e30]))
    (array([ 5,  6,  6, 15]), array([         0,    4194304,   12582912, 1073741824]))
    """
    size = np.minimum(np.abs(values), LARGEST)
    _, exponent = np.frexp(size)
    k = np.clip((exponent.astype(np.int64) + 47) >> 3, 0, MAGNITUDES - 1)
    m = np.rint(np.ldexp(size, _UNIT - _STEP * k)).astype(np.int64)
    return k, m


def halves(square: Ints) -> tuple[Ints, Ints]:
    """The high and the low 30 bits of numbers of at most 2^60."""
    return square >> _BITS, square & _LOW


def rounded(square: Ints) -> Ints:
    """b, the square in units of 2^30."""
    return (square + (1 << (_BITS - 1))) >> _BITS


def added(sums: Ints, power: int) -> Fraction:
    """The exact sum of some numbers to a power of 1 or 2, from its integers of every magnitude.

    Parameters
    ----------
    sums : int64, shape (16,) for power 1, (16, 2), high and low, for more
    """
    total = 0
    for k, one in enumerate(sums.tolist()):
        whole = one if power == 1 else (one[0] << _BITS) + one[1]
        total += whole << (power * _STEP * k)
    # Each b is 30 bits short of the square that it stands for: one of them is in a third power, two in a fourth.
    return Fraction(total, 1 << (power * _UNIT - _BITS * max(power - 2, 0)))
