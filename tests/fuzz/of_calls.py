"""What is said instead of what is given: options of DATA, Python values, command lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import snnstack
from snnstack.ir.step import StepInput
from tests.fuzz import sources
from tests.fuzz.damage import Rng
from tests.fuzz.kind import Kind, nothing
from tests.fuzz.odd_values import LEAVES
from tests.fuzz.of_commands import command


def _query(folder: Path, rng: Rng) -> Any:
    from snnstack.frontends.open_data import open_data

    keys = (
        "encode",
        "steps",
        "gain",
        "levels",
        "max",
        "min",
        "seed",
        "threshold",
        "bin",
        "clip",
        "crop",
        "downsample",
        "origin",
        "polarity",
        "shuffle",
        "size",
        "split",
        "start",
        "columns",
        "x",
    )
    values = (
        "rate",
        "even",
        "latency",
        "repeat",
        "delta",
        "3",
        "0",
        "-1",
        "1e400",
        "nan",
        "1ms",
        "0.5us",
        "1us",
        "9" * 30,
        "2x2",
        "1,1,1,1",
        "first",
        "both",
        "",
        "no",
        "\u0663",
        "4x",
        "1e-300",
        "0.1",
        "99999999999s",
    )
    name, base, shape = QUERIES[int(rng.integers(len(QUERIES)))]
    said = dict(base)
    for _ in range(int(rng.choice([0, 1, 1, 2, 3]))):
        known = list(said) if rng.random() < 0.7 else keys
        said[str(known[int(rng.integers(len(known)))])] = values[int(rng.integers(len(values)))]
    kind = ("", "", "", "", "", "", "events:", "tonic:")[int(rng.integers(8))]
    place = (
        folder / ("gone.npz", "")[int(rng.integers(2))] if rng.random() < 0.05 else folder / name
    )
    query = "&".join(f"{key}={value}" for key, value in said.items())
    stream = open_data(f"{kind}{place}?{query}", StepInput("in", shape, "count")).first(2)
    return [part.spikes.total for part in stream.batches(2)]


QUERIES: tuple[tuple[str, Mapping[str, str], tuple[int, ...]], ...] = (
    ("a.npz", {"encode": "rate", "steps": "3", "max": "1"}, (6, 3)),
    ("a.npz", {"encode": "latency", "steps": "4", "max": "1", "min": "0"}, (6, 3)),
    ("a.h5", {"encode": "even", "steps": "3"}, (6, 3)),
    ("a.npz", {"encode": "delta", "threshold": "0.5"}, (2, 3)),
    ("a-images-idx3-ubyte", {"encode": "rate", "steps": "3", "seed": "1"}, (2, 3)),
    ("a.bin", {"bin": "1ms"}, (2, 34, 34)),
    ("a.bin", {"bin": "1ms", "downsample": "2", "clip": "3"}, (2, 17, 17)),
    ("a.npy", {"bin": "1ms", "size": "3x1"}, (2, 1, 3)),
    ("a.npy", {"bin": "1ms", "size": "3x1", "polarity": "both"}, (2, 1, 3)),
)
"""File, options that are right, and the shape that the network takes."""


def _all_data(folder: Path) -> None:
    for write in (sources.npz, sources.h5_data, sources.nmnist, sources.npy, sources.idx):
        write(folder)


def _values(folder: Path, rng: Rng) -> Any:
    """Python values where others are expected, at the verbs."""
    junk = (
        *LEAVES,
        b"x",
        object(),
        {1, 2},
        (1, 2),
        np.zeros(3),
        np.array([None]),
        sources.X,
        range(3),
        np.datetime64("2020"),
        1j,
        Path("x"),
        int,
        print,
    )

    def some() -> Any:
        return junk[int(rng.integers(len(junk)))]

    calls: tuple[Callable[[], Any], ...] = (
        lambda: snnstack.emulate(_made(), some()),
        lambda: snnstack.emulate(_made(), sources.X[:1], seed=some()),
        lambda: snnstack.emulate(_made(), sources.X[:1], probes=some()),
        lambda: snnstack.emulate(_made(), {"x": some(), "y": some()}),
        lambda: snnstack.emulate(_made(), (some(), some())),
        lambda: snnstack.emulate(_made(), [some(), some()]),
        lambda: (
            snnstack.verify(_made(), sources.X, some()) if not isinstance(some(), int) else None
        ),
        lambda: snnstack.compile(_graph(), some()),
        lambda: snnstack.compile(some(), "neurram"),
        lambda: snnstack.compile(_graph(), "neurram", some()),
        lambda: snnstack.compile(_graph(), "neurram", granularity=some()),
        lambda: snnstack.compile(_graph(), "oheo-gulch", weight_bits=some()),
        lambda: snnstack.compile(_graph(), "neurram", quality=some()),
        lambda: snnstack.compile(_graph(), "neurram", options=some()),
        lambda: snnstack.bench(_graph(), some(), sources.X, verify_samples=some()),
        lambda: snnstack.bench(_graph(), "neurram", some(), samples=some(), seeds=some()),
        lambda: snnstack.load(some()),
        lambda: snnstack.load(_graph(), some(), some()),
        lambda: snnstack.save(some(), some()),
        lambda: snnstack.open_program(some()),
        lambda: snnstack.load_board(some()),
        lambda: snnstack.write_nir(some(), folder / "x.nir"),
        lambda: snnstack.to_onnx(some(), some()),
        lambda: snnstack.encode(_graph(), some()),
        lambda: snnstack.convert(some(), some()),
    )
    return calls[int(rng.integers(len(calls)))]()


@cache
def _made() -> Any:
    return snnstack.compile(_graph(), "neurram")


@cache
def _graph() -> Any:
    return snnstack.load(sources.small())


KINDS: Mapping[str, Kind] = {
    "query": Kind((_all_data,), "a*", (nothing,), _query),
    "values": Kind((sources.npz,), "a*", (nothing,), _values),
    "command": Kind((sources.for_commands,), "*.nir", (nothing,), command),
}
