"""Events of a camera or an ear, and their exact binning into steps: integers in microseconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from snnstack.errors import DataError, fail
from snnstack.trace import Spikes

Polarity = Literal["both", "merge", "on", "off"]
POLARITIES: tuple[Polarity, ...] = ("both", "merge", "on", "off")
LARGEST_COUNT = 255
"""Spikes of one element in one step: counts are uint8."""

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Events:
    """One recording: `t` in microseconds, ascending or not; `x`, `y` (None: one axis), `p` 0/1.

    `p` None: the sensor has no polarity. Arrays are int64 [event] and never written to.
    """

    t: Integers
    x: Integers
    y: Integers | None = None
    p: Integers | None = None


@dataclass(frozen=True)
class Sensor:
    """`width` x `height` elements; `height` None: a line of `width` channels."""

    width: int
    height: int | None
    polarities: int


@dataclass(frozen=True)
class Binning:
    """How a recording becomes steps of `bin_us` microseconds; the step of an event is

        floor((t - origin) / bin_us)

    with `origin` = `start_us`, plus the first event's time if `from_first`. Events before the
    origin and after `steps` steps are left out; `steps` None: as many as the last event needs.
    `crop` (x, y, width, height) keeps a window, then `downsample` joins n x n elements, then
    `polarity` chooses or merges. `clip`: larger counts become this one.
    """

    bin_us: int
    steps: int | None = None
    start_us: int = 0
    from_first: bool = False
    crop: tuple[int, int, int, int] | None = None
    downsample: int = 1
    polarity: Polarity = "both"
    clip: int | None = None


def shape_of(sensor: Sensor, binning: Binning) -> tuple[int, ...]:
    """The shape of one step: [polarity, y, x], [polarity, x] or, without polarity, [x]."""
    width, height = sensor.width, sensor.height
    if binning.crop is not None:
        width, height = binning.crop[2], None if height is None else binning.crop[3]
    n = binning.downsample
    place = (-(-width // n),) if height is None else (-(-height // n), -(-width // n))
    keeps = sensor.polarities if binning.polarity == "both" else 1
    return place if height is None and keeps == 1 else (keeps, *place)


def duration_steps(events: Events, binning: Binning) -> int:
    """Steps that hold every event."""
    if not len(events.t):
        return 0
    last = int(events.t.max()) - _origin(events, binning)
    return max(last // binning.bin_us + 1, 0)


def _origin(events: Events, binning: Binning) -> int:
    first = int(events.t.min()) if binning.from_first and len(events.t) else 0
    return binning.start_us + first


def binned(events: Events, sensor: Sensor, binning: Binning, steps: int, name: str) -> Spikes:
    """`steps` steps of one recording as a batch of one. `events` is not changed.

    Raises DataError for an event outside the sensor and for a count above 255.
    """
    _check_inside(events, sensor, name)
    shape = shape_of(sensor, binning)
    step = (events.t - _origin(events, binning)) // binning.bin_us
    keep = (step >= 0) & (step < steps)
    x, y, p = events.x, events.y, events.p
    if binning.crop is not None:
        left, top, width, height = binning.crop
        keep &= (x >= left) & (x < left + width)
        x = x - left
        if y is not None:
            keep &= (y >= top) & (y < top + height)
            y = y - top
    if p is not None and binning.polarity in ("on", "off"):
        keep &= p == (binning.polarity == "on")
    element = x // binning.downsample
    if y is not None:
        element = element + shape[-1] * (y // binning.downsample)
    if p is not None and binning.polarity == "both" and sensor.polarities > 1:
        element = element + p * int(np.prod(shape[1:]))
    return _counted(step[keep], element[keep], steps, shape, binning.clip, name)


def _check_inside(events: Events, sensor: Sensor, name: str) -> None:
    limits: list[tuple[str, Any, int]] = [("x", events.x, sensor.width)]
    if events.y is not None and sensor.height is not None:
        limits.append(("y", events.y, sensor.height))
    if events.p is not None:
        limits.append(("polarity", events.p, max(sensor.polarities, 2)))
    for axis, values, limit in limits:
        wrong = np.flatnonzero((values < 0) | (values >= limit))
        if len(wrong):
            what = f"event {wrong[0]} has {axis} {values[wrong[0]]}, the sensor has 0..{limit - 1}"
            raise fail(DataError, name, what, "size=WIDTHxHEIGHT says another size")


def _counted(
    step: Integers,
    element: Integers,
    steps: int,
    shape: tuple[int, ...],
    clip: int | None,
    name: str,
) -> Spikes:
    n = int(np.prod(shape))
    keys, counts = np.unique(step * n + element, return_counts=True)
    if clip is not None:
        counts = np.minimum(counts, clip)
    if counts.max(initial=0) > LARGEST_COUNT:
        at = int(keys[counts.argmax()])
        what = (
            f"{counts.max()} events of element {at % n} in step {at // n}, at most {LARGEST_COUNT}"
        )
        raise fail(DataError, name, what, "choose a shorter bin, or clip=255")
    indptr = np.zeros(steps + 1, dtype=np.int64)
    np.cumsum(np.bincount(keys // n, minlength=steps), out=indptr[1:])
    values = None if counts.max(initial=0) <= 1 else counts.astype(np.uint8)
    return Spikes(shape, 1, steps, indptr, (keys % n).astype(np.int32), values)
