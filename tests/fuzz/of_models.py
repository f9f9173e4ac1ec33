"""Models: NIR of several tools, netx, ANNs and spiking steps in ONNX, and what is said of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import snnstack
from snnstack.passes import writers
from tests.fuzz import sources, sources_models
from tests.fuzz.damage import Rng, leaf
from tests.fuzz.kind import BYTES, ONNX, Kind, Read, board, mixed, nothing, one_of, some_board
from tests.fuzz.trees import damaged_hdf5

HDF5 = (BYTES, damaged_hdf5, damaged_hdf5)
ONNX_NEEDS = ("onnx", "onnxruntime")
WRITERS = (*writers.WRITERS, "x")
WORDS = {
    "integrator": ["euler", "exponential"],
    "reset": ["zero", "subtract", "none", "v_reset"],
    "reset_time": ["now", "next", "next_all", "recheck"],
    "compare": ["gt", "ge"],
    "events": ["binary", "count"],
    "written_by": WRITERS,
    "readout": ["rate", "sum", "first-spike", "rate:2", "above:0.5", "max:99999", "rate:0", ":"],
}
NUMBERS = (1e-3, 0.5, 1.0, 1e-9, 1e9, 5e-324, 1e308)


def _load(folder: Path, rng: Rng) -> Any:
    return snnstack.compile(snnstack.load(folder / "a.nir"), some_board(rng))


def _calibrated(folder: Path, rng: Rng) -> Any:
    graph = snnstack.load(folder / "a.nir")
    (port,) = graph.inputs().values()
    x = (rng.random((2, 4, *port.shape)) < 0.5).astype(np.uint8) if port.shape else sources.X
    return snnstack.compile(graph, some_board(rng), {"x": x})


def _written(folder: Path, rng: Rng) -> Any:
    said: dict[str, Any] = {"written_by": one_of(WRITERS, rng)}
    if rng.random() < 0.5:
        said["dt"] = one_of(NUMBERS, rng)
    return snnstack.load(folder / "a.nir", snnstack.Options(**said))


def _netx(folder: Path, rng: Rng) -> Any:
    if rng.random() < 0.5:
        return snnstack.load(folder / "a.net")
    return snnstack.compile(folder / "a.net", board("oheo-gulch"))


def _ann(shape: tuple[int, ...]) -> Read:
    x = np.random.default_rng(0).random((4, *shape)).astype(np.float32)
    return lambda folder, rng: snnstack.load(folder / "a.onnx", calibrate={"x": x})


def _step(folder: Path, rng: Rng) -> Any:
    return snnstack.load(folder / "a.onnx")


def _options(folder: Path, rng: Rng) -> Any:
    names = list(snnstack.Options.__dataclass_fields__)
    said: dict[str, Any] = {}
    for name in rng.choice(names, size=int(rng.integers(1, 4)), replace=False):
        known = WORDS.get(str(name), NUMBERS)
        said[str(name)] = one_of(known, rng) if rng.random() < 0.6 else leaf(rng)
    graph = snnstack.load(folder / "a.nir", snnstack.Options(**said))
    return snnstack.compile(graph, some_board(rng))


KINDS: Mapping[str, Kind] = {
    "nir": Kind((sources.nir_small, sources.nir_conv), "*.nir", HDF5, mixed(_load, _calibrated)),
    "nir written by": Kind(sources_models.written, "*.nir", (damaged_hdf5,), _written),
    "netx": Kind(
        (sources.netx, sources_models.netx_conv, sources_models.netx_graded), "*.net", HDF5, _netx
    ),
    "onnx": Kind((sources.onnx_ann,), "*.onnx", (BYTES, ONNX, ONNX), _ann((3,)), ONNX_NEEDS),
    "onnx conv": Kind(
        (sources_models.onnx_conv,), "*.onnx", (BYTES, ONNX, ONNX), _ann((1, 6, 6)), ONNX_NEEDS
    ),
    "onnx outside": Kind((sources_models.onnx_outside,), "a.*", (BYTES,), _ann((3,)), ONNX_NEEDS),
    "onnx step": Kind((sources.onnx_step,), "*.onnx", (BYTES, ONNX, ONNX), _step, ONNX_NEEDS),
    "onnx step conv": Kind(
        (sources_models.onnx_step_conv,), "*.onnx", (BYTES, ONNX, ONNX), _step, ONNX_NEEDS
    ),
    "options": Kind((sources.nir_small, sources.nir_conv), "*.nir", (nothing,), _options),
}
