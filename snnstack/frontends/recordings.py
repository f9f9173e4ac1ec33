"""Recordings as a `Stream` of samples for one input: binned, checked, and said what is left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from snnstack import notices
from snnstack.errors import DataError, fail
from snnstack.frontends.data import Data
from snnstack.frontends.event_steps import (
    MOST_STEPS,
    POLARITIES,
    Binning,
    check_some_inside,
    duration_steps,
)
from snnstack.frontends.events import (
    AFTER,
    BEFORE,
    CLIPPED,
    Events,
    Sensor,
    binned_counted,
    shape_of,
)
from snnstack.frontends.recording_files import Recording, RecordingSet, found_at
from snnstack.frontends.shapes import fits
from snnstack.frontends.spec import (
    Spec,
    choice,
    known_options,
    microseconds,
    numbers,
    whole,
)
from snnstack.frontends.stream import Stream, joined
from snnstack.ir.step import StepInput
from snnstack.trace import Spikes

__all__ = ["OPTIONS", "Recording", "RecordingSet", "binning_of", "found_at", "stream_of"]

OPTIONS = (
    "bin",
    "chip",
    "classes",
    "clip",
    "columns",
    "crop",
    "downsample",
    "first",
    "flip",
    "frames",
    "frames_by",
    "origin",
    "outside",
    "polarities",
    "polarity",
    "recording",
    "shuffle",
    "size",
    "split",
    "start",
    "steps",
    "suffix",
    "unit",
)
"""Of every kind of recording."""
LARGEST_CLASS = 2**31 - 1
WORTH_SAYING = 0.01
"""Share of events that options leave out (`steps`, `start`, `clip`) above which it is said."""


def binning_of(spec: Spec) -> Binning:
    """The binning that the options say."""
    frames = _frames(spec)
    if frames is None and "bin" not in spec.options:
        raise fail(DataError, spec.text, "says no bin", "bin=1ms is the length of a step")
    bin_us = microseconds(spec, "bin", 1)
    if not bin_us:
        raise fail(DataError, spec.text, "bin is 0", "a step takes 1 us or more")
    crop = numbers(spec, "crop", 4)
    if crop is not None and 0 in crop[2:]:
        raise fail(DataError, spec.text, "crop is empty", "crop=x,y,width,height")
    steps = whole(spec, "steps", least=1)
    if max(steps or 0, frames or 0) > MOST_STEPS:
        what = f"asks for {max(steps or 0, frames or 0)} steps"
        raise fail(DataError, spec.text, what, f"at most {MOST_STEPS}")
    polarity = choice(spec, "polarity", POLARITIES, "both")
    by = choice(spec, "frames_by", ("time", "count"), "time")
    return Binning(
        bin_us=bin_us,
        steps=steps,
        start_us=microseconds(spec, "start", 0) or 0,
        from_first=choice(spec, "origin", ("zero", "first"), "zero") == "first",
        crop=None if crop is None else (crop[0], crop[1], crop[2], crop[3]),
        downsample=whole(spec, "downsample", 1, least=1) or 1,
        polarity=next(p for p in POLARITIES if p == polarity),
        clip=whole(spec, "clip", least=1),
        frames=frames,
        by="time" if by == "time" else "count",
        flip=choice(spec, "flip", ("x", "y", "xy"), "x") if "flip" in spec.options else "",
        drop_outside=choice(spec, "outside", ("error", "drop"), "error") == "drop",
    )


def _frames(spec: Spec) -> int | None:
    frames = whole(spec, "frames", least=1)
    others = [key for key in ("bin", "steps", "origin") if key in spec.options]
    if frames is not None and others:
        what = f"says frames and {' and '.join(others)}"
        raise fail(DataError, spec.text, what, "frames=N is N steps for every recording")
    if frames is None and "frames_by" in spec.options:
        raise fail(DataError, spec.text, "says frames_by, but no frames", "frames=10")
    return frames


def stream_of(found: RecordingSet, spec: Spec, port: StepInput) -> Stream:
    """The recordings as samples for `port`; DataError where the shapes do not fit.

    Samples are shuffled by `shuffle=SEED` (default 0), so that the first ones are of all
    classes; `shuffle=no` keeps the sorted order.
    """
    known_options(spec, (*OPTIONS, "path"))
    binning = binning_of(spec)
    recordings = _ordered(found.recordings, spec)
    sensor = _sensor(found, recordings[0], spec, port)
    shape = shape_of(sensor, binning)
    if not fits(shape, port.shape):
        what = f"steps have the shape {list(shape)}, input {port.name!r} needs {list(port.shape)}"
        raise fail(DataError, spec.text, what, "size, crop, downsample and polarity change it")
    steps = binning.frames or binning.steps or _longest(recordings, binning)
    if not steps:
        raise fail(DataError, spec.text, "holds no events", "is `start` behind the last one?")
    said: list[bool] = []

    def reader(most: int) -> Iterator[Data]:
        account = _Account(spec, binning)
        try:
            for start in range(0, len(recordings), most):
                part = recordings[start : start + most]
                samples = [_sample(r, sensor, binning, steps, port, account) for r in part]
                account.check_not_empty(len(recordings))
                yield joined(samples, spec.text)
        finally:
            if not said:
                account.say()
                said.append(True)

    known = _classes(recordings, spec)
    return Stream(spec.text, port, len(recordings), steps, reader, known, found.classes)


def _classes(recordings: Sequence[Recording], spec: Spec) -> NDArray[np.int64] | None:
    """The class of every recording, None where one has none."""
    for r in recordings:
        if r.label is not None and abs(r.label) > LARGEST_CLASS:
            what = f"{r.name} is of class {r.label}, at most {LARGEST_CLASS} are told apart"
            raise fail(DataError, spec.text, what, "classes are whole numbers from 0")
    labels = [r.label for r in recordings]
    return None if None in labels else np.array(labels, dtype=np.int64)


def _longest(recordings: Sequence[Recording], binning: Binning) -> int:
    return max(duration_steps(r.read().t, binning, r.name) for r in recordings)


def _ordered(recordings: Sequence[Recording], spec: Spec) -> list[Recording]:
    if not recordings:
        raise fail(DataError, spec.text, "holds no recordings")
    if spec.options.get("shuffle") == "no":
        return list(recordings)
    seed = whole(spec, "shuffle", 0)
    order = np.random.default_rng(seed).permutation(len(recordings))
    return [recordings[k] for k in order]


def _sensor(found: RecordingSet, first: Recording, spec: Spec, port: StepInput) -> Sensor:
    """By option, by the format, by the file, or that of the input where nothing changes it."""
    known = found.sensor
    polarities = 2 if known is None else known.polarities
    if known is None:
        events = first.read()
        known, polarities = events.sensor, 1 if events.p is None else 2
    if "x" in spec.options.get("size", ""):
        width, height = numbers(spec, "size", 2, "x") or (0, 0)
        return Sensor(width, height, polarities)
    line = whole(spec, "size", least=1)
    if line is not None:
        return Sensor(line, None, polarities)
    if known is not None:
        return known
    changed = {"crop", "downsample"} & set(spec.options)
    if not changed and len(port.shape) in (1, 3):
        rows = port.shape[1] if len(port.shape) == 3 else None
        return Sensor(port.shape[-1], rows, polarities)
    what = "the size of the sensor is not known"
    raise fail(DataError, spec.text, what, "size=WIDTHxHEIGHT, such as size=128x128")


@dataclass
class _Account:
    """What one pass over the recordings has met: state, so that it is said once and in sum."""

    spec: Spec
    binning: Binning
    recordings: int = 0
    empty: int = 0
    events: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    assumed: Counter[str] = field(default_factory=Counter)
    codings: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, events: Events, left_out: Counter[str]) -> None:
        """One recording. DataError where two write polarities so that 1 means both."""
        self.recordings += 1
        self.empty += not len(events.t)
        self.events += len(events.t)
        self.left_out += left_out
        self.skipped += Counter(events.skipped)
        self.assumed += Counter([events.assumed] if events.assumed else [])
        self.codings.setdefault(events.coding, name)
        if {"1,2", "one"} <= set(self.codings):
            what = f"has only polarity 1, but {self.codings['1,2']} has 1 and 2"
            hint = "polarities=1,2 says that 1 is off"
            raise fail(DataError, self.codings["one"], what, hint)

    def check_not_empty(self, recordings: int) -> None:
        """DataError where none of all recordings has an event."""
        if self.recordings == recordings and not self.events:
            raise fail(DataError, self.spec.text, "holds no events")

    def say(self) -> None:
        """What readers passed over; and what the options left out, if it is not little."""
        if self.empty and self.events:
            what = f"{self.empty} of {self.recordings} recordings have no events"
            notices.say(self.spec.text, what)
        for text, n in sorted(self.assumed.items()):
            notices.say(self.spec.text, f"{n} of {self.recordings} recordings: {text}")
        for name, n in sorted(self.skipped.items()):
            notices.say(self.spec.text, f"{n} {name} passed over")
        for reason, n in sorted(self.left_out.items()):
            asked = reason in (BEFORE, AFTER, CLIPPED)
            if not asked or n > WORTH_SAYING * self.events:
                what = f"{n} of {self.events} events are {reason} and left out"
                notices.say(self.spec.text, what)


def _sample(
    recording: Recording,
    sensor: Sensor,
    binning: Binning,
    steps: int,
    port: StepInput,
    account: _Account,
) -> Data:
    events = recording.read()
    check_some_inside(events.t, binning, steps, recording.name)
    found = binned_counted(events, sensor, binning, steps, recording.name)
    account.add(recording.name, events, Counter(found.left_out))
    spikes = found.spikes
    if port.max_count == 1 and spikes.counts is not None:
        what = f"has up to {spikes.counts.max()} events of an element in a step"
        hint = "input is 'binary': clip=1, a shorter bin, or compile with --events count"
        raise fail(DataError, recording.name, what, hint)
    fitted = Spikes(port.shape, 1, spikes.steps, spikes.indptr, spikes.indices, spikes.counts)
    labels = None if recording.label is None else np.array([recording.label], dtype=np.int64)
    return Data(fitted, labels, recording.name)
