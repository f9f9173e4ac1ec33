"""Frames by number, as SpikingJelly and tonic cut them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from snnstack.errors import DataError
from snnstack.frontends.events import Binning, Events, Sensor, binned
from snnstack.frontends.open_data import open_data
from snnstack.ir.step import StepInput
from tests.data.event_writers import some
from tests.data.spikingjelly_files import spikingjelly_utils

SENSOR = Sensor(34, 30, 2)
FIELDS = np.dtype([("x", int), ("y", int), ("t", int), ("p", int)])


def events_of(n: int, seed: int) -> Events:
    t, x, y, p = np.array(some(n, 34, 30, seed=seed)).T
    return Events(t + 777, x, y, p)


@pytest.mark.parametrize("by", ["time", "count"])
@pytest.mark.parametrize("frames", [1, 4, 7, 13])
def test_frames_equal_spikingjellys(by: str, frames: int, monkeypatch: pytest.MonkeyPatch) -> None:
    utils = spikingjelly_utils(monkeypatch)
    events = events_of(1003, frames)
    given = {name: getattr(events, name) for name in "txyp"}
    split = {"time": "time", "count": "number"}[by]
    theirs = utils.integrate_events_by_fixed_frames_number(given, split, frames, 30, 34)
    binning = Binning(frames=frames, by=by)  # type: ignore[arg-type]
    ours = binned(events, SENSOR, binning, frames, "r").dense()[0]
    assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("by", ["time", "count"])
def test_frames_equal_tonics_where_nothing_is_left_over(by: str) -> None:
    """tonic drops the events behind the last full frame; here they belong to it."""
    to_frame = pytest.importorskip("tonic.transforms").ToFrame
    events = events_of(1000, 3)
    array = np.zeros(len(events.t), FIELDS)
    for name in "txyp":
        array[name] = getattr(events, name)
    option = {"time": "n_time_bins", "count": "n_event_bins"}[by]
    theirs = to_frame(sensor_size=(34, 30, 2), **{option: 8})(array.copy())
    binning = Binning(frames=8, by=by)  # type: ignore[arg-type]
    ours = binned(events, SENSOR, binning, 8, "r").dense()[0]
    assert np.array_equal(ours[:7], theirs[:7])
    assert ours.sum() == 1000 and np.all(ours[7] >= theirs[7])


def test_frames_as_samples(tmp_path: Path) -> None:
    """Recordings of any length and any beginning have as many steps."""
    for k, (first, gap) in enumerate([(0, 10), (10**12, 300)]):
        array = np.zeros(40, FIELDS)
        array["t"] = first + gap * np.arange(40)
        array["x"] = np.arange(40) % 5
        np.save(tmp_path / f"{k}.npy", array)
    port = StepInput("in", (2, 3, 5), "count")
    for by in ("time", "count"):
        text = f"events:{tmp_path}?frames=4&frames_by={by}&size=5x3&shuffle=no"
        data = open_data(text, port).read()
        assert data.spikes.dense().sum(axis=(2, 3, 4)).tolist() == [[10] * 4] * 2 or by == "time"
        assert data.spikes.dense().sum() == 80
    # The first 39 intervals make frames of floor(390 / 4) us; the last takes the rest.
    assert open_data(f"{tmp_path}/0.npy?frames=4&size=5x3", port).read().spikes.dense().sum(
        axis=(2, 3, 4)
    ).tolist() == [[10, 10, 10, 10]]


def test_events_out_of_order_are_counted_in_the_order_of_time() -> None:
    t = np.array([50, 10, 40, 20, 30, 0])
    events = Events(t, np.arange(6))
    binning = Binning(frames=3, by="count")
    dense = binned(events, Sensor(6, None, 1), binning, 3, "r").dense()[0]
    assert [np.flatnonzero(row).tolist() for row in dense] == [[1, 5], [3, 4], [0, 2]]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("frames=4&bin=1ms", "says frames and bin (frames=N is N steps for every recording)"),
        ("bin=1ms&frames_by=count", "says frames_by, but no frames (frames=10)"),
        ("frames=0", "frames is '0' (a whole number, 1 or more)"),
        ("frames=4&frames_by=size", "frames_by is 'size' (one of: time, count)"),
        ("frames=1000001", "asks for 1000001 steps (at most 1000000)"),
        ("bin=1ms&steps=2000000", "asks for 2000000 steps (at most 1000000)"),
    ],
)
def test_options_that_are_wrong(tmp_path: Path, query: str, message: str) -> None:
    np.save(tmp_path / "a.npy", np.zeros(3, FIELDS))
    text = f"{tmp_path}/a.npy?{query}&size=5x3"
    with pytest.raises(DataError) as error:
        open_data(text, StepInput("in", (2, 3, 5), "count"))
    assert str(error.value) == f"{text}: {message}"


def test_too_few_events_or_too_little_time(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros(3, FIELDS))
    port = StepInput("in", (2, 3, 5), "count")
    for by, what in (("count", "3 events"), ("time", "0 us")):
        with pytest.raises(DataError) as error:
            open_data(f"{tmp_path}/a.npy?frames=4&frames_by={by}&size=5x3", port).read()
        assert str(error.value) == (
            f"{tmp_path}/a.npy: {what} make no 4 frames (choose fewer frames)"
        )
