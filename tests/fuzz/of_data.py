"""Samples and recordings: arrays, events of every camera, folders of recordings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from snnstack.ir.step import StepInput
from tests.fuzz import sources, sources_events
from tests.fuzz.damage import Rng
from tests.fuzz.kind import BYTES, HEADER, NPZ, TEXT, Kind, Read, mixed, one_of
from tests.fuzz.trees import damaged_hdf5

PORT = StepInput("in", (3,), "binary")
COUNTS = StepInput("in", (3,), "count")
TABLE = StepInput("in", (2, 1, 3), "count")
EVENTS = "?bin=1ms&size=3x1"


def _camera(side: int) -> StepInput:
    return StepInput("in", (2, side, side), "count")


def _data(query: str = "", port: StepInput = PORT) -> Read:
    def read(folder: Path, rng: Rng) -> Any:
        from snnstack.frontends.open_data import open_data

        name = next(
            f for f in sorted(folder.iterdir()) if f.name.startswith("a") and "label" not in f.name
        )
        stream = open_data(f"{name}{query}", port).first(3)
        return [part.spikes.total for part in stream.batches(2)]

    return read


def _folder(folder: Path, rng: Rng) -> Any:
    """A set in folders, of which a split, a kind of file or names of classes are asked for."""
    from snnstack.frontends.open_data import open_data

    side = 128 if list(folder.rglob("*.aedat")) else 34
    said = [f"&classes={file}" for file in sorted(folder.glob("names.txt"))]
    said += ["", "&classes=a,b,c", "&split=test", "&split=train", "&split=x", "&suffix=npy"]
    stream = open_data(f"events:{folder}?bin=1ms{one_of(said, rng)}", _camera(side)).first(3)
    return [part.spikes.total for part in stream.batches(2)]


def _moved(path: Path, rng: Rng) -> None:
    """A file, or the folder that it lies in, under another name."""
    names = ("0", "train", "Test", "x" * 250, "\u0663", "user01", ".hid", "7.npy", "-1", "9" * 40)
    one = path if rng.random() < 0.3 or path.parent.name.startswith("snnstack-") else path.parent
    there = one.with_name(one_of(names, rng))
    if not there.exists():
        one.rename(there)


KINDS: Mapping[str, Kind] = {
    "npz": Kind(
        (sources.npz, sources.npz_packed),
        "a.npz",
        (BYTES, NPZ, NPZ),
        mixed(_data(), _data("?encode=rate&steps=3&max=1")),
    ),
    "trace": Kind((sources.trace,), "a.npz", (BYTES, NPZ), _data()),
    "h5": Kind(
        (sources.h5_data,),
        "a.h5",
        (BYTES, damaged_hdf5),
        mixed(_data(), _data("?encode=even&steps=3", COUNTS)),
    ),
    "h5 events": Kind(
        (sources.h5_ragged, sources.h5_events),
        "a.h5",
        (BYTES, damaged_hdf5),
        mixed(_data("?bin=1ms&size=3", COUNTS), _data(EVENTS, TABLE)),
    ),
    "idx": Kind(
        (sources.idx, sources.idx_packed),
        "a-*",
        (BYTES,),
        _data("?encode=rate&steps=3", StepInput("in", (2, 3), "binary")),
    ),
    "nmnist": Kind((sources.nmnist,), "a.bin", (BYTES,), _data("?bin=1ms", _camera(34))),
    "aedat": Kind(
        (sources.aedat2, sources.aedat3, sources_events.aedat1),
        "a*",
        (BYTES, BYTES, BYTES, TEXT),
        _data("?bin=1ms", _camera(128)),
    ),
    "aedat davis": Kind(
        (sources_events.davis,),
        "a*",
        (BYTES, BYTES, TEXT),
        _data("?bin=1ms&outside=drop&crop=0,0,128,128", _camera(128)),
    ),
    "aedat4": Kind(
        (sources.aedat4,),
        "a.aedat4",
        (BYTES,),
        _data("?bin=1ms&size=8x8", _camera(8)),
        needs=("aedat",),
    ),
    "dat": Kind(
        (sources_events.dat, sources_events.dat_old),
        "a.dat",
        (BYTES, BYTES, TEXT),
        _data("?bin=1ms&size=16x16", _camera(16)),
    ),
    "raw": Kind(
        (sources_events.evt2, sources_events.evt21, sources_events.evt3),
        "a.raw",
        (BYTES, BYTES, TEXT),
        _data("?bin=1ms&size=16x16&outside=drop", _camera(16)),
    ),
    "mat": Kind(
        (sources_events.mat_struct, sources_events.mat_plain, sources_events.mat_packed),
        "a.mat",
        (BYTES,),
        _data(EVENTS, TABLE),
    ),
    "mat 7.3": Kind(
        (sources_events.mat_hdf5,), "a.mat", (BYTES, damaged_hdf5), _data(EVENTS, TABLE)
    ),
    "text": Kind(
        (sources_events.csv, sources_events.txt),
        "a.*",
        (BYTES, TEXT, TEXT),
        mixed(_data(EVENTS, TABLE), _data(f"{EVENTS}&columns=txyp&unit=s", TABLE)),
    ),
    "npy": Kind((sources.npy,), "a.npy", (BYTES, HEADER), _data(EVENTS, TABLE)),
    "npz events": Kind(
        (sources_events.npz_events, sources_events.npz_table),
        "a.npz",
        (BYTES, NPZ, NPZ),
        mixed(_data(EVENTS, TABLE), _data(f"{EVENTS}&columns=txyp", TABLE)),
    ),
    "folder": Kind(
        (sources_events.classes, sources_events.splits, sources_events.gestures),
        "*.*",
        (BYTES, TEXT, _moved, _moved),
        _folder,
    ),
}
