"""Events of a camera or an ear, and their exact binning into steps: integers in microseconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack.errors import DataError, SnnstackError, fail
from snnstack.frontends.event_steps import Binning, Integers, steps_of_events
from snnstack.trace import Spikes

LARGEST_COUNT = 255
"""Spikes of one element in one step: counts are uint8."""
BEFORE, AFTER = "before the first step", "after the last step"
OUTSIDE, CLIPPED = "outside the sensor", "above the clip"


@dataclass(frozen=True)
class Sensor:
    """`width` x `height` elements; `height` None: a line of `width` channels."""

    width: int
    height: int | None
    polarities: int


@dataclass(frozen=True, eq=False)
class Events:
    """One recording: `t` in microseconds, ascending or not; `x`, `y` (None: one axis), `p` 0/1.

    `p` None: the sensor has no polarity. Arrays are int64 [event] and never written to.
    `sensor` is what the file says of its size, `skipped` counts what it holds besides events,
    by name, `assumed` is what was taken for granted of it, and `coding` how it writes polarities
    ("one" where every event has a 1).
    """

    t: Integers
    x: Integers
    y: Integers | None = None
    p: Integers | None = None
    sensor: Sensor | None = None
    skipped: Mapping[str, int] = field(default_factory=dict)
    coding: str = ""
    assumed: str = ""


@dataclass(frozen=True, eq=False)
class Binned:
    """The spikes, and events that are not among them, counted by the reason."""

    spikes: Spikes
    left_out: Mapping[str, int]


def shape_of(sensor: Sensor, binning: Binning) -> tuple[int, ...]:
    """The shape of one step: [polarity, y, x], [polarity, x] or, without polarity, [x]."""
    width, height = sensor.width, sensor.height
    if binning.crop is not None:
        width, height = binning.crop[2], None if height is None else binning.crop[3]
    n = binning.downsample
    place = (-(-width // n),) if height is None else (-(-height // n), -(-width // n))
    keeps = sensor.polarities if binning.polarity == "both" else 1
    return place if height is None and keeps == 1 else (keeps, *place)


def binned(events: Events, sensor: Sensor, binning: Binning, steps: int, name: str) -> Spikes:
    """`steps` steps of one recording as a batch of one. `events` is not changed.

    Raises DataError for an event outside the sensor and for a count above 255.
    """
    return binned_counted(events, sensor, binning, steps, name).spikes


def binned_counted(
    events: Events, sensor: Sensor, binning: Binning, steps: int, name: str
) -> Binned:
    """As `binned`, with the events that are not in the steps."""
    inside = _inside(events, sensor, binning, name)
    step = steps_of_events(events.t, binning, steps, name)
    keep = (step >= 0) & (step < steps)
    left_out = {OUTSIDE: 0 if inside is None else int(np.count_nonzero(~inside))}
    if not keep.all():
        left_out[BEFORE] = int(np.count_nonzero(step < 0))
        left_out[AFTER] = int(np.count_nonzero(step >= steps))
    for wanted in (inside, _wanted(events, sensor, binning)):
        keep = keep if wanted is None else keep & wanted
    element, shape = _elements(events, sensor, binning), shape_of(sensor, binning)
    spikes, clipped = _counted(step[keep], element[keep], steps, shape, binning.clip, name)
    left_out[CLIPPED] = clipped
    return Binned(spikes, {reason: n for reason, n in left_out.items() if n})


def _mirrored(events: Events, sensor: Sensor, binning: Binning) -> tuple[Integers, Integers | None]:
    x, y = events.x, events.y
    if "x" in binning.flip:
        x = sensor.width - 1 - x
    if "y" in binning.flip and y is not None and sensor.height is not None:
        y = sensor.height - 1 - y
    return x, y


def _wanted(events: Events, sensor: Sensor, binning: Binning) -> NDArray[np.bool_] | None:
    """Events of the window and the polarity that are asked for; None: all."""
    keep: NDArray[np.bool_] | None = None
    if events.p is not None and binning.polarity in ("on", "off"):
        keep = np.equal(events.p, int(binning.polarity == "on"))
    if binning.crop is None:
        return keep
    left, top, width, height = binning.crop
    x, y = _mirrored(events, sensor, binning)
    window = (x >= left) & (x < left + width)
    if y is not None:
        window &= (y >= top) & (y < top + height)
    return window if keep is None else keep & window


def _elements(events: Events, sensor: Sensor, binning: Binning) -> Integers:
    """The number of every event's element, in C order of `shape_of`."""
    x, y = _mirrored(events, sensor, binning)
    if binning.crop is not None:
        x, y = x - binning.crop[0], None if y is None else y - binning.crop[1]
    shape, n = shape_of(sensor, binning), binning.downsample
    element = x if n == 1 else x // n
    if y is not None:
        element = element + shape[-1] * (y if n == 1 else y // n)
    if events.p is not None and binning.polarity == "both" and sensor.polarities > 1:
        element = element + events.p * int(np.prod(shape[1:]))
    return element


def _inside(
    events: Events, sensor: Sensor, binning: Binning, name: str
) -> NDArray[np.bool_] | None:
    """Which events lie on the sensor (None: all); DataError unless others are to be dropped."""
    limits: list[tuple[str, Any, int]] = [("x", events.x, sensor.width)]
    if events.y is not None:
        limits.append(("y", events.y, 1 if sensor.height is None else sensor.height))
    if events.p is not None:
        limits.append(("polarity", events.p, max(sensor.polarities, 2)))
    inside = None
    for axis, values, limit in limits:
        if not len(values) or (values.min() >= 0 and values.max() < limit):
            continue
        right = (values >= 0) & (values < limit)
        if not binning.drop_outside:
            raise _outside(axis, values, np.flatnonzero(~right), limit, name)
        inside = right if inside is None else inside & right
    return inside


def _outside(axis: str, values: Integers, wrong: Integers, limit: int, name: str) -> SnnstackError:
    what = f"event {wrong[0]} has {axis} {values[wrong[0]]}, the sensor has 0..{limit - 1}"
    hint = "size=WIDTHxHEIGHT says another size"
    if len(wrong) > 1:
        what += f"; {len(wrong)} of {len(values)} events are like it"
        hint += ", outside=drop leaves them out"
    return fail(DataError, name, what, hint)


def _counted(
    step: Integers,
    element: Integers,
    steps: int,
    shape: tuple[int, ...],
    clip: int | None,
    name: str,
) -> tuple[Spikes, int]:
    """The spikes, and how many events `clip` left out."""
    n = int(np.prod(shape))
    keys, counts = np.unique(step * n + element, return_counts=True)
    whole = int(counts.sum())
    if clip is not None:
        counts = np.minimum(counts, min(clip, whole))
    if counts.max(initial=0) > LARGEST_COUNT:
        at = int(keys[counts.argmax()])
        what = (
            f"{counts.max()} events of element {at % n} in step {at // n}, at most {LARGEST_COUNT}"
        )
        raise fail(DataError, name, what, "choose a shorter bin, or clip=255")
    clipped = whole - int(counts.sum())
    indptr = np.zeros(steps + 1, dtype=np.int64)
    np.cumsum(np.bincount(keys // n, minlength=steps), out=indptr[1:])
    values = None if counts.max(initial=0) <= 1 else counts.astype(np.uint8)
    return Spikes(shape, 1, steps, indptr, (keys % n).astype(np.int32), values), clipped
