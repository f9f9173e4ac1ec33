"""Every kind of input: the whole files, what is damaged in them, and what reads them."""

from __future__ import annotations

import json
import shutil
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

import snnstack
from snnstack.errors import SnnstackError
from snnstack.ir.step import StepInput
from tests.fuzz import sources
from tests.fuzz.damage import (
    LEAVES,
    Rng,
    damaged,
    damaged_header,
    damaged_json,
    damaged_npz,
    damaged_text,
    leaf,
)
from tests.fuzz.trees import damaged_hdf5, damaged_onnx

PORT = StepInput("in", (3,), "binary")
COUNTS = StepInput("in", (3,), "count")
BOARDS = ("microbit-v1", "oheo-gulch", "spinnaker2-chip", "neurram")
Damage = Callable[[Path, Rng], None]


@dataclass(frozen=True)
class Kind:
    """`sources` write whole files into a folder; `damage` changes files that match `pattern`;
    `read` is what a user does with the folder."""

    sources: tuple[Callable[[Path], None], ...]
    pattern: str
    damage: tuple[Damage, ...]
    read: Callable[[Path, Rng], Any]
    needs: tuple[str, ...] = field(default_factory=tuple)


def make(kind: Kind, folder: Path, rng: Rng, wholes: Path) -> None:
    """One damaged input of a kind in the empty `folder`."""
    number = int(rng.integers(len(kind.sources)))
    whole = wholes / str(number)
    if not whole.is_dir():
        whole.mkdir(parents=True)
        kind.sources[number](whole)
    shutil.copytree(whole, folder, dirs_exist_ok=True)
    files = sorted(f for f in folder.rglob(kind.pattern) if f.is_file())
    if files:
        kind.damage[int(rng.integers(len(kind.damage)))](files[int(rng.integers(len(files)))], rng)


def _content(change: Callable[[bytes, Rng], bytes]) -> Damage:
    def damage(path: Path, rng: Rng) -> None:
        path.write_bytes(change(path.read_bytes(), rng))

    return damage


BYTES, TEXT, JSON = (_content(f) for f in (damaged, damaged_text, damaged_json))
NPZ, HEADER, ONNX = (_content(f) for f in (damaged_npz, damaged_header, damaged_onnx))


def _load(name: str) -> Callable[[Path, Rng], Any]:
    def read(folder: Path, rng: Rng) -> Any:
        graph = snnstack.load(folder / name)
        return snnstack.compile(graph, BOARDS[int(rng.integers(4))])

    return read


def _load_calibrated(folder: Path, rng: Rng) -> Any:
    graph = snnstack.load(folder / "a.nir")
    (port,) = graph.inputs().values()
    x = (rng.random((2, 4, *port.shape)) < 0.5).astype(np.uint8) if port.shape else sources.X
    return snnstack.compile(graph, BOARDS[int(rng.integers(4))], {"x": x})


def _netx(folder: Path, rng: Rng) -> Any:
    if rng.random() < 0.5:
        return snnstack.load(folder / "a.net")
    return snnstack.compile(folder / "a.net", "oheo-gulch")


def _ann(folder: Path, rng: Rng) -> Any:
    x = np.random.default_rng(0).random((4, 3)).astype(np.float32)
    return snnstack.load(folder / "a.onnx", calibrate={"x": x})


def _step(folder: Path, rng: Rng) -> Any:
    return snnstack.load(folder / "a.onnx")


def _data(query: str = "", port: StepInput = PORT) -> Callable[[Path, Rng], Any]:
    def read(folder: Path, rng: Rng) -> Any:
        from snnstack.frontends.open_data import open_data

        name = next(
            f for f in sorted(folder.iterdir()) if f.name.startswith("a") and "label" not in f.name
        )
        stream = open_data(f"{name}{query}", port).first(3)
        return [part.spikes.total for part in stream.batches(2)]

    return read


def _mixed(*readers: Callable[[Path, Rng], Any]) -> Callable[[Path, Rng], Any]:
    return lambda folder, rng: readers[int(rng.integers(len(readers)))](folder, rng)


def _board(folder: Path, rng: Rng) -> Any:
    from snnstack.board import load_board

    found = load_board(next(folder.glob("n*.toml")))
    return snnstack.compile(_graph(), found)


@cache
def _graph() -> Any:
    return snnstack.load(sources.small())


def _device(folder: Path, rng: Rng) -> Any:
    from snnstack.backends.crossbar.device_file import load_device

    names = [f for f in sorted(folder.glob("*.toml")) if f.name != "neurram.toml"]
    return load_device(str(names[0]))


def _sweep(folder: Path, rng: Rng) -> Any:
    from snnstack.sweep.run import _job
    from snnstack.sweep.spec import read_spec

    spec = read_spec(folder / "s.toml")
    _job(spec)
    return [point for point, _ in zip(spec.points(), range(20), strict=False)]


def _journal(folder: Path, rng: Rng) -> Any:
    from snnstack.sweep.journal import opened

    with opened(folder) as journal:
        return dict(journal.done)


def _rows(folder: Path, rng: Rng) -> Any:
    from snnstack.report.document import read_rows
    from snnstack.report.page import render

    return render(read_rows(folder / "rows.json"), None)


def _opponent(folder: Path, rng: Rng) -> Any:
    from snnstack.frontends.opponent_file import read_weights

    return read_weights(folder / "a.npz", _net())


@cache
def _net() -> Any:
    return sources.opponent_net()


def _program(folder: Path, rng: Rng) -> Any:
    from snnstack.program import digest
    from snnstack.saving import saved_conversion
    from snnstack.target import backend

    place = folder / "program"
    if rng.random() < 0.8:  # else the digests of the manifest say what was changed
        manifest = place / "manifest.json"
        try:
            tree = json.loads(manifest.read_bytes())
            tree["files"] = {n: digest({n: (place / n).read_bytes()}) for n in tree["files"]}
            manifest.write_text(json.dumps(tree))
        except (ValueError, KeyError, TypeError, OSError, AttributeError, RecursionError):
            pass
    found, _ = snnstack.open_program(place)
    saved_conversion(place)
    backend(found.target).utilization(found)
    snnstack.emulate(found, sources.X[:1])
    return backend(found.target).emit(found)


def _options(folder: Path, rng: Rng) -> Any:
    from snnstack.passes.options import Options

    words = {
        "integrator": ["euler", "exponential"],
        "reset": ["zero", "subtract", "none", "v_reset"],
        "reset_time": ["now", "next", "next_all", "recheck"],
        "compare": ["gt", "ge"],
        "events": ["binary", "count"],
        "written_by": ["snntorch", "norse", "sinabs"],
    }
    said: dict[str, Any] = {}
    for name in rng.choice(
        list(Options.__dataclass_fields__), size=int(rng.integers(1, 4)), replace=False
    ):
        known = words.get(str(name), [1e-3, 0.5, 1.0, 1e-9, 1e9, 5e-324, 1e308])
        said[str(name)] = known[int(rng.integers(len(known)))] if rng.random() < 0.6 else leaf(rng)
    graph = snnstack.load(folder / "a.nir", Options(**said))
    return snnstack.compile(graph, BOARDS[int(rng.integers(4))])


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


EVENTS = "?bin=1ms&size=3x1"
KINDS: Mapping[str, Kind] = {
    "nir": Kind(
        (sources.nir_small, sources.nir_conv),
        "*.nir",
        (BYTES, damaged_hdf5, damaged_hdf5),
        _mixed(_load("a.nir"), _load_calibrated),
    ),
    "netx": Kind((sources.netx,), "*.net", (BYTES, damaged_hdf5, damaged_hdf5), _netx),
    "onnx": Kind(
        (sources.onnx_ann,), "*.onnx", (BYTES, ONNX, ONNX), _ann, needs=("onnx", "onnxruntime")
    ),
    "onnx step": Kind(
        (sources.onnx_step,), "*.onnx", (BYTES, ONNX, ONNX), _step, needs=("onnx", "onnxruntime")
    ),
    "npz": Kind(
        (sources.npz, sources.npz_packed),
        "a.npz",
        (BYTES, NPZ, NPZ),
        _mixed(_data(), _data("?encode=rate&steps=3&max=1")),
    ),
    "trace": Kind((sources.trace,), "a.npz", (BYTES, NPZ), _data()),
    "h5": Kind(
        (sources.h5_data,),
        "a.h5",
        (BYTES, damaged_hdf5),
        _mixed(_data(), _data("?encode=even&steps=3", COUNTS)),
    ),
    "h5 events": Kind(
        (sources.h5_ragged, sources.h5_events),
        "a.h5",
        (BYTES, damaged_hdf5),
        _mixed(
            _data("?bin=1ms&size=3", COUNTS), _data(EVENTS, StepInput("in", (2, 1, 3), "count"))
        ),
    ),
    "idx": Kind(
        (sources.idx, sources.idx_packed),
        "a-*",
        (BYTES,),
        _data("?encode=rate&steps=3", StepInput("in", (2, 3), "binary")),
    ),
    "nmnist": Kind(
        (sources.nmnist,),
        "a.bin",
        (BYTES,),
        _data("?bin=1ms", StepInput("in", (2, 34, 34), "count")),
    ),
    "aedat": Kind(
        (sources.aedat2, sources.aedat3),
        "a*",
        (BYTES, BYTES, BYTES, TEXT),
        _data("?bin=1ms", StepInput("in", (2, 128, 128), "count")),
    ),
    "aedat4": Kind(
        (sources.aedat4,),
        "a.aedat4",
        (BYTES,),
        _data("?bin=1ms&size=8x8", StepInput("in", (2, 8, 8), "count")),
        needs=("aedat",),
    ),
    "npy": Kind(
        (sources.npy,), "a.npy", (BYTES, HEADER), _data(EVENTS, StepInput("in", (2, 1, 3), "count"))
    ),
    "board": Kind((sources.board, sources.crossbar_board), "n*.toml", (BYTES, TEXT, TEXT), _board),
    "device": Kind((sources.device,), "[!n]*.toml", (BYTES, TEXT, TEXT), _device),
    "sweep": Kind((sources.sweep,), "s.toml", (BYTES, TEXT, TEXT), _sweep),
    "journal": Kind((sources.journal,), "points.jsonl", (BYTES, TEXT), _journal),
    "rows": Kind((sources.rows,), "rows.json", (BYTES, TEXT, JSON, JSON), _rows),
    "opponent": Kind((sources.opponent,), "a.npz", (BYTES, NPZ, NPZ), _opponent),
    **{
        f"program {target}": Kind(
            (sources.program(name),), "*.json", (BYTES, TEXT, JSON, JSON), _program
        )
        for target, name in zip(("mcu", "loihi", "spinnaker2", "crossbar"), BOARDS, strict=True)
    },
    **{
        f"arrays {target}": Kind((sources.program(name),), "*.npz", (BYTES, NPZ, NPZ), _program)
        for target, name in zip(("mcu", "loihi", "spinnaker2", "crossbar"), BOARDS, strict=True)
    },
    "options": Kind((sources.nir_small, sources.nir_conv), "none", (BYTES,), _options),
    "query": Kind((_all_data,), "none", (BYTES,), _query),
    "values": Kind((sources.npz,), "none", (BYTES,), _values),
}


def generator(kind: str, seed: int) -> Rng:
    """The numbers of one input: they depend on its kind and its seed alone."""
    return np.random.default_rng([zlib.crc32(kind.encode()), seed])


__all__ = ["KINDS", "Kind", "SnnstackError", "generator", "make", "partial"]
