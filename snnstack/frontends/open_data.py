"""`open_data`: a `DATA` of any kind as a `Stream` of samples for one input."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack.errors import DataError, fail
from snnstack.frontends import encode
from snnstack.frontends.arrays import Arrays, open_arrays
from snnstack.frontends.data import Data, make_data, read_data
from snnstack.frontends.encode import ENCODERS, Encoding
from snnstack.frontends.recording_files import SUFFIXES, found_at
from snnstack.frontends.recordings import stream_of
from snnstack.frontends.shapes import fits
from snnstack.frontends.spec import Spec, choice, known_options, parse, real, whole
from snnstack.frontends.stream import Stream, of_data
from snnstack.frontends.tonic_sets import tonic_set
from snnstack.ir.step import StepInput

MOST_STEPS = 2**20
"""Of an encoded sample, which is in memory as a whole."""
ENCODE_OPTIONS = ("encode", "gain", "levels", "max", "min", "seed", "steps", "threshold")
EITHER = (".h5", ".hdf5", ".npy", ".npz")
"""Files of events if there is a bin or a number of frames, else of samples."""
IN_MEMORY = 2**26
"""Bytes of an `x` that is read at once: all that is wrong with it is then said at once."""


def open_data(text: str | Path, port: StepInput) -> Stream:
    """The samples that `text` names, checked against `port`; see docs/data.md.

    Raises DataError naming the file or option; values are checked as they are read.
    """
    spec = parse(str(text))
    if port.parts:
        return _of_several(spec, port)
    if spec.kind == "tonic":
        return stream_of(tonic_set(spec), spec, port)
    if spec.kind == "events" or _is_recording(spec):
        return stream_of(found_at(spec.path, spec), spec, port)
    if "encode" in spec.options:
        known_options(spec, ENCODE_OPTIONS)
        return _encoded(open_arrays(spec.path), spec, port)
    if spec.options:
        known_options(spec, ())
    if spec.path.suffix in (".npz", ".npy") or not spec.path.is_file():
        return _plain(spec, port)
    return _dense(open_arrays(spec.path), port)


def _of_several(spec: Spec, port: StepInput) -> Stream:
    """Samples for several inputs: an .npz with an array for each."""
    if spec.kind or spec.options or spec.path.suffix != ".npz":
        wanted = ", ".join(f"x_{part.name}" for part in port.parts)
        what = f"the network has {len(port.parts)} inputs"
        raise fail(DataError, spec.text, what, f"give an .npz with {wanted} and y")
    return of_data(read_data(spec.path, port), port)


def _is_recording(spec: Spec) -> bool:
    """A folder, or a file with events: whatever is to be binned."""
    path = spec.path
    if {"bin", "frames"} & set(spec.options):
        return True
    return path.is_file() and path.suffix.lower() in SUFFIXES and path.suffix.lower() not in EITHER


def _plain(spec: Spec, port: StepInput) -> Stream:
    """A small .npz is read at once, a large one as it is needed."""
    path = spec.path
    if path.is_file() and path.stat().st_size:
        arrays = open_arrays(path)
        if int(np.prod(arrays.shape, dtype=np.int64)) * arrays.dtype.itemsize > IN_MEMORY:
            return _dense(arrays, port)
    return of_data(read_data(path, port), port)


def _dense(arrays: Arrays, port: StepInput) -> Stream:
    """Samples [sample, step, *shape] as they are, checked batch by batch."""
    empty = np.zeros((1, *arrays.shape[1:]), dtype=arrays.dtype)
    make_data(empty, None, port, arrays.name)
    _check_labels(arrays, port)

    def reader(most: int) -> Iterator[Data]:
        start = 0
        for x in arrays.rows(most):
            labels = None if arrays.labels is None else arrays.labels[start : start + len(x)]
            yield make_data(x, labels, port, arrays.name, start)
            start += len(x)

    return Stream(arrays.name, port, arrays.shape[0], arrays.shape[1], reader, _labels(arrays))


def _check_labels(arrays: Arrays, port: StepInput) -> None:
    if arrays.labels is not None and arrays.labels.shape != arrays.shape[:1]:
        what = f"y has shape {list(arrays.labels.shape)}, but x has {arrays.shape[0]} samples"
        raise fail(DataError, arrays.name, what, f"y needs shape [{arrays.shape[0]}]")


def _labels(arrays: Arrays) -> NDArray[np.int64] | None:
    """Labels that are whole numbers; what others are is said as they are read."""
    known = arrays.labels is not None and arrays.labels.dtype.kind in "iu"
    return arrays.labels.astype(np.int64) if known and arrays.labels is not None else None


def encoding_of(spec: Spec, arrays: Arrays) -> Encoding:
    """The encoder that the options say; the range of integers is that of their type."""
    kind = choice(spec, "encode", ENCODERS, "rate")
    steps = whole(spec, "steps", None if kind != "delta" else 1, least=1)
    if steps is None:
        raise fail(DataError, spec.text, "says no steps", "steps=25 is the number of time steps")
    if steps > MOST_STEPS:
        raise fail(DataError, spec.text, f"steps is {steps}", f"{MOST_STEPS} or fewer")
    whole_numbers = arrays.dtype.kind in "ui"
    top = float(np.iinfo(arrays.dtype).max) if whole_numbers else 1.0
    low, high = real(spec, "min", 0.0), real(spec, "max", top)
    levels = whole(spec, "levels", 1, least=1) or 1
    threshold = real(spec, "threshold", 0.0)
    gain = real(spec, "gain", 1.0)
    assert low is not None and high is not None and threshold is not None and gain is not None
    if high <= low:
        raise fail(DataError, spec.text, f"max is {high:g}, min is {low:g}", "max is above min")
    if levels > 255:
        raise fail(DataError, spec.text, f"levels is {levels}", "1..255")
    if kind == "delta" and threshold <= 0:
        raise fail(DataError, spec.text, "says no threshold", "threshold=0.1: a spike per change")
    seed = whole(spec, "seed", 0) or 0
    return Encoding(kind, steps, gain, low, high, threshold, levels, seed)


def _encoded(arrays: Arrays, spec: Spec, port: StepInput) -> Stream:
    return encoded_stream(arrays, encoding_of(spec, arrays), port, spec.text)


def encoded_stream(arrays: Arrays, encoding: Encoding, port: StepInput, name: str) -> Stream:
    """Values [sample, ...] as spikes for `port`."""
    if arrays.dtype.kind not in "buif" or len(arrays.shape) < 2:
        what = f"x is {arrays.dtype} of shape {list(arrays.shape)}"
        raise fail(DataError, name, what, "numbers [sample, ...] are encoded")
    if port.events == "value" and encoding.kind != "repeat":
        what = f"encode={encoding.kind} makes spikes, input {port.name!r} takes whole numbers"
        raise fail(DataError, name, what, "encode=repeat&levels=255&steps=1")
    steps, shape = encode.shape_of(encoding, arrays.shape[1:])
    if not fits(shape, port.shape):
        what = f"encoded steps have the shape {list(shape)}"
        raise fail(DataError, name, what, f"input {port.name!r} needs {list(port.shape)}")
    _check_labels(arrays, port)

    def reader(most: int) -> Iterator[Data]:
        start = 0
        for x in arrays.rows(most):
            _check_range(x, encoding, name, start)
            spikes = encode.encoded(encoding, x, start).reshape(len(x), steps, *port.shape)
            labels = None if arrays.labels is None else arrays.labels[start : start + len(x)]
            yield make_data(spikes, labels, port, name, start)
            start += len(x)

    return Stream(name, port, arrays.shape[0], steps, reader, _labels(arrays))


def _check_range(x: NDArray[Any], encoding: Encoding, name: str, start: int) -> None:
    """Values that the encoder would cut off are an error; `delta` takes any finite value."""
    low, high = encoding.low, encoding.high
    wrong = ~np.isfinite(x)
    if encoding.kind != "delta":
        slack = 1e-6 * (high - low)
        wrong |= (x < low - slack) | (x > high + slack)
    if wrong.any():
        first = np.argwhere(wrong)[0]
        at = [int(first[0]) + start, *map(int, first[1:])]
        what = f"x has {np.count_nonzero(wrong)} values outside {low:g}..{high:g}"
        what += f", first {x[tuple(first)]:g} at {at}"
        raise fail(DataError, name, what, "min= and max= say the range of the values")
