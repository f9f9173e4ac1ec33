"""Whole recordings of every camera and format, small and always the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tests.data import event_writers as writers
from tests.fuzz import sources

SIDE = 16
EVENTS = writers.some(20, SIDE, SIDE, 5000)


def aedat1(folder: Path) -> None:
    """16-bit addresses."""
    pairs = [(writers.dvs128_address(x, y, p), t) for t, x, y, p in EVENTS]
    (folder / "a.aedat").write_bytes(writers.aedat2(pairs, version="1.0"))


def davis(folder: Path) -> None:
    pairs = [(writers.davis_address(x, y, p, 240, 180), t) for t, x, y, p in EVENTS]
    (folder / "a.aedat").write_bytes(writers.aedat2(pairs, chip="DAVIS240C"))


def dat(folder: Path) -> None:
    (folder / "a.dat").write_bytes(writers.dat(EVENTS, size=(SIDE, SIDE)))


def dat_old(folder: Path) -> None:
    (folder / "a.dat").write_bytes(writers.dat(EVENTS, version=1))


def evt2(folder: Path) -> None:
    (folder / "a.raw").write_bytes(writers.evt2(EVENTS))


def evt21(folder: Path) -> None:
    head = "% evt 2.1\n% format EVT21;height=16;width=32\n% end\n"
    groups = [(t, 0, y, p, 1 << x) for t, x, y, p in EVENTS]
    (folder / "a.raw").write_bytes(writers.evt21(groups, head, legacy=False))


def evt3(folder: Path) -> None:
    made = writers.Evt3()
    for t, x, y, p in EVENTS:
        made.pixel(t, x, y, p)
    made.vector(5000, 0, 3, 1, [(12, 0xA5A), (8, 0x3C)])
    (folder / "a.raw").write_bytes(made.bytes("% format EVT3;height=16;width=16\n% end\n"))


def _fields(first: int = 0) -> dict[str, Any]:
    """Events of three pixels."""
    k = np.arange(20)
    return {"x": k % 3 + first, "y": 0 * k + first, "p": k % 2, "t": k * 100}


def mat_struct(folder: Path, packed: bool = False) -> None:
    from scipy.io import savemat

    fields = _fields(1)
    found = {"ts" if name == "t" else name: values for name, values in fields.items()}
    savemat(folder / "a.mat", {"TD": found}, do_compression=packed)


def mat_packed(folder: Path) -> None:
    mat_struct(folder, packed=True)


def mat_plain(folder: Path) -> None:
    from scipy.io import savemat

    savemat(folder / "a.mat", {**_fields(), "about": "text", "more": {"a": [1, 2]}})


def mat_hdf5(folder: Path) -> None:
    with h5py.File(folder / "a.mat", "w", userblock_size=512) as file:
        for name, values in _fields(1).items():
            file[f"TD/{name}"] = values.reshape(1, -1).astype(np.float64)


def csv(folder: Path) -> None:
    lines = ["t,x,y,p", *(f"{t},{x},{y},{p}" for t, x, y, p in _rows())]
    (folder / "a.csv").write_text("\n".join(lines))


def txt(folder: Path) -> None:
    lines = [f"{t / 1e6:.6f} {x} {y} {p}" for t, x, y, p in _rows()]
    (folder / "a.txt").write_text("# a camera's text\n" + "\n".join(lines))


def _rows() -> list[tuple[int, ...]]:
    fields = _fields()
    return [tuple(map(int, row)) for row in zip(*(fields[n] for n in "txyp"), strict=True)]


def npz_events(folder: Path) -> None:
    np.savez(folder / "a.npz", **{f"events_{n}": v for n, v in _fields().items()})


def npz_table(folder: Path) -> None:
    np.savez(folder / "a.npz", table=np.array(_rows()))


def classes(folder: Path) -> None:
    """N-MNIST: a folder for each class."""
    for name in ("0", "1", "2"):
        (folder / name).mkdir()
        sources.nmnist(folder / name)


def splits(folder: Path) -> None:
    """Classes by name in two splits, with a list of them beside."""
    for split in ("train", "test"):
        for name in ("a", "b", "c"):
            (folder / split / name).mkdir(parents=True)
            sources.nmnist(folder / split / name)
    (folder / "names.txt").write_text("a\nb\nc\n")


def gestures(folder: Path) -> None:
    """DVS-Gesture: recordings with tables, and lists of trials."""
    sources.aedat3(folder)
    (folder / "trials_to_train.txt").write_text("a.aedat\n")
    (folder / "trials_to_test.txt").write_text("a.aedat\n")
