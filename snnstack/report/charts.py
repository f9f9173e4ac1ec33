"""Geometry of the figures of a page: plain numbers in, positions out. Templates draw them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from snnstack.report.pareto import Interval, front, joined

PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f")
"""Okabe and Ito: told apart by people with any colour vision. Shapes say the same again."""
SHAPES = ("circle", "square", "triangle", "diamond", "plus", "cross", "star")


@dataclass(frozen=True)
class Axis:
    """A scale: `at(value)` is 0..1; `ticks` are (position, label)."""

    low: float
    high: float
    kind: Literal["log", "linear"]
    ticks: tuple[tuple[float, str], ...]

    def at(self, value: float) -> float:
        """Position of `value`, kept inside the axis."""
        if self.kind == "log":
            value, low, high = (math.log10(max(v, 1e-300)) for v in (value, self.low, self.high))
        else:
            low, high = self.low, self.high
        return min(1.0, max(0.0, (value - low) / (high - low)))


def log_axis(values: Iterable[float]) -> Axis:
    """Whole decades around all positive `values`; every decade a tick, at most about eight.

    >>> [label for _, label in log_axis([0.3, 70]).ticks]
    ['0.1', '1', '10', '100']
    """
    positive = [v for v in values if v > 0 and math.isfinite(v)] or [1.0]
    first = math.floor(math.log10(min(positive)) + 1e-9)
    last = max(math.ceil(math.log10(max(positive)) - 1e-9), first + 1)
    every = -(-(last - first) // 8)
    span = last - first
    decades = range(first, last + 1, every)
    ticks = tuple(((k - first) / span, short(10.0**k)) for k in decades)
    return Axis(10.0**first, 10.0**last, "log", ticks)


def linear_axis(values: Iterable[float], *, most: float = math.inf, pad: float = 0.0) -> Axis:
    """About five round ticks around `values` and `pad` more on each side, none above `most`.

    >>> [label for _, label in linear_axis([96.94, 96.94], most=100, pad=1).ticks]
    ['95.5', '96.0', '96.5', '97.0', '97.5', '98.0']
    """
    found = [v for v in values if math.isfinite(v)] or [0.0, 1.0]
    low, high = min(found) - pad, min(max(found) + pad, max(most, *found))
    if high - low < 1e-9:
        wider = abs(high) * 0.05 or 0.5
        low, high = low - wider, high + wider
    step = nice((high - low) / 5)
    low, high = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
    count = round((high - low) / step)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    digits += round(step * 10**digits, 6) % 1 != 0
    ticks = tuple((k / count, f"{low + k * step:.{digits}f}") for k in range(count + 1))
    return Axis(low, high, "linear", ticks)


def nice(step: float) -> float:
    """The next of 1, 2, 2.5, 5, 10 times a power of ten.

    >>> [nice(v) for v in (0.03, 1.2, 7)]
    [0.05, 2.0, 10.0]
    """
    power = 10.0 ** math.floor(math.log10(step))
    return float(next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= step * (1 - 1e-9)))


def short(value: float, figures: int = 3) -> str:
    """A number as people read it, with a prefix of thousands where it is long.

    >>> [short(v) for v in (0, 0.0456, 1, 96.94, 12_345, 2.5e7, 3e-7)]
    ['0', '0.0456', '1', '96.9', '12.3k', '25M', '3e-07']
    >>> [short(v, 2) for v in (134, 9.96, 1348, 125_000)]
    ['130', '10', '1300', '120k']
    """
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else str(value)
    if abs(value) < 1e4 and value == int(value) and figures > 2:
        return f"{value:.0f}"
    rounded = float(f"{value:.{figures}g}")
    for limit, unit, suffix in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if abs(rounded) >= limit:
            return f"{rounded / unit:.12g}{suffix}"
    return f"{rounded:.12g}"


def styles(names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """(colour, shape) of each name, in order of appearance; they repeat after seven."""
    return {
        name: (PALETTE[k % len(PALETTE)], SHAPES[k % len(SHAPES)])
        for k, name in enumerate(dict.fromkeys(names))
    }


def shape_path(shape: str, x: float, y: float, r: float = 5.0) -> str:
    """An SVG path of a marker around (x, y)."""
    a, d, w = 0.9 * r, 1.2 * r, r / 2.5
    moves = {
        "square": (("M", -a, -a), ("h", 2 * a), ("v", 2 * a), ("h", -2 * a)),
        "triangle": (("M", 0, -r), ("l", r, 1.8 * r), ("h", -2 * r)),
        "diamond": (("M", 0, -d), ("l", d, d), ("l", -d, d), ("l", -d, -d)),
        "cross": (("M", -a, 0), ("l", 2 * a, 0), ("l", -a, 0), ("l", -a, -a), ("l", 2 * a, 2 * a),
                  ("l", -a, -a), ("l", a, -a), ("l", -2 * a, 2 * a)),
        "plus": (("M", -w, -r), ("h", 2 * w), ("v", r - w), ("h", r - w), ("v", 2 * w),
                 ("h", w - r), ("v", r - w), ("h", -2 * w), ("v", w - r), ("h", w - r),
                 ("v", -2 * w), ("h", r - w)),
        "star": _star(r),
    }  # fmt: skip
    if shape not in moves:
        half = f"a{r:.1f} {r:.1f} 0 1 0"
        return f"M{x - r:.1f} {y:.1f}{half} {2 * r:.1f} 0{half} {-2 * r:.1f} 0z"
    (_, *start), *rest = moves[shape]
    first = f"M{x + start[0]:.1f} {y + start[1]:.1f}"
    return first + "".join(k + " ".join(f"{n:.1f}" for n in by) for k, *by in rest) + "z"


def _star(r: float) -> tuple[Any, ...]:
    ends = [
        (k * math.sin(i * math.pi / 5), -k * math.cos(i * math.pi / 5))
        for i, k in enumerate([1.2 * r, 0.5 * r] * 5)
    ]
    lines = [("l", q[0] - p[0], q[1] - p[1]) for p, q in pairwise(ends)]
    return (("M", *ends[0]), *lines)


def raster_path(
    events: Sequence[tuple[int, int]], steps: int, rows: int, size: tuple[float, float]
) -> str:
    """One tick per event, as a single path in a box of `size`."""
    dx, dy = size[0] / max(steps, 1), size[1] / max(rows, 1)
    height = max(dy * 0.8, 1.6)
    return "".join(f"M{(t + 0.5) * dx:.1f} {row * dy:.1f}v{height:.1f}" for t, row in events)


def line_path(values: Sequence[float], size: tuple[float, float]) -> tuple[str, float, float]:
    """(path, smallest, largest): `values` from left to right, scaled to a box of `size`."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    span = high - low or 1.0
    dx = size[0] / max(len(values), 1)
    points = [
        f"{(k + 0.5) * dx:.1f} {size[1] * (1 - (v - low) / span):.1f}" for k, v in enumerate(values)
    ]
    return "M" + "L".join(points) if points else "", low, high


def scatter(
    points: Sequence[tuple[float, float]],
    bands: Sequence[tuple[float, float]],
    *,
    box: tuple[float, float, float, float],
    heights: Sequence[Interval],
    y_log: bool = False,
    most: float = math.inf,
    pad: float = 0.0,
) -> dict[str, Any]:
    """Log x (energy) against y. `box`: left, top, width, height; `bands`: whiskers along x.

    `heights`: within which the y of each point is known. Its front joins only points that lie
    apart in both (`snnstack.report.pareto`).
    """
    left, top, width, height = box
    x_axis = log_axis([v for band in bands for v in band] + [x for x, _ in points])
    ys = [y for _, y in points]
    y_axis = log_axis(ys) if y_log else linear_axis(ys, most=most, pad=pad)

    def place(x: float, y: float) -> tuple[float, float]:
        return left + x_axis.at(x) * width, top + (1 - y_axis.at(y)) * height

    best = front([(x, -y if y_log else y) for x, y in points])
    return {
        "points": [place(x, y) for x, y in points],
        "whiskers": [(place(a, 1)[0], place(b, 1)[0]) for a, b in bands],
        "x_ticks": [(left + p * width, label) for p, label in x_axis.ticks],
        "y_ticks": [(top + (1 - p) * height, label) for p, label in y_axis.ticks],
        "front": "".join(
            "M" + "L".join("{:.1f} {:.1f}".format(*place(*points[k])) for k in line)
            for line in joined(best, bands, heights)
            if len(line) > 1
        ),
        "best": best,
    }


LETTER = (7.5, 10.0)
"""Width and height of a figure in a label."""
AROUND = tuple(
    (x, y) for far in (0, 11, 22) for x, y in ((8, -5 - far), (8, 14 + far), (-15, -5 - far),
                                               (-15, 14 + far), (-4, -9 - far), (-4, 18 + far))
)  # fmt: skip
"""Where the left lower corner of a label may be, beside its marker; nearest first."""


def placed(
    points: Sequence[tuple[float, float]], texts: Sequence[str]
) -> list[tuple[float, float]]:
    """Left lower corners of labels, so that they cover neither markers nor each other if possible.

    >>> placed([(0, 0), (100, 0)], ["1", "2"])
    [(8, -5), (108, -5)]
    >>> placed([(0, 0), (10, -8)], ["1", "2"])
    [(8, 14), (18, -13)]
    """
    boxes = [(x - 5.0, y - 5.0, x + 5.0, y + 5.0) for x, y in points]
    found = []
    for (x, y), text in zip(points, texts, strict=True):
        spots = [_label_box(x + dx, y + dy, text) for dx, dy in AROUND]
        covered = [sum(_overlap(spot, box) for box in boxes) for spot in spots]
        best = min(range(len(spots)), key=lambda k: covered[k])
        boxes.append(spots[best])
        found.append((x + AROUND[best][0], y + AROUND[best][1]))
    return found


def _label_box(x: float, y: float, text: str) -> tuple[float, float, float, float]:
    return x, y - LETTER[1], x + LETTER[0] * len(text), y


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """The common area of two boxes (left, top, right, bottom)."""
    across, down = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return max(across, 0.0) * max(down, 0.0)
