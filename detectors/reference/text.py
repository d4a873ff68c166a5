"""What can be counted of a text? Its length, its words, how many of these nobody has seen, and what it is written with.

Six numbers per text, each a series of its own; the text itself goes no further.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from math import nan

import numpy as np

from detectors.samples.effects import Floats, Ints

MOST_BYTES = 64 * 1024  # a longer text is a defect
MOST_KNOWN = 20_000  # words, or values of an identifier, that a vocabulary keeps
_REMEMBERED = 100_000  # words whose answer is kept; then it starts anew
_SHORT = 64  # a longer word is hashed every time

_words: Callable[[str], list[str]] = re.compile(r"\w+").findall
_digits = re.compile(r"\d").findall
_marks = re.compile(r"[^\w\s]").findall
_foreign = re.compile(r"[^\W\d_\x00-\x7f]").findall
_ASCII = "".join(map(chr, range(128)))
_ASCII_DIGITS = "".join(_digits(_ASCII)).encode()
_ASCII_MARKS = "".join(_marks(_ASCII)).encode()


def tokens(text: str) -> list[str]:
    r"""The words of a text: runs of ``\w``, case folded.

    >>> tokens("Straße 7: LEERT_nicht, 早い!")
    ['strasse', '7', 'leert_nicht', '早い']
    """
    if text.isascii():
        return _words(text.casefold())  # the same, in one call
    return [word.casefold() for word in _words(text)]  # some grow marks that are no part of a word


def hashed(word: str) -> int:
    """64 bits of a word, the same on every machine and in every run.

    >>> hashed("drift")
    1844675154698275067
    """
    digest = blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def fits(text: str) -> bool:
    """Whether it is at most 64 KiB of UTF-8."""
    if len(text) > MOST_BYTES:
        return False
    return 4 * len(text) <= MOST_BYTES or len(text.encode("utf-8", "surrogatepass")) <= MOST_BYTES


class Vocabulary:
    """Which words the reference contained, by their hashes.

    Two words share one of 2^64 hashes with a chance of 10⁻¹⁵ for a vocabulary of 20,000: an unseen word that passes
    for a known one. Answers are remembered, up to a bound, because most words come again.
    """

    def __init__(self, known: Iterable[int]) -> None:
        self._known = frozenset(known)
        self._unseen: dict[str, bool] = {}

    def unseen(self, words: Sequence[str]) -> int:
        """How many of the words are not in it, repeated ones each time."""
        found = list(map(self._unseen.get, words))
        if None in found:
            found = [self._look(w) if f is None else f for w, f in zip(words, found, strict=True)]
        return found.count(True)

    def _look(self, word: str) -> bool:
        unseen = hashed(word) not in self._known
        if len(word) <= _SHORT:
            if len(self._unseen) >= _REMEMBERED:
                self._unseen.clear()
            self._unseen[word] = unseen
        return unseen


def measured(text: str, vocabulary: Vocabulary) -> tuple[float, ...]:
    r"""The numbers of a text, in the order of `detectors.series.PARTS`; NaN where there is none.

    ``length`` is in code points, ``words`` are those of `tokens`, ``unseen`` is the share of the words that are not in
    the vocabulary. The other three are shares of the code points: digits (``\d``), punctuation and symbols (neither
    ``\w`` nor white space, so emoji too), and letters beyond ASCII. An empty text has length and words 0, and no
    shares.

    Notes
    -----
    Cost: about .25 µs per word and 1 µs per text, two to three times that where it is not ASCII. Blind to the order
    of the words, to their frequency, and to a change of meaning in the same words.

    Examples
    --------
    >>> known = Vocabulary(map(hashed, ["late", "payment"]))
    >>> measured("Late PAYMENT, 2 days", known)
    (20.0, 4.0, 0.5, 0.05, 0.05, 0.0)
    >>> measured("", known)
    (0.0, 0.0, nan, nan, nan, nan)
    """
    length = len(text)
    if not length:
        return 0.0, 0.0, nan, nan, nan, nan
    words = tokens(text)
    unseen = vocabulary.unseen(words) / len(words) if words else nan
    if text.isascii():
        raw = text.encode()
        digits = length - len(raw.translate(None, _ASCII_DIGITS))
        marks, foreign = length - len(raw.translate(None, _ASCII_MARKS)), 0
    else:
        digits, marks = len(_digits(text)), len(_marks(text))
        foreign = sum(map(str.isalpha, _foreign(text)))
    shares = digits / length, marks / length, foreign / length
    return float(length), float(len(words)), unseen, *shares


@dataclass(frozen=True, slots=True)
class Learnt:
    """A vocabulary, and the share of each reference row's words that the rest of the reference does not know."""

    known: tuple[int, ...]  # hashes, ascending
    unseen: Floats  # (rows,), NaN for a row without words
    distinct: int


def learn(rows: Sequence[Sequence[str]], groups: Ints) -> Learnt:
    r"""Draw a vocabulary from the words of each row, and say how much of a row is news to it.

    The vocabulary holds the 20,000 words that most rows contain (ties by code point). A row's own words are in it, so
    the share of unseen words of the reference's rows would come out as 0, and every production row would look like
    drift: language never ends. Each row is therefore judged by what all *other* groups of rows contain: a word counts
    as seen if it would have made its way into the vocabulary without the rows of its own group.

    Parameters
    ----------
    groups : int64, shape (rows,)
        Rows that may repeat each other's words: the windows, or each row by itself.

    Notes
    -----
    With single rows as groups, the mean of the shares is Good and Turing's estimate of the mass of unseen words:
    singletons over occurrences (Good 1953, "The population frequencies of species"). It is right where groups are
    exchangeable; a trend in the language shows as drift, which it is.

    Examples
    --------
    >>> found = learn([["late", "fee"], ["late"], []], np.arange(3))
    >>> len(found.known), found.unseen.tolist()
    (2, [0.5, 0.0, nan])
    """
    number: dict[str, int] = {}
    flat = np.array([number.setdefault(w, len(number)) for row in rows for w in row], np.int64)
    lengths = np.array([len(row) for row in rows], np.int64)
    at = np.repeat(np.arange(len(rows)), lengths)
    if not len(flat):
        return Learnt((), np.full(len(rows), np.nan), 0)
    words = list(number)
    pairs = np.unique(at * len(words) + flat)  # each word once per row
    of_row, of_word = np.divmod(pairs, len(words))
    held = np.bincount(of_word, minlength=len(words))  # rows that hold it
    _, group = np.unique(groups, return_inverse=True)
    places, beside = np.unique(group[of_row] * len(words) + of_word, return_counts=True)
    own = beside[np.searchsorted(places, group[at] * len(words) + flat)]
    ranked = sorted(range(len(words)), key=lambda i: (-int(held[i]), words[i]))
    known = np.zeros(len(words), bool)
    known[ranked[:MOST_KNOWN]] = True
    least = int(held[ranked[MOST_KNOWN]]) if len(ranked) > MOST_KNOWN else 1
    seen = known[flat] & (held[flat] - own >= least)
    with np.errstate(invalid="ignore"):  # a row without words
        unseen = np.bincount(at, ~seen, minlength=len(rows)) / lengths
    return Learnt(
        tuple(sorted({hashed(words[i]) for i in ranked[:MOST_KNOWN]})), unseen, len(words)
    )
