"""Sets of recordings: classes by name, times, shapes, labels, and what is left out is said."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snnstack.errors import DataError, SnnstackError
from snnstack.foreign.limits import Limits
from snnstack.frontends import tonic_reading
from snnstack.frontends.event_steps import seconds
from snnstack.frontends.open_data import open_data
from snnstack.frontends.recording_classes import split_of
from snnstack.ir.step import StepInput
from snnstack.samples import as_stream
from snnstack.trace import Spikes
from tests.data.event_writers import aedat2, dvs128_address, some

FIELDS = np.dtype([("t", np.int64), ("x", np.int16), ("y", np.int16), ("p", np.int8)])
PORT = StepInput("in", (2, 6, 8), "count")
EPOCH = 1605537493718345


def save(path: Path, t: Any = None, n: int = 40) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    events = np.array(some(n, 8, 6, last=20_000)).reshape(-1, 4)
    array = np.zeros(n, FIELDS)
    for k, name in enumerate("txyp"):
        array[name] = events[:, k]
    if t is not None:
        array["t"] = t
    np.save(path, array)
    return path


def message(text: str, port: StepInput = PORT) -> str:
    with pytest.raises(SnnstackError) as error:
        open_data(text, port).read()
    return str(error.value)


def labels(text: str) -> list[int]:
    found = open_data(text, PORT).read().labels
    assert found is not None
    return found.tolist()


# Times


def test_absolute_times_are_refused_with_where_events_begin(tmp_path: Path) -> None:
    times = EPOCH + np.arange(40) * 500
    path = save(tmp_path / "a.npy", times)
    begin, end = seconds(EPOCH), seconds(int(times[-1]))
    assert message(f"{path}?bin=1ms&steps=20") == (
        f"{path}: none of its 40 events is in the 20 steps of 0.001 s from 0: events begin at "
        f"{begin}, end at {end} (origin=first counts from the first event, start=TIME from a time)"
    )
    assert message(f"{path}?bin=1ms") == (
        f"{path}: would be {(EPOCH + 19_500) // 1000 + 1} steps of 0.001 s, at most 1000000: "
        f"events begin at {begin} and end at {end} (origin=first counts from the first event)"
    )
    for query in ("origin=first", f"start={EPOCH}us", "origin=first&steps=20"):
        assert open_data(f"{path}?bin=1ms&{query}", PORT).read().spikes.total == 40


@pytest.mark.parametrize("at", [2**40, 2**60])
def test_an_outlier_is_refused_before_memory_is_asked_for(tmp_path: Path, at: int) -> None:
    path = save(tmp_path / "a.npy", [*range(0, 19_500, 500), at])
    for query in ("", "&origin=first"):
        found = message(f"{path}?bin=1ms{query}")
        assert f"would be {at // 1000 + 1} steps of 0.001 s, at most 1000000" in found
        assert f"end at {seconds(at)}, 99 % of them by 0.019 s (steps=N leaves out" in found


@pytest.mark.parametrize("at", [2**61, -(2**61), 2**63 - 1, -(2**63)])
def test_times_that_no_arithmetic_holds_are_refused(tmp_path: Path, at: int) -> None:
    path = save(tmp_path / "a.npy", [*range(0, 19_500, 500), at])
    for query in ("bin=1ms&origin=first", "bin=1ms&steps=5", "frames=3"):
        assert message(f"{path}?{query}&size=8x6") == (
            f"{path}: t has the value {at} (what is the unit?)"
        )


def test_events_after_the_steps_are_said_if_they_are_many(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = save(tmp_path / "a.npy", np.arange(40) * 500 - 2000)
    text = f"{path}?bin=1ms&steps=10"
    with caplog.at_level(logging.WARNING, "snnstack"):
        assert open_data(text, PORT).read().spikes.total == 20
    assert [r.getMessage() for r in caplog.records] == [
        f"{text}: 16 of 40 events are after the last step and left out",
        f"{text}: 4 of 40 events are before the first step and left out",
    ]


def test_empty_recordings_are_said_and_nothing_but_empty_ones_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save(tmp_path / "a.npy", n=0)
    assert message(f"events:{tmp_path}?bin=1ms&steps=5&size=8x6").endswith("holds no events")
    save(tmp_path / "b.npy")
    with caplog.at_level(logging.WARNING, "snnstack"):
        data = open_data(f"events:{tmp_path}?bin=1ms&shuffle=no&size=8x6", PORT).read()
    assert data.spikes.dense().sum(axis=(1, 2, 3, 4)).tolist() == [0, 40]
    assert "1 of 2 recordings have no events" in caplog.text


# Shapes


@pytest.mark.parametrize(
    ("size", "shape", "taken"),
    [
        ("8x6", (2, 6, 8), True),
        ("8x6", (96,), True),
        ("8x6", (2, 8, 6), False),
        ("8x6", (6, 8, 2), False),
        ("8x6", (2, 3, 16), False),
        ("12x8", (2, 6, 16), False),
        ("8x6&polarity=merge", (1, 6, 8), True),
        ("8x6&polarity=merge", (6, 8), True),
        ("8x12&polarity=merge", (2, 6, 8), False),
    ],
)
def test_shapes_are_compared_axis_by_axis(
    tmp_path: Path, size: str, shape: tuple[int, ...], taken: bool
) -> None:
    path = save(tmp_path / "a.npy")
    port = StepInput("in", shape, "count")
    text = f"{path}?bin=1ms&size={size}"
    if not taken:
        assert f"input 'in' needs {list(shape)}" in message(text, port)
        return
    dense = open_data(text, port).read().spikes.dense()
    whole = open_data(f"{path}?bin=1ms&size={size}", PORT if "merge" not in size else
                      StepInput("in", (1, 6, 8), "count")).read().spikes.dense()  # fmt: skip
    assert dense.shape[2:] == shape
    assert np.array_equal(dense.reshape(whole.shape), whole)


def test_encoded_images_are_not_reshaped(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((3, 4, 6)))
    text = f"{tmp_path}/a.npz?encode=even&steps=2"
    for shape in ((4, 6), (1, 4, 6), (24,)):
        assert open_data(text, StepInput("in", shape, "binary")).read().spikes.batch == 3
    for shape in ((6, 4), (2, 12), (2, 3, 4)):
        assert "encoded steps have the shape [4, 6]" in message(
            text, StepInput("in", shape, "binary")
        )


# Classes


def test_numbers_of_classes_do_not_depend_on_which_are_present(tmp_path: Path) -> None:
    """A name's number is its place among the names of all splits."""
    for split, names in (("train", "ant bee cat dog"), ("test", "bee dog")):
        for name in names.split():
            save(tmp_path / split / name / "0.npy")
            save(tmp_path / split / name / "1.npy")
    text = f"events:{tmp_path}?bin=1ms&size=8x6&shuffle=no"
    assert labels(f"{text}&split=train") == [0, 0, 1, 1, 2, 2, 3, 3]
    assert labels(f"{text}&split=test") == [1, 1, 3, 3]
    inside = f"events:{tmp_path}/test?bin=1ms&size=8x6&shuffle=no"
    assert labels(inside) == [1, 1, 3, 3]
    assert labels(f"{inside}&classes=dog,bee") == [1, 1, 0, 0]
    (tmp_path / "names.txt").write_text("eel\nbee\n\ndog\n")
    assert labels(f"{inside}&classes={tmp_path}/names.txt") == [1, 1, 2, 2]
    assert message(f"{inside}&classes=bee,cat").endswith(
        "has the classes dog, which classes= does not name (named: bee, cat)"
    )
    assert "every class once" in message(f"{inside}&classes=bee,bee")


def test_names_must_be_as_many_as_outputs(tmp_path: Path) -> None:
    for name in ("bee", "dog"):
        save(tmp_path / name / "0.npy")
    text = f"events:{tmp_path}?bin=1ms&size=8x6&shuffle=no"
    assert open_data(text, PORT).within(2).read().labels is not None
    with pytest.raises(DataError) as error:
        open_data(text, PORT).within(4)
    assert str(error.value) == (
        f"{text}: folders name 2 classes (bee, dog), the network has 4 outputs "
        "(classes=a,b,c names all of them in the order of the outputs)"
    )
    found = open_data(f"{text}&classes=ant,bee,cat,dog", PORT).within(4).read()
    assert found.labels is not None and found.labels.tolist() == [1, 3]


def test_folders_that_are_numbers_are_the_classes(tmp_path: Path) -> None:
    for name in ("1", "2", "10"):
        save(tmp_path / name / "0.npy")
    text = f"events:{tmp_path}?bin=1ms&size=8x6&shuffle=no"
    assert labels(text) == [1, 10, 2]
    with pytest.raises(DataError) as error:
        open_data(text, PORT).within(10)
    assert str(error.value) == (
        f"{text}: y has the class 10 at sample 1, the network has 10 outputs: 0..9 "
        "(classes count from 0)"
    )


def test_numbers_as_file_names_are_classes_for_gestures_only(tmp_path: Path) -> None:
    for name in ("left", "right"):
        for number in (3, 4):
            save(tmp_path / name / f"{number}.npy")
    assert labels(f"events:{tmp_path}?bin=1ms&size=8x6&shuffle=no") == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train", "train"), ("Test", "test"), ("nmnist_test", "test"), ("ibmGestureTrain", "train"),
        ("validation", "valid"), ("val", "valid"), ("TEST", "test"), ("contest", None),
        ("latest", None), ("constrain", None), ("7", None), ("test2", None),
    ],
)  # fmt: skip
def test_names_of_splits(name: str, split: str | None) -> None:
    assert split_of(name) == split


def test_a_split_that_is_not_there_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "ant" / "0.npy")
    text = f"events:{tmp_path}?bin=1ms&size=8x6"
    assert message(f"{text}&split=test") == (
        f"{tmp_path}: has no folder for the split 'test' (leave it out)"
    )


def test_a_folder_of_several_kinds_is_refused(tmp_path: Path) -> None:
    """As boxes in .npy lie beside the .dat files of recordings."""
    save(tmp_path / "0" / "a.npy")
    address = [(dvs128_address(1, 2, 1), 5)]
    (tmp_path / "0" / "a.aedat").write_bytes(aedat2(address, "DVS128"))
    (tmp_path / "0" / "._a.npy").write_bytes(b"junk")
    text = f"events:{tmp_path}?bin=1ms&size=8x6"
    assert message(text) == (
        f"{tmp_path}: holds 1 .aedat and 1 .npy (choose one kind: suffix=aedat)"
    )
    assert labels(f"{text}&suffix=npy") == [0]
    save(tmp_path / "b.npy")
    assert "holds b.npy beside folders of classes" in message(f"{text}&suffix=npy")


def test_lists_of_dvs_gesture_choose_the_split(tmp_path: Path) -> None:
    pairs = [(dvs128_address(x, y, p), t) for t, x, y, p in some(50, 128, 128)]
    for name, label in (("user01_led", 1), ("user24_led", 5)):
        (tmp_path / f"{name}.aedat").write_bytes(aedat2(pairs, "DVS128"))
        table = f"class,startTime_usec,endTime_usec\n{label},0,50000\n"
        (tmp_path / f"{name}_labels.csv").write_text(table)
    (tmp_path / "trials_to_train.txt").write_text("user01_led.aedat\n")
    (tmp_path / "trials_to_test.txt").write_text("user24_led.aedat\n")
    port = StepInput("in", (2, 128, 128), "count")
    text = f"tonic:DVSGesture?path={tmp_path}&bin=5ms"
    found = open_data(f"{text}&split=test", port).read()
    assert found.labels is not None and found.labels.tolist() == [4]
    assert "has the splits train, test (choose one: split=test)" in message(text, port)


# Labels


def test_labels_beyond_the_outputs_are_named(tmp_path: Path) -> None:
    x = np.zeros((6, 3, 4), np.uint8)
    np.savez(tmp_path / "a.npz", x=x, y=np.array([1, 2, 3, 4, 1, 4]))
    stream = open_data(tmp_path / "a.npz", StepInput("in", (4,), "binary"))
    assert stream.within(5).read().labels is not None
    with pytest.raises(DataError) as error:
        stream.within(4)
    assert str(error.value) == (
        f"{tmp_path}/a.npz: y has the class 4 at sample 3, the network has 4 outputs: 0..3; "
        "2 samples have such classes (classes count from 0)"
    )
    assert stream.first(3).within(4).read().spikes.batch == 3


# Sets of tonic


def test_every_set_of_tonic_ends_in_one_message(tmp_path: Path) -> None:
    """Nothing there: no set ends the program, none asks for a split that it does not have."""
    datasets = pytest.importorskip("tonic.datasets")
    for name in datasets.__all__:
        text = f"tonic:{name}?path={tmp_path}&bin=10ms&size=8x6"
        found = message(text)
        for _ in range(3):
            for option in ("split", "recording"):
                if f"says no {option}" in found:
                    first = found.split("is one of: ")[1].split(",")[0].rstrip(")")
                    text += f"&{option}={first}"
                    found = message(text)
        wanted = ("does not hold all of", "holds no recordings", "no HDF5 file", "needs ")
        assert any(part in found for part in wanted), (name, found)
        assert "None" not in found, (name, found)


def test_splits_and_recordings_are_asked_for(tmp_path: Path) -> None:
    pytest.importorskip("tonic.datasets")

    def asked(rest: str) -> str:
        return message(f"tonic:{rest}").split(": ", 1)[1]

    tail = f"path={tmp_path}&bin=1ms"
    assert asked(f"POKERDVS?{tail}").endswith("says no split (split= is one of: train, test)")
    assert asked(f"DVSLip?{tail}&split=valid").endswith(
        "DVSLip has no split 'valid' (split= is one of: train, test)"
    )
    assert "says no recording (recording= is one of: boxes_6dof" in asked(f"DAVISDATA?{tail}")
    assert "recording= is one of: outdoor_night" in asked(f"MVSEC?{tail}&recording=x")
    assert "split= is one of: train, val" in asked(f"ThreeET_Eyetracking?{tail}")
    assert "CIFAR10DVS has no split 'test' (leave split out)" in asked(
        f"CIFAR10DVS?{tail}&split=test"
    )
    found = message(f"tonic:DVSLip?{tail}&split=train")
    assert "put DVS-Lip.zip of https://" in found and f"into {tmp_path}/DVSLip" in found


def test_targets_that_are_names_become_classes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """N-Caltech101, a part of it without its archive: recordings of any size, folders of names."""
    pytest.importorskip("tonic.datasets")
    for name, n in (("airplanes", 2), ("ant", 1), ("Faces_easy", 1)):
        for k in range(n):
            events = np.array(some(30, 230, 170, last=50_000, seed=k))
            t, x, y, p = events.T
            columns = [x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255]
            file = tmp_path / "NCALTECH101" / "Caltech101" / name / f"{k}.bin"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(np.stack(columns, axis=1).astype(np.uint8).tobytes())
    port = StepInput("in", (2, 180, 240), "count")
    text = f"tonic:NCALTECH101?path={tmp_path}&bin=5ms&size=240x180&shuffle=no"
    data = open_data(text, port).read()
    part = "holds 4 recordings, not all of NCALTECH101 (those that are there are read)"
    assert f"{tmp_path}: {part}" in caplog.messages
    assert data.spikes.total == 120
    assert data.labels is not None and sorted(data.labels.tolist()) == [0, 1, 1, 2]
    with pytest.raises(DataError, match=r"folders name 3 classes .* the network has 101 outputs"):
        open_data(text, port).within(101)


def test_sequential_mnist_has_the_labels_of_its_images(tmp_path: Path) -> None:
    """Its sensor is told by the set, not by its class; addresses 0 to 99 need size=100."""
    pytest.importorskip("tonic.datasets")
    rng = np.random.default_rng(0)
    folder = tmp_path / "smnist"
    folder.mkdir()
    images = rng.integers(0, 256, (4, 28, 28)).astype(np.uint8)
    head = np.array([2051, 4, 28, 28], ">u4").tobytes()
    (folder / "t10k-images-idx3-ubyte").write_bytes(head + images.tobytes())
    label_head = np.array([2049, 4], ">u4").tobytes()
    (folder / "t10k-labels-idx1-ubyte").write_bytes(label_head + bytes([3, 1, 4, 1]))
    text = f"tonic:SMNIST?path={tmp_path}&bin=1ms&shuffle=no&split=test"
    port = StepInput("in", (100,), "count")
    data = open_data(f"{text}&size=100", port).read()
    assert data.labels is not None and data.labels.tolist() == [3, 1, 4, 1]


def test_what_tonic_reads_has_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its readers run where there is no more memory and time than the files are worth."""
    pytest.importorskip("tonic.datasets")
    folder = tmp_path / "smnist"
    folder.mkdir()
    for name, head in (("images-idx3", [2051, 1, 28, 28]), ("labels-idx1", [2049, 1])):
        content = np.array(head, ">u4").tobytes() + bytes([0, 255] * 392 if "images" in name else 1)
        (folder / f"t10k-{name}-ubyte").write_bytes(content)
    text = f"tonic:SMNIST?path={tmp_path}&bin=1ms&shuffle=no&split=test&size=100"
    port = StepInput("in", (100,), "count")
    assert open_data(text, port).read().spikes.batch == 1
    monkeypatch.setattr(tonic_reading, "LOADING", Limits(10, -1500))
    with pytest.raises(DataError, match=r"reading it needs more than 0 MB|the reader crashed"):
        open_data(text, port).read()


def test_spikes_in_memory_are_not_reshaped() -> None:
    dense = np.zeros((2, 3, 2, 6, 8), np.uint8)
    spikes = Spikes.from_dense(dense)
    assert as_stream(spikes, PORT).samples == 2
    assert as_stream(spikes, StepInput("in", (96,), "binary")).samples == 2
    with pytest.raises(DataError, match=r"has the shape \[2, 6, 8\], input 'in' needs \[6, 8, 2\]"):
        as_stream(spikes, StepInput("in", (6, 8, 2), "binary"))
