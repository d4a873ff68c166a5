"""How does "what fires when" look? An SVG by hand: the same input gives the same bytes, and nothing is needed to draw.

It brings its own background, so that it reads the same on light and dark pages. Colours are those of Okabe and Ito,
which most colour-blind people can tell apart; what they say is written beside every line as well.
"""

from collections.abc import Iterator, Sequence
from html import escape
from itertools import pairwise

import numpy as np

from benchmarks._real import Fired, Real

WIDTH, LEFT, RIGHT = 980, 250, 110
LINE, CHART, TOP, GAP = 17, 70, 72, 46
OURS, CLASSICAL, RIVER, KNOWN, INK, FAINT = (
    "#0072B2",
    "#D55E00",
    "#5D5D5D",
    "#009E73",
    "#1B1B1B",
    "#DADADA",
)
SMOOTHED = 500  # rows that a point of the error rate is the mean of
STEP = 5_000  # rows between ticks


def drawn(found: Sequence[tuple[Real, list[Fired]]]) -> str:
    """Both streams, one below the other."""
    body, y = list[str](), TOP
    for real, fired in found:
        body += _stream(real, fired, y)
        y += CHART + LINE * len(fired) + 2 * GAP
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" height="{y}"'
        ' role="img" aria-labelledby="title about" font-family="Helvetica, Arial, sans-serif" font-size="11">'
    )
    about = (
        "Every rule is a line, every mark a moment at which it fires. Leeway fires once, where the drift begins; "
        "the classical rules fire in most windows before it."
    )
    return "\n".join(
        [
            head,
            '<title id="title">What fires when on two real streams</title>',
            f'<desc id="about">{about}</desc>',
            f'<rect width="{WIDTH}" height="{y}" rx="6" fill="#FFFFFF"/>',
            _text(16, 24, "What fires when on two real streams", size=16, bold=True),
            _key(16, 44),
            *body,
            "</svg>",
            "",
        ]
    )


def _key(x: float, y: float) -> str:
    parts = [
        (OURS, "Leeway: ◆ alarm, bar while an episode is open"),
        (CLASSICAL, "classical rules on features, any feature"),
        (RIVER, "river on errors, warmed on the reference"),
        (KNOWN, "known drift"),
    ]
    out = []
    for colour, text in parts:
        out.append(f'<rect x="{x}" y="{y - 8}" width="9" height="9" fill="{colour}"/>')
        out.append(_text(x + 14, y, text))
        x += 28 + 5.9 * len(text)
    return "\n".join(out)


def _stream(real: Real, fired: list[Fired], y: float) -> Iterator[str]:
    rows = len(real.errors)

    def at(row: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * row / rows

    yield _text(16, y, real.known.title, size=13, bold=True)
    top, bottom = y + 22, y + 22 + CHART
    end = bottom + 8 + LINE * len(fired)
    yield from _axes(top, bottom, end, rows, at(0), at(rows))
    known = at(real.known.quiet)
    yield (
        f'<rect x="{known:.1f}" y="{top}" width="{at(rows) - known:.1f}" height="{end - top:.1f}"'
        f' fill="{KNOWN}" fill-opacity="0.09"/>'
    )
    yield f'<path d="M{known:.1f} {top}V{end:.1f}" stroke="{KNOWN}" stroke-width="1.5" stroke-dasharray="4 3"/>'
    yield _text(known + 4, top - 4, f"▸ {real.known.event}", colour=KNOWN)
    yield _errors(real, top, bottom)
    for number, one in enumerate(fired):
        yield from _strip(one, bottom + 8 + LINE * number, real, rows)
    yield _text(WIDTH - RIGHT + 8, bottom + 2, "before / after", colour=RIVER)


def _axes(
    top: float, bottom: float, end: float, rows: int, left: float, right: float
) -> Iterator[str]:
    yield f'<path d="M{left} {top}V{end:.1f}H{right}" fill="none" stroke="{INK}"/>'
    for share in (0.0, 0.5, 1.0):
        y = bottom - (bottom - top) * share
        yield f'<path d="M{left} {y:.1f}H{right}" stroke="{FAINT}"/>'
        yield _text(left - 6, y + 4, f"{share:.1f}", anchor="end")
    yield _text(
        left - 30, (top + bottom) / 2 + 4, f"error rate, mean of {SMOOTHED} rows", anchor="end"
    )
    for row in range(0, rows, STEP):
        x = left + (right - left) * row / rows
        yield f'<path d="M{x:.1f} {end:.1f}v4" stroke="{INK}"/>'
        yield _text(x, end + 16, f"{row:,}", anchor="middle")
    yield _text((left + right) / 2, end + 32, "production row", anchor="middle")


def _errors(real: Real, top: float, bottom: float) -> str:
    whole = len(real.errors) // SMOOTHED
    means = real.errors[: whole * SMOOTHED].reshape(whole, SMOOTHED).mean(1)
    points = [
        (
            LEFT + (WIDTH - LEFT - RIGHT) * (k + 0.5) * SMOOTHED / len(real.errors),
            bottom - (bottom - top) * mean,
        )
        for k, mean in enumerate(means.tolist())
    ]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{INK}" stroke-width="1.5"/>'


def _strip(fired: Fired, y: float, real: Real, rows: int) -> Iterator[str]:
    ours, river = fired.rule.startswith("Leeway"), fired.rule.endswith("on errors")
    colour = OURS if ours else RIVER if river else CLASSICAL
    middle, quiet = y + LINE / 2, real.known.quiet
    scale = (WIDTH - LEFT - RIGHT) / rows
    yield _text(LEFT - 8, middle + 4, fired.rule, anchor="end", colour=colour, bold=ours)
    yield f'<path d="M{LEFT} {y + LINE:.1f}H{WIDTH - RIGHT}" stroke="{FAINT}" stroke-width="0.5"/>'
    # A look at windows covers what was read since the look before; a detector of values has only moments.
    length = 0 if river else rows / max(fired.looks, 1)
    if ours:
        for start, stop in _runs(fired.open, length):
            yield _bar(LEFT + start * scale, middle - 3, (stop - start) * scale, 6, colour, 0.35)
        for row in fired.rows:
            yield _diamond(LEFT + row * scale, middle, colour)
    elif river:
        marks = "".join(f"M{LEFT + row * scale:.1f} {middle - 5:.1f}v10" for row in fired.rows)
        if marks:
            yield f'<path d="{marks}" stroke="{colour}" stroke-width="1.2"/>'
    else:
        for start, stop in _runs(fired.rows, length):
            yield _bar(LEFT + start * scale, middle - 5, (stop - start) * scale, 10, colour, 0.8)
    before = fired.before(quiet)
    told = f"{before} / {len(fired.rows) - before}"
    yield _text(WIDTH - RIGHT + 8, middle + 4, told, colour=colour, bold=ours)


def _runs(ends: Sequence[int], length: float) -> Iterator[tuple[float, float]]:
    """Neighbouring looks as one stretch each."""
    if not ends:
        return
    gaps = [k + 1 for k, (a, b) in enumerate(pairwise(ends)) if b - a > 1.5 * length]
    for part in np.split(np.array(ends), gaps):
        yield float(part[0]) - length, float(part[-1])


def _bar(x: float, y: float, width: float, height: float, colour: str, opacity: float) -> str:
    return (
        f'<rect x="{max(x, LEFT):.1f}" y="{y:.1f}" width="{max(width, 1):.1f}" height="{height}"'
        f' fill="{colour}" fill-opacity="{opacity}"/>'
    )


def _diamond(x: float, y: float, colour: str) -> str:
    return f'<path d="M{x - 5:.1f} {y:.1f}l5 -6l5 6l-5 6z" fill="{colour}" stroke="#FFFFFF"/>'


def _text(
    x: float,
    y: float,
    text: str,
    *,
    size: int = 11,
    anchor: str = "start",
    colour: str = INK,
    bold: bool = False,
) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}"{weight}>'
        f"{escape(text)}</text>"
    )
