"""Events as arrays, tables and text: names, units, polarities, and what cannot be told is asked."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from snnstack.errors import DataError
from snnstack.frontends.open_data import open_data
from snnstack.ir.step import StepInput
from tests.data.event_writers import some

EVENTS = some(200, 8, 6, seed=2)
T, X, Y, P = np.array(EVENTS).T
PORT = StepInput("in", (2, 6, 8), "count")
WANTED = np.zeros((50, 2, 6, 8), np.uint8)
np.add.at(WANTED, (T // 1000, P, Y, X), 1)


def read(path: Path, query: str = "") -> Any:
    return open_data(f"{path}?bin=1ms&steps=50&size=8x6{query}", PORT).read().spikes.dense()[0]


def message(path: Path, query: str = "") -> str:
    with pytest.raises(DataError) as error:
        read(path, query)
    return str(error.value)


def fields(**changed: Any) -> dict[str, Any]:
    return {"t": T, "x": X, "y": Y, "p": P, **changed}


def structured(**changed: Any) -> Any:
    given = fields(**changed)
    array = np.zeros(len(T), [(name, values.dtype) for name, values in given.items()])
    for name, values in given.items():
        array[name] = values
    return array


@pytest.mark.parametrize(
    "arrays",
    [
        {"t": T, "x": X, "y": Y, "p": P},
        {"timestamps": T, "xs": X, "ys": Y, "polarities": P.astype(bool)},
        {"events_t": T, "events_x": X, "events_y": Y, "events_p": P},
        {"T": T.astype(float), "X": X.astype(np.int16), "Y": Y, "P": 2 * P - 1},
        {"events": structured()},
        {"arr_0": structured(), "height": np.array(6)},
    ],
)
def test_layouts_of_npz(tmp_path: Path, arrays: dict[str, Any]) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    assert np.array_equal(read(tmp_path / "a.npz"), WANTED)


@pytest.mark.parametrize("order", ["txyp", "xytp", "xypt", "tyxp"])
def test_plain_columns_are_named_by_an_option(tmp_path: Path, order: str) -> None:
    table = np.stack([fields()[name] for name in order], axis=1)
    np.save(tmp_path / "a.npy", table)
    np.savez(tmp_path / "a.npz", events=table)
    np.savetxt(tmp_path / "a.txt", table, fmt="%d")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["events"] = table
    for name in ("a.npy", "a.npz", "a.txt", "a.h5"):
        assert np.array_equal(read(tmp_path / name, f"&columns={order}"), WANTED), name
    assert "columns=txyp says their order" in message(tmp_path / "a.txt")
    assert "columns is 'txq' (a letter a column" in message(tmp_path / "a.txt", "&columns=txq")


def test_four_columns_without_names_are_said_to_be_a_gesture(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    np.save(tmp_path / "a.npy", np.stack([X, Y, P, T / 1000.0], axis=1))
    with caplog.at_level(logging.WARNING, "snnstack"):
        assert np.array_equal(read(tmp_path / "a.npy"), WANTED)
    assert "four columns are taken as x, y, polarity, milliseconds" in caplog.text


@pytest.mark.parametrize("separator", [",", " ", ";", "\t", ", "])
def test_text_with_names(tmp_path: Path, separator: str) -> None:
    lines = [separator.join(("timestamp", "x", "y", "polarity", "note")), "# a remark", ""]
    lines += [separator.join((*map(str, event), "7")) for event in EVENTS]
    (tmp_path / "a.csv").write_text("\n".join(lines) + "\n")
    assert np.array_equal(read(tmp_path / "a.csv"), WANTED)


def test_text_in_seconds(tmp_path: Path) -> None:
    """`events.txt` of the event camera dataset (Mueggler et al. 2017): t x y p, t in seconds."""
    lines = [f"{t / 1e6:.9f} {x} {y} {p}" for t, x, y, p in EVENTS]
    (tmp_path / "events.txt").write_text("\n".join(lines))
    assert np.array_equal(read(tmp_path / "events.txt", "&columns=txyp&unit=s"), WANTED)
    found = message(tmp_path / "events.txt", "&columns=txyp")
    assert "not a whole number (times are whole microseconds; unit=s)" in found


def test_absolute_times_in_text_keep_every_microsecond(tmp_path: Path) -> None:
    first = 1605537493718345
    lines = ["t,x,y,p"] + [f"{t + first},{x},{y},{p}" for t, x, y, p in EVENTS]
    (tmp_path / "a.csv").write_text("\n".join(lines))
    assert np.array_equal(read(tmp_path / "a.csv", f"&start={first}us"), WANTED)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "holds no events"),
        ("t,x,y,p\n1,2,3\n", "line 2 has 3 columns, not 4"),
        ("t,x,y,p\n1,2,3,on\n", "p has the value 'on', no number"),
        ("t,x,y,p\n1,2.5,3,1\n", "x has the value 2.5, not a whole number"),
        ("t,x,y,p\nnan,2,3,1\n", "t has the value nan, not a whole number"),
        ("t,y,p\n1,2,1\n", "but no x"),
    ],
)
def test_text_that_is_wrong(tmp_path: Path, text: str, what: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    assert what in message(tmp_path / "a.csv")


@pytest.mark.parametrize(("unit", "factor"), [("ns", 1000), ("us", 1), ("ms", 1e-3), ("s", 1e-6)])
def test_units_of_time(tmp_path: Path, unit: str, factor: float) -> None:
    np.save(tmp_path / "a.npy", structured(t=T * factor))
    assert np.array_equal(read(tmp_path / "a.npy", f"&unit={unit}"), WANTED)


@pytest.mark.parametrize("off_on", [(0, 1), (-1, 1), (1, 2), (False, True), (0.0, 1.0)])
def test_polarities(tmp_path: Path, off_on: tuple[Any, Any]) -> None:
    np.save(tmp_path / "a.npy", structured(p=np.where(P, off_on[1], off_on[0])))
    assert np.array_equal(read(tmp_path / "a.npy"), WANTED)


@pytest.mark.parametrize("values", [(0, 1, 2, 3), (-1, 0, 1), (0, 2), (0, 255), (3, 4)])
def test_other_polarities_are_refused(tmp_path: Path, values: tuple[int, ...]) -> None:
    np.save(tmp_path / "a.npy", structured(p=np.resize(values, len(T))))
    assert message(tmp_path / "a.npy") == (
        f"{tmp_path}/a.npy: has the polarities {', '.join(map(str, values))} "
        "(off and on are 0 and 1, -1 and 1, or 1 and 2)"
    )


def test_one_polarity_means_what_it_means_in_the_other_recordings(tmp_path: Path) -> None:
    """Where one recording has 1 and 2, a recording of nothing but 1 is not "on"."""
    np.save(tmp_path / "a.npy", structured(p=P + 1))
    np.save(tmp_path / "b.npy", structured(p=np.ones_like(P)))
    text = f"events:{tmp_path}?bin=1ms&size=8x6"
    for order in ("shuffle=no", "shuffle=0", "shuffle=1"):
        with pytest.raises(DataError) as error:
            open_data(f"{text}&{order}", PORT).read()
        assert str(error.value) == (
            f"{tmp_path}/b.npy: has only polarity 1, but {tmp_path}/a.npy has 1 and 2 "
            "(polarities=1,2 says that 1 is off)"
        )
    data = open_data(f"{text}&shuffle=no&polarities=1,2", PORT).read()
    assert data.spikes.dense()[1, :, 1].sum() == 0
    assert data.spikes.dense()[1, :, 0].sum() == 200


@pytest.mark.parametrize("compressed", [False, True])
def test_matlab_structs_and_variables(tmp_path: Path, compressed: bool) -> None:
    """A struct TD as the N-MNIST tools write it: pixels from 1; variables as they are."""
    savemat = pytest.importorskip("scipy.io").savemat
    struct = {"x": X[None] + 1.0, "y": Y[None] + 1.0, "p": P[None] + 1.0, "ts": T[None] * 1.0}
    savemat(tmp_path / "td.mat", {"TD": struct}, do_compression=compressed)
    assert np.array_equal(read(tmp_path / "td.mat"), WANTED)
    savemat(tmp_path / "plain.mat", fields(), do_compression=compressed)
    assert np.array_equal(read(tmp_path / "plain.mat"), WANTED)
    savemat(tmp_path / "table.mat", {"e": np.stack([T, X, Y, P], 1)}, do_compression=compressed)
    assert np.array_equal(read(tmp_path / "table.mat", "&columns=txyp"), WANTED)
    zero = {**struct, "x": X[None] * 1.0}
    savemat(tmp_path / "zero.mat", {"TD": zero}, do_compression=compressed)
    assert "has x 0, but numbers from 1 (first=0" in message(tmp_path / "zero.mat")


def test_matlab_files_of_version_7_3(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.mat", "w", userblock_size=512) as file:
        group = file.create_group("TD")
        for name, values in (("x", X + 1), ("y", Y + 1), ("p", P + 1), ("ts", T)):
            group[name] = values[:, None].astype(float)
    assert np.array_equal(read(tmp_path / "a.mat"), WANTED)


def test_damaged_matlab_files(tmp_path: Path) -> None:
    savemat = pytest.importorskip("scipy.io").savemat
    savemat(tmp_path / "a.mat", fields(), do_compression=True)
    whole = (tmp_path / "a.mat").read_bytes()
    for cut in (3, 100, 200, len(whole) - 5):
        (tmp_path / "a.mat").write_bytes(whole[:cut])
        assert message(tmp_path / "a.mat").startswith(f"{tmp_path}/a.mat: ")


def test_mirrored_sensors(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", structured())
    assert np.array_equal(read(tmp_path / "a.npy", "&flip=x"), WANTED[..., ::-1])
    assert np.array_equal(read(tmp_path / "a.npy", "&flip=y"), WANTED[..., ::-1, :])
    assert np.array_equal(read(tmp_path / "a.npy", "&flip=xy"), WANTED[..., ::-1, ::-1])


def test_events_outside_the_sensor_are_refused_or_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    x = X.copy()
    x[[3, 50, 199]] = 8
    np.save(tmp_path / "a.npy", structured(x=x))
    assert message(tmp_path / "a.npy") == (
        f"{tmp_path}/a.npy: event 3 has x 8, the sensor has 0..7; 3 of 200 events are like it "
        "(size=WIDTHxHEIGHT says another size, outside=drop leaves them out)"
    )
    with caplog.at_level(logging.WARNING, "snnstack"):
        assert read(tmp_path / "a.npy", "&outside=drop").sum() == 197
    assert "3 of 200 events are outside the sensor and left out" in caplog.text
