"""Which step an event belongs to: steps of a fixed time, or a number of frames a recording."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from snnstack.errors import DataError, SnnstackError, fail

Integers = NDArray[np.int64]
By = Literal["time", "count"]
Polarity = Literal["both", "merge", "on", "off"]
POLARITIES: tuple[Polarity, ...] = ("both", "merge", "on", "off")

MOST_STEPS = 1_000_000
"""Of one sample. More is a wrong unit, an absolute time or an outlier, not a network's input."""


@dataclass(frozen=True)
class Binning:
    """How a recording becomes steps of `bin_us` microseconds; the step of an event is

        floor((t - origin) / bin_us)

    with `origin` = `start_us`, plus the first event's time if `from_first`: bins are half-open,
    an event on a border belongs to the later one. Events before the origin and after `steps`
    steps are left out; `steps` None: as many as the last event needs.

    Or `frames` steps for each recording, however long it is, as SpikingJelly cuts them: `by`
    time, each of floor((last - first) / frames) microseconds, or `by` count, each of
    floor(events / frames) events in the order of time. The last frame takes the rest. `start_us`
    then leaves out what is earlier.

    `flip` ("", "x", "y", "xy") mirrors the sensor, `crop` (x, y, width, height) keeps a window,
    then `downsample` joins n x n elements, then `polarity` chooses or merges. `clip`: larger
    counts become this one. `drop_outside`: events outside the sensor are counted, no error.
    """

    bin_us: int = 1
    steps: int | None = None
    start_us: int = 0
    from_first: bool = False
    crop: tuple[int, int, int, int] | None = None
    downsample: int = 1
    polarity: Polarity = "both"
    clip: int | None = None
    frames: int | None = None
    by: By = "time"
    flip: str = ""
    drop_outside: bool = False


def origin_of(t: Integers, binning: Binning) -> int:
    """The time at which step 0 begins, in microseconds."""
    first = int(t.min()) if binning.from_first and len(t) else 0
    return binning.start_us + first


def duration_steps(t: Integers, binning: Binning, name: str) -> int:
    """Steps that hold every event; DataError for more than a network is run for."""
    if binning.frames is not None:
        return binning.frames
    if not len(t):
        return 0
    steps = max((int(t.max()) - origin_of(t, binning)) // binning.bin_us + 1, 0)
    if steps > MOST_STEPS:
        raise _too_long(t, binning, steps, name)
    return steps


def steps_of_events(t: Integers, binning: Binning, steps: int, name: str) -> Integers:
    """The step of every event; below 0, or `steps` and more, for those outside."""
    if binning.frames is not None:
        return _frames(t, binning, name)
    return (t - origin_of(t, binning)) // binning.bin_us


def check_some_inside(t: Integers, binning: Binning, steps: int, name: str) -> None:
    """DataError if there are events but none in the steps, which absolute times make so.

    With a `start_us` a recording may well be over before it.
    """
    if not len(t) or binning.frames is not None or binning.start_us:
        return
    first = origin_of(t, binning)
    end = first + steps * binning.bin_us
    if not first <= int(t[0]) < end and not np.any((t >= first) & (t < end)):
        what = f"none of its {len(t)} events is in the {steps} steps of {seconds(binning.bin_us)} "
        what += f"from 0: events begin at {seconds(int(t.min()))}, end at {seconds(int(t.max()))}"
        hint = "origin=first counts from the first event, start=TIME from a time"
        raise fail(DataError, name, what, hint)


def _frames(t: Integers, binning: Binning, name: str) -> Integers:
    frames = binning.frames or 1
    step = np.full(len(t), -1, dtype=np.int64)
    kept = np.flatnonzero(t >= origin_of(t, binning)) if binning.start_us else np.arange(len(t))
    if len(kept):
        chosen = t[kept]
        if binning.by == "count":
            _few(len(kept) // frames, f"{len(kept)} events", frames, name)
            order = np.argsort(chosen, kind="stable")
            rank = np.empty(len(kept), dtype=np.int64)
            rank[order] = np.arange(len(kept))
            found = rank // (len(kept) // frames)
        else:
            width = (int(chosen.max()) - int(chosen.min())) // frames
            _few(width, f"{int(chosen.max()) - int(chosen.min())} us", frames, name)
            found = (chosen - chosen.min()) // width
        step[kept] = np.minimum(found, frames - 1)
    return step


def _few(each: int, what: str, frames: int, name: str) -> None:
    if not each:
        raise fail(DataError, name, f"{what} make no {frames} frames", "choose fewer frames")


def _too_long(t: Integers, binning: Binning, steps: int, name: str) -> SnnstackError:
    """Absolute times and outliers look alike in the number of steps, not in where events lie."""
    first, last, most = int(t.min()), int(t.max()), int(np.quantile(t, 0.99, method="lower"))
    what = (
        f"would be {steps} steps of {seconds(binning.bin_us)}, at most {MOST_STEPS}: events begin "
    )
    what += f"at {seconds(first)} and end at {seconds(last)}"
    if (last - first) // binning.bin_us < MOST_STEPS and not binning.from_first:
        return fail(DataError, name, what, "origin=first counts from the first event")
    what += f", 99 % of them by {seconds(most)}"
    hint = "steps=N leaves out what is later; a longer bin, or unit=ns, if times are not in us"
    return fail(DataError, name, what, hint)


def seconds(us: int) -> str:
    """A time as a person reads it.

    >>> seconds(1605537493718345), seconds(250)
    ('1605537493.718345 s', '0.00025 s')
    """
    whole, rest = divmod(abs(us), 1_000_000)
    text = f"{'-' if us < 0 else ''}{whole}"
    return f"{text}.{rest:06d}".rstrip("0").rstrip(".") + " s"
