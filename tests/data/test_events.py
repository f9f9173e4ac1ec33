"""Recordings become steps: exactly, as tonic does it, without changing what they are made of."""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snnstack.errors import DataError, ToolError
from snnstack.frontends.event_files import read_aedat, read_aedat4, read_nmnist, read_npy
from snnstack.frontends.events import Binning, Events, Sensor, binned, shape_of
from snnstack.frontends.open_data import open_data
from snnstack.ir.step import StepInput
from tests.conftest import needed

EVENT = np.dtype([("x", int), ("y", int), ("t", int), ("p", int)])


def some_events(n: int, width: int, height: int, seed: int = 0, last: int = 50_000) -> Events:
    rng = np.random.default_rng(seed)
    return Events(
        np.sort(rng.integers(0, last, n)),
        rng.integers(0, width, n),
        rng.integers(0, height, n),
        rng.integers(0, 2, n),
    )


def structured(events: Events) -> Any:
    array = np.zeros(len(events.t), EVENT)
    array["x"], array["y"], array["t"], array["p"] = events.x, events.y, events.t, events.p
    return array


def write_nmnist(path: Path, events: Events) -> None:
    assert events.y is not None and events.p is not None
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = [
        events.x,
        events.y,
        events.p << 7 | events.t >> 16,
        events.t >> 8 & 255,
        events.t & 255,
    ]
    path.write_bytes(np.stack(columns, axis=1).astype(np.uint8).tobytes())


@pytest.mark.parametrize("bin_us", [1000, 777, 10_000])
def test_binning_equals_tonics_frames(bin_us: int) -> None:
    transforms = pytest.importorskip("tonic.transforms")
    events = some_events(3000, 34, 34)
    to_frame = transforms.ToFrame(
        sensor_size=(34, 34, 2), time_window=bin_us, include_incomplete=True
    )
    frames = to_frame(structured(events))
    ours = binned(events, Sensor(34, 34, 2), Binning(bin_us, from_first=True), len(frames), "r")
    assert np.array_equal(ours.dense()[0], frames)


def test_binning_and_reading_leave_their_input_as_it_was() -> None:
    events = some_events(500, 20, 20)
    before = [values.copy() for values in (events.t, events.x, events.y, events.p)]
    for values in (events.t, events.x, events.y, events.p):
        values.flags.writeable = False
    binning = Binning(500, crop=(2, 3, 10, 9), downsample=2, polarity="merge", from_first=True)
    binned(events, Sensor(20, 20, 2), binning, 40, "r")
    for values, old in zip((events.t, events.x, events.y, events.p), before, strict=True):
        assert np.array_equal(values, old)


@given(
    t=st.lists(st.integers(0, 2**40), max_size=30),
    bin_us=st.integers(1, 10**7),
    start=st.integers(0, 10**6),
    steps=st.integers(1, 50),
)
def test_the_step_of_an_event_is_the_floor_of_its_time(
    t: list[int], bin_us: int, start: int, steps: int
) -> None:
    times = np.array(t, dtype=np.int64)
    events = Events(times, np.zeros(len(t), dtype=np.int64))
    spikes = binned(events, Sensor(1, None, 1), Binning(bin_us, start_us=start), steps, "r")
    expected = [0] * steps
    for value in t:
        if value >= start and (value - start) // bin_us < steps:
            expected[(value - start) // bin_us] += 1
    assert spikes.dense()[0, :, 0].tolist() == expected


def test_crop_downsample_and_polarity() -> None:
    events = Events(
        *(np.array(v) for v in ([0, 0, 0, 1], [0, 5, 6, 9], [0, 5, 7, 9], [0, 1, 0, 1]))
    )
    sensor = Sensor(10, 10, 2)
    binning = Binning(10, crop=(4, 4, 4, 4), downsample=2)
    assert shape_of(sensor, binning) == (2, 2, 2)
    dense = binned(events, sensor, binning, 1, "r").dense()[0, 0]
    assert np.argwhere(dense).tolist() == [[0, 1, 1], [1, 0, 0]]
    for polarity, expected in (("on", 2), ("off", 2), ("merge", 4), ("both", 4)):
        chosen = Binning(10, polarity=polarity)  # type: ignore[arg-type]
        assert binned(events, sensor, chosen, 1, "r").total == expected


def test_an_event_outside_the_sensor_is_refused() -> None:
    events = Events(np.array([0]), np.array([34]), np.array([2]), np.array([0]))
    with pytest.raises(DataError) as error:
        binned(events, Sensor(34, 34, 2), Binning(10), 1, "a.bin")
    assert str(error.value) == (
        "a.bin: event 0 has x 34, the sensor has 0..33 (size=WIDTHxHEIGHT says another size)"
    )


def test_more_events_than_a_count_holds() -> None:
    events = Events(np.zeros(300, dtype=np.int64), np.zeros(300, dtype=np.int64))
    with pytest.raises(DataError) as error:
        binned(events, Sensor(4, None, 1), Binning(10), 1, "a.h5")
    assert str(error.value) == (
        "a.h5: 300 events of element 0 in step 0, at most 255 (choose a shorter bin, or clip=255)"
    )
    spikes = binned(events, Sensor(4, None, 1), Binning(10, clip=255), 1, "a.h5")
    assert spikes.total == 255


def test_nmnist_files_read_as_tonic_reads_them(tmp_path: Path) -> None:
    events = some_events(400, 34, 34)
    write_nmnist(tmp_path / "a.bin", events)
    raw = bytearray((tmp_path / "a.bin").read_bytes())
    raw[5 * 100 + 1] = 240  # the clock's overflow mark
    (tmp_path / "a.bin").write_bytes(raw)
    io = pytest.importorskip("tonic.io")
    expected = io.read_mnist_file(str(tmp_path / "a.bin"), dtype=EVENT)
    found = read_nmnist(tmp_path / "a.bin")
    assert len(found.t) == 399
    assert np.array_equal(structured(found), expected)


def test_a_cut_nmnist_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"1234567")
    with pytest.raises(DataError, match="has 7 bytes, not a multiple of 5"):
        read_nmnist(tmp_path / "a.bin")


def aedat3(events: Events, path: Path) -> None:
    """Two packets of polarity events and one of another kind, as the specification has them."""
    assert events.y is not None and events.p is not None
    data = events.x << 17 | events.y << 2 | events.p << 1 | 1
    pairs = np.stack([data, events.t], axis=1).astype("<u4")
    half = len(pairs) // 2
    body = b""
    for kind, part in ((1, pairs[:half]), (0, pairs[:2]), (1, pairs[half:])):
        n = len(part)
        body += struct.pack("<HHIIIIII", kind, 1, 8, 4, 0, n, n, n) + part.tobytes()
    path.write_bytes(b"#!AER-DAT3.1\r\n#Format: RAW\r\n#!END-HEADER\r\n" + body)


def test_aedat_3_packets(tmp_path: Path) -> None:
    events = some_events(101, 128, 128)
    aedat3(events, tmp_path / "a.aedat")
    assert np.array_equal(structured(read_aedat(tmp_path / "a.aedat")), structured(events))
    whole = (tmp_path / "a.aedat").read_bytes()
    (tmp_path / "a.aedat").write_bytes(whole[:-3])
    with pytest.raises(DataError, match="is cut short"):
        read_aedat(tmp_path / "a.aedat")


TINY = Path(__file__).parent / "tiny.aedat4"
"""200 events of an 8 x 6 sensor, written by dv-processing 2.0.4."""


def test_aedat_4_events() -> None:
    needed("aedat")
    rng, t, rows = np.random.default_rng(0), 0, []
    for _ in range(200):
        t += int(rng.integers(0, 500))
        rows.append((t, int(rng.integers(8)), int(rng.integers(6)), int(rng.integers(2))))
    wanted = np.array(rows).T
    for found in (read_aedat(TINY), read_aedat4(TINY)):
        assert np.array_equal(found.t, wanted[0] - wanted[0, 0])
        assert np.array_equal([found.x, found.y, found.p], wanted[1:])
    port = StepInput("in", (2, 6, 8), "count")
    assert open_data(f"{TINY}?bin=1ms&size=8x6", port).read().spikes.total == 200


def test_a_broken_aedat_4_file(tmp_path: Path) -> None:
    needed("aedat")
    (tmp_path / "a.aedat4").write_bytes(TINY.read_bytes()[:200])
    with pytest.raises(DataError, match=r"a.aedat4: cannot be decoded: "):
        read_aedat4(tmp_path / "a.aedat4")


def test_aedat_4_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aedat", None)
    with pytest.raises(ToolError) as error:
        read_aedat(TINY)
    assert str(error.value) == (
        f"{TINY}: is AEDAT 4, which the package aedat decodes; it is not installed "
        "(pip install 'snnstack[aedat]')"
    )


def test_dvs_gesture_files_are_cut_by_their_table(tmp_path: Path) -> None:
    events = some_events(200, 128, 128)
    aedat3(events, tmp_path / "user01_led.aedat")
    table = "class,startTime_usec,endTime_usec\n3,1000,20000\n11,20000,45000\n"
    (tmp_path / "user01_led_labels.csv").write_text(table)
    port = StepInput("in", (2, 128, 128), "count")
    text = f"tonic:DVSGesture?path={tmp_path}&bin=5ms&shuffle=no"
    data = open_data(text, port).read()
    assert data.labels is not None and data.labels.tolist() == [2, 10]
    inside = ((events.t >= 1000) & (events.t < 45000)).sum()
    assert data.spikes.total == inside


def test_dvs_gesture_as_tonic_unpacks_it(tmp_path: Path) -> None:
    folder = tmp_path / "DVSGesture" / "ibmGestureTest" / "user24_led"
    folder.mkdir(parents=True)
    rows = np.array([[1, 2, 1, 3], [127, 0, 0, 9]], dtype=np.float64)  # x, y, p, milliseconds
    np.save(folder / "7.npy", rows)
    events = read_npy(folder / "7.npy")
    assert events.t.tolist() == [3000, 9000]
    port = StepInput("in", (2, 128, 128), "binary")
    data = open_data(f"tonic:DVSGesture?path={tmp_path}&bin=1ms&split=test", port).read()
    assert data.labels is not None and data.labels.tolist() == [7]
    assert np.argwhere(data.spikes.dense()[0]).tolist() == [[3, 1, 2, 1], [9, 0, 0, 127]]


@pytest.fixture
def heidelberg(tmp_path: Path) -> Path:
    """Two files like those of the Heidelberg digits: ragged times in seconds, and units."""
    for split, count in (("train", 5), ("test", 3)):
        with h5py.File(tmp_path / f"shd_{split}.h5", "w") as file:
            spikes = file.create_group("spikes")
            real, whole = h5py.vlen_dtype(np.float16), h5py.vlen_dtype(np.uint16)
            times = spikes.create_dataset("times", (count,), dtype=real)
            units = spikes.create_dataset("units", (count,), dtype=whole)
            for k in range(count):
                times[k] = np.array([0.001, 0.0105, 0.25 + 0.01 * k], np.float16)
                units[k] = np.array([3, 699, k], np.uint16)
            file["labels"] = np.arange(count, dtype=np.uint16)
    return tmp_path


def test_heidelberg_digits(heidelberg: Path) -> None:
    port = StepInput("in", (700,), "binary")
    stream = open_data(f"tonic:SHD?path={heidelberg}&bin=10ms&split=train&shuffle=no", port)
    data = stream.read()
    assert (stream.samples, stream.steps) == (5, 30)
    assert data.labels is not None and data.labels.tolist() == [0, 1, 2, 3, 4]
    exact = int(float(np.float16(0.0105)) * 1e6)
    assert np.argwhere(data.spikes.dense()[2]).tolist() == [[0, 3], [exact // 10_000, 699], [27, 2]]
    with pytest.raises(DataError, match=r"holds shd_test.h5, shd_train.h5 \(choose one"):
        open_data(f"tonic:SHD?path={heidelberg}&bin=10ms", port)
    grouped = StepInput("in", (140,), "count")
    joined = open_data(f"{heidelberg}/shd_test.h5?bin=10ms&downsample=5", grouped).read()
    assert joined.spikes.total == 9


def test_generic_hdf5_recording(tmp_path: Path) -> None:
    events = some_events(60, 16, 12)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = file.create_group("events")
        for name in "xytp":
            group[name] = getattr(events, name)
    port = StepInput("in", (2, 12, 16), "count")
    data = open_data(f"{tmp_path}/a.h5?bin=1ms", port).read()
    expected = binned(events, Sensor(16, 12, 2), Binning(1000), data.spikes.steps, "a")
    assert np.array_equal(data.spikes.dense(), expected.dense())
    assert data.labels is None


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    """Part of N-MNIST: three classes with a few recordings each."""
    for label in (0, 3, 7):
        for k in range(2 + label % 2):
            events = some_events(100, 34, 34, seed=10 * label + k)
            write_nmnist(tmp_path / "train" / str(label) / f"{k:05d}.bin", events)
    return tmp_path


PORT = StepInput("in", (2, 34, 34), "count")


def test_a_part_of_nmnist_is_enough(digits: Path) -> None:
    stream = open_data(f"tonic:NMNIST?path={digits}&bin=1ms&shuffle=no", PORT)
    data = stream.read()
    assert data.labels is not None and data.labels.tolist() == [0, 0, 3, 3, 3, 7, 7, 7]
    assert stream.steps == 50
    again = open_data(f"events:{digits}/train?bin=1ms&shuffle=no&steps=300", PORT).read()
    assert np.array_equal(again.spikes.dense()[:, :50], data.spikes.dense())
    assert again.spikes.steps == 300


def test_batches_of_any_size_hold_the_same_samples(digits: Path) -> None:
    stream = open_data(f"tonic:NMNIST?path={digits}&bin=2ms&shuffle=4", PORT)
    whole = stream.read()
    for size in (1, 3, 8, 100):
        parts = list(stream.batches(size))
        assert [p.spikes.batch for p in parts][:-1] == [size] * (len(parts) - 1)
        dense = np.concatenate([p.spikes.dense() for p in parts])
        assert np.array_equal(dense, whole.spikes.dense())
    assert stream.first(3).read().spikes.batch == 3
    assert sorted(whole.labels) == [0, 0, 3, 3, 3, 7, 7, 7]  # type: ignore[arg-type]
    assert whole.labels.tolist() != sorted(whole.labels)  # type: ignore[union-attr, arg-type]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", "says no bin (bin=1ms is the length of a step)"),
        ("bin=1", "bin is '1' (a time with its unit, such as 1ms)"),
        ("bin=0.3us", "bin is '0.3us' (whole microseconds are needed)"),
        ("bin=0ms", "bin is 0 (a step takes 1 us or more)"),
        ("bin=1ms&bins=2", "unknown option 'bins' (options here: bin)"),
        ("bin=1ms&steps=0", "steps is '0' (a whole number, 1 or more)"),
        ("bin=1ms&polarity=up", "polarity is 'up' (one of: both, merge, on, off)"),
        ("bin=1ms&crop=1,2", "crop is '1,2' (4 numbers: 1,1,1,1)"),
        ("bin=1ms&bin=2ms", "bin is given twice (give it once)"),
        ("bin", "'bin' is not key=value (?key=value&key=value)"),
        (
            "bin=1ms&downsample=2",
            "steps have the shape [2, 17, 17], input 'in' needs [2, 34, 34] "
            "(size, crop, downsample and polarity change it)",
        ),
    ],
)
def test_options_that_are_wrong(digits: Path, query: str, message: str) -> None:
    text = f"events:{digits}?{query}" if query else f"events:{digits}"
    with pytest.raises(DataError) as error:
        open_data(text, PORT)
    assert str(error.value) == f"{text}: {message}"


def test_places_that_are_wrong(tmp_path: Path) -> None:
    def message(text: str) -> str:
        with pytest.raises(DataError) as error:
            open_data(text, PORT)
        return str(error.value)

    (tmp_path / "empty").mkdir()
    assert message(f"tonic:NMNIST?path={tmp_path}/no&bin=1ms") == (
        f"{tmp_path}/no: there is no such file or folder (nothing is downloaded)"
    )
    assert message(f"tonic:NMNIST?path={tmp_path}/empty&bin=1ms") == (
        f"{tmp_path}/empty: holds no recordings "
        "(files that are read: .bin, .npy, .aedat, .aedat4, .dat, .raw, .npz, .mat, .csv, .txt, "
        ".h5, .hdf5)"
    )
    assert message("tonic:NMNIST?bin=1ms") == (
        "tonic:NMNIST?bin=1ms: says no path (tonic:NMNIST?path=FOLDER&bin=1ms)"
    )
    for split in ("Train", "Test"):
        write_nmnist(tmp_path / "both" / split / "1" / "0.bin", some_events(5, 34, 34))
    assert message(f"tonic:NMNIST?path={tmp_path}/both&bin=1ms") == (
        f"{tmp_path}/both: has the splits train, test (choose one: split=test)"
    )


def test_other_sets_come_through_tonic_but_nothing_is_downloaded(tmp_path: Path) -> None:
    pytest.importorskip("tonic.datasets")
    text = f"tonic:CIFAR10DVS?path={tmp_path}&bin=1ms"
    with pytest.raises(DataError) as error:
        open_data(text, StepInput("in", (2, 35, 35), "count"))
    assert str(error.value) == (
        f"{tmp_path}: does not hold all of CIFAR10DVS as tonic wants it "
        "(nothing is downloaded; put CIFAR10DVS.zip of "
        f"https://figshare.com/ndownloader/files/38023437 into {tmp_path}/CIFAR10DVS "
        "and unpack it there)"
    )


def test_binary_input_takes_no_counts(tmp_path: Path) -> None:
    events = Events(np.zeros(2, int), np.ones(2, int), np.ones(2, int), np.ones(2, int))
    write_nmnist(tmp_path / "0" / "a.bin", events)
    port = StepInput("in", (2, 34, 34), "binary")
    with pytest.raises(DataError) as error:
        open_data(f"events:{tmp_path}?bin=1ms", port).read()
    assert str(error.value) == (
        f"{tmp_path}/0/a.bin: has up to 2 events of an element in a step "
        "(input is 'binary': clip=1, a shorter bin, or compile with --events count)"
    )
    assert open_data(f"events:{tmp_path}?bin=1ms&clip=1", port).read().spikes.total == 1


@pytest.mark.data
def test_the_real_recordings(data_dir: Path) -> None:
    """As a plain reading of the 40-bit words bins them, in tests/recordings/test_nmnist.py."""
    file = data_dir / "nmnist" / "train" / "0" / "00002.bin"
    raw = np.fromfile(file, np.uint8).reshape(-1, 5).astype(np.int64)
    step = ((raw[:, 2] & 127) << 16 | raw[:, 3] << 8 | raw[:, 4]) // 1000
    frames = np.zeros((300, 2, 34, 34), np.uint8)
    inside = step < 300
    place = (step[inside], raw[inside, 2] >> 7, raw[inside, 1], raw[inside, 0])
    np.add.at(frames, place, 1)
    found = open_data(f"{file}?bin=1ms&steps=300", PORT).read()
    assert np.array_equal(found.spikes.dense()[0], frames)
    stream = open_data(f"tonic:NMNIST?path={data_dir}/nmnist&bin=1ms&steps=300", PORT)
    assert stream.samples == 600
    first = stream.first(40).read()
    assert first.labels is not None and len(set(first.labels.tolist())) == 10
