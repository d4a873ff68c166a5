"""Which drift method is meant, and what does a threshold under it mean? (contracts 2.1, 2.2)"""

import re
from dataclasses import dataclass
from math import inf

from streams.lifecycle.grammar import fold, number, one_of
from streams.lifecycle.metrics import operator, without_lead
from streams.lifecycle.mistakes import Wrong, bare, shown

_METHODS = {
    "auto": "auto",
    "PSI": "psi",
    "KS-test": "ks",
    "KS": "ks",
    "Chi-Square": "chi2",
    "Chi2": "chi2",
    "JS": "js",
    "Jensen-Shannon": "js",
    "Wasserstein": "wasserstein",
    "TV": "tv",
    "Total-Variation": "tv",
    "Hellinger": "hellinger",
    "AUC-shift": "auc_shift",
    "Mean-shift": "mean_shift",
    "Cramers-V": "cramers_v",
    "Cramér's V": "cramers_v",
    "Two-proportion": "two_proportion",
    "Two-proportions": "two_proportion",
}
_EXPECTED = (
    "auto, PSI, KS-test, Chi-Square, JS, Wasserstein, TV, Hellinger, AUC-shift, Mean-shift, "
    "Cramers-V or Two-proportion"
)
_method = one_of(_METHODS, "a drift method", _EXPECTED)
# Known by their p-value and by a size alike: what the size is called in a threshold.
_DISTANCE = {"ks": "D", "chi2": "V", "two_proportion": "difference"}
# What follows is of `detectors.samples.methods`, which is not imported here: reading a lifecycle needs no numbers. A
# test holds the two together.
_MOST = {"auc_shift": 0.5} | dict.fromkeys(
    ("ks", "chi2", "js", "tv", "hellinger", "two_proportion", "cramers_v"), 1.0
)  # the largest value of the effect, where it has one
ONLY_NUMBERS = {
    "ks": "KS-test",
    "wasserstein": "Wasserstein",
    "auc_shift": "AUC-shift",
    "mean_shift": "Mean-shift",
}
ONLY_CATEGORIES = {
    "chi2": "Chi-Square",
    "cramers_v": "Cramers-V",
    "two_proportion": "Two-proportion",
}


@dataclass(frozen=True, slots=True)
class Methods:
    """One method for each type of series."""

    number: str = "auto"
    category: str = "auto"


AUTO = Methods()


def methods(value: object) -> Methods:
    """A method's name, or ``{number: …, category: …}``."""
    if isinstance(value, Methods):
        return value
    if isinstance(value, dict):
        if not value or not set(value) <= {"number", "category"}:
            raise Wrong(
                shown(value), "is not a method", f"{_EXPECTED}, or {{number: …, category: …}}"
            )
        found = {}
        for kind, name in value.items():
            try:
                found[kind] = _method(name)
            except Wrong as error:
                raise Wrong(
                    error.subject, error.what, error.expected, error.hint, (kind,)
                ) from None
        for kind, refused, compares in (
            ("number", ONLY_CATEGORIES, "categories"),
            ("category", ONLY_NUMBERS, "numbers"),
        ):
            name = refused.get(found.get(kind, ""))
            if name:
                other = "numbers" if kind == "number" else "categories"
                raise Wrong(
                    "", f"{name} compares {compares}", f"another method for {other}", at=(kind,)
                )
        return Methods(**found)
    name = _method(value)
    return Methods(name, name)


def methods_document(value: Methods) -> object:
    """What `methods` reads as `value`."""
    if value.number == value.category:
        return value.number
    return {"number": value.number, "category": value.category}


@dataclass(frozen=True, slots=True)
class Threshold:
    """A size or, for `measure` p, a level.

    `measure` is "" (the method's effect), ``p``, or ``D``, ``V`` or ``difference``: the size that KS, chi-square or
    two proportions are known by, spelt out.
    """

    value: float
    measure: str = ""


def threshold(value: object, method: Methods) -> Threshold:
    """A number in the method's effect, ``PSI > 0.2``, ``D > 0.05`` or ``p < 0.05``.

    Raises
    ------
    Wrong
        A bare number under a method known by its p-value; another method's name; a comparison the wrong way round.
    """
    if isinstance(value, Threshold):
        return value
    used = {method.number, method.category}
    test = next((name for name in _DISTANCE if name in used), None)
    expected = "a number such as 0.2"
    if test:
        expected = f'"p < 0.05" or "{_DISTANCE[test]} > 0.05"'
    measure, sign, written = "", "", value
    if isinstance(value, str):
        text = without_lead(value)
        lead = re.match(
            r"\s*([^\W\d][\w\s'’-]*?)\s*(?=[<>≤≥]|\bbelow|\babove|\bexceeds)", text, re.I
        )
        measure = _measure(lead[1], used, value) if lead else ""
        sign, written = operator(text[lead.end() :] if lead else text)
    try:
        size = number(written.strip() if isinstance(written, str) else written)
    except Wrong:
        hint = "write 0.1 for 10%" if isinstance(value, str) and "%" in value else ""
        raise Wrong(shown(value), "is not a threshold", expected, hint) from None
    if measure == "p":
        if sign not in ("<", "<="):
            raise Wrong(shown(value), "alerts when nothing drifted", f'"p < {bare(size)}"')
        if not 0 < size < 1:
            raise Wrong(shown(value), "is no level", "p below a number between 0 and 1")
        return Threshold(size, "p")
    if sign in ("<", "<="):
        if test and not measure:
            raise Wrong(shown(value), "may be p or a distance", expected)
        raise Wrong(shown(value), "alerts when nothing drifted", f'"> {bare(size)}"')
    if test and not measure:
        told = f'"p < {bare(size)}" or "{_DISTANCE[test]} > {bare(size)}"'
        raise Wrong(shown(value), f"may be p or {_DISTANCE[test]}", told)
    if size <= 0:
        raise Wrong(shown(value), "is not above 0", expected)
    most = min((_MOST[name] for name in used if name in _MOST), default=inf)
    if size >= most:
        raise Wrong(shown(value), "is never exceeded", f"below {bare(most)}")
    return Threshold(size, measure)


def _measure(name: str, used: set[str], value: object) -> str:
    said = fold(name)
    if said in ("p", "p value"):
        return "p"
    if said == "d" and "ks" in used:
        return "D"
    if said in ("v", "cramers v", "cramér's v"):
        if "chi2" in used:
            return "V"
        if "cramers_v" in used:
            return ""
    if said == "difference" and "two_proportion" in used:
        return "difference"
    try:
        method = _method(name)
    except Wrong:
        raise Wrong(
            shown(value), f'has "{name}" before the comparison', "a number, PSI > 0.2 or p < 0.05"
        ) from None
    if method not in used:
        raise Wrong(shown(value), "is of another method", f"one of {', '.join(sorted(used))}")
    return _DISTANCE.get(method, "")


def threshold_document(value: Threshold) -> object:
    """What `threshold` reads as `value`."""
    if value.measure == "p":
        return f"p < {bare(value.value)}"
    return f"{value.measure} > {bare(value.value)}" if value.measure else value.value
