"""AEDAT 1 to 3 mean what jAER, tonic and SpikingJelly take them for, by the chip that they name."""

from __future__ import annotations

import logging
import struct
from pathlib import Path

import numpy as np
import pytest

from snnstack.errors import DataError
from snnstack.frontends.aedat import read_aedat
from snnstack.frontends.event_fields import Reading
from snnstack.frontends.events import Events
from snnstack.frontends.open_data import open_data
from snnstack.ir.step import StepInput
from tests.conftest import needed
from tests.data.event_writers import Event, aedat2, davis_address, dvs128_address, some
from tests.data.spikingjelly_files import spikingjelly_utils

JAER = "eu.seebetter.ini.chips.davis."
DVS128 = "ch.unizh.ini.jaer.chip.retina.DVS128"


def rows(events: Events) -> list[Event]:
    assert events.y is not None and events.p is not None
    return list(zip(*(c.tolist() for c in (events.t, events.x, events.y, events.p)), strict=True))


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("chip", "width", "height"),
    [
        ("Davis346red", 346, 260),
        ("Davis346blue", 346, 260),
        ("DAVIS240C", 240, 180),
        ("Davis640", 640, 480),
        ("Davis128", 128, 128),
        ("Davis208PixelParade", 208, 192),
    ],
)
def test_a_davis_keeps_every_event(tmp_path: Path, chip: str, width: int, height: int) -> None:
    events = some(3000, width, height)
    pairs = [(davis_address(x, y, p, width, height), t) for t, x, y, p in events]
    found = read_aedat(written(tmp_path / "a.aedat", aedat2(pairs, JAER + chip)))
    assert rows(found) == events
    assert found.sensor is not None
    assert (found.sensor.width, found.sensor.height) == (width, height)
    port = StepInput("in", (2, height, width), "count")
    data = open_data(f"{tmp_path}/a.aedat?bin=10ms&steps=5", port).read()
    assert data.spikes.total == 3000


def test_a_davis_346_is_read_as_tonic_reads_it(tmp_path: Path) -> None:
    io = pytest.importorskip("tonic.io")
    events = some(2000, 346, 260, seed=5)
    pairs = [(davis_address(x, y, p, 346, 260), t) for t, x, y, p in events]
    path = written(tmp_path / "a.aedat", aedat2(pairs, JAER + "Davis346blue"))
    _, _, theirs = io.read_davis_346(str(path))
    ours = read_aedat(path)
    for name in "xytp":
        assert np.array_equal(getattr(ours, name), theirs[name].astype(np.int64)), name


def test_frames_inertial_samples_and_external_events_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    events = some(40, 240, 180)
    pairs = [(davis_address(x, y, p, 240, 180), t) for t, x, y, p in events]
    pairs[5:5] = [(1 << 31 | 7 << 22 | 9 << 12 | 300, 1)] * 6 + [(1 << 31 | 3 << 10 | 5, 2)] * 7
    pairs[20:20] = [(1 << 10, 3)] * 2
    path = written(tmp_path / "a.aedat", aedat2(pairs, JAER + "DAVIS240C"))
    found = read_aedat(path)
    assert rows(found) == events
    assert found.skipped == {"frame samples": 6, "inertial samples": 7, "external events": 2}
    text = f"{path}?bin=10ms&steps=5"
    with caplog.at_level(logging.WARNING, "snnstack"):
        stream = open_data(text, StepInput("in", (2, 180, 240), "count"))
        stream.read()
        stream.read()
    assert [r.getMessage() for r in caplog.records] == [
        f"{text}: 2 external events passed over",
        f"{text}: 6 frame samples passed over",
        f"{text}: 7 inertial samples passed over",
    ]


@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_a_dvs128_is_mirrored_and_its_polarity_bit_is_set_for_off(
    tmp_path: Path, version: str
) -> None:
    """jAER: x = 127 - bits 1-7, y = bits 8-14, on where bit 0 is clear; bit 15 is no pixel."""
    events = some(300, 128, 128)
    pairs = [(dvs128_address(x, y, p), t) for t, x, y, p in events]
    pairs[10:10] = [(0x8000, 5)] * 3
    found = read_aedat(written(tmp_path / "a.aedat", aedat2(pairs, DVS128, version)))
    assert rows(found) == events
    assert found.skipped == {"special events": 3} and not found.assumed


def test_a_file_that_names_no_chip_is_a_dvs128_and_it_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    events = some(30, 128, 128)
    content = aedat2([(dvs128_address(x, y, p), t) for t, x, y, p in events])
    path = written(tmp_path / "a.aedat", content)
    assert rows(read_aedat(path)) == events
    with caplog.at_level(logging.WARNING, "snnstack"):
        open_data(f"{path}?bin=10ms", StepInput("in", (2, 128, 128), "count")).read()
    assert "names no chip, DVS128 is taken; chip= says another" in caplog.text
    other = [(davis_address(x, y, p, 346, 260), t) for t, x, y, p in some(30, 346, 260)]
    path = written(tmp_path / "b.aedat", aedat2(other))
    with pytest.raises(DataError, match=r"names no chip, and .* are none of a DVS128"):
        read_aedat(path)
    assert rows(read_aedat(path, Reading(chip="DAVIS346"))) == some(30, 346, 260)


def test_spikingjellys_cifar10_dvs_turns_the_same_bits(tmp_path: Path) -> None:
    """Its reader gives {x: 127 - y bits, y: 127 - x bits, p: 1 - bit 0}: ours, turned."""
    address = np.arange(0, 1 << 15, 37)
    path = written(tmp_path / "a.aedat", aedat2([(int(a), k) for k, a in enumerate(address)]))
    found = read_aedat(path)
    assert found.y is not None and found.p is not None
    x_bits, y_bits = address >> 1 & 127, address >> 8 & 127
    theirs = (127 - y_bits, 127 - x_bits, 1 - (address & 1))
    for ours, other in zip((127 - found.y, found.x, found.p), theirs, strict=True):
        assert np.array_equal(ours, other)


@pytest.mark.parametrize("chip", ["DavisRGBW640", "CochleaAMS1c", "Davis346redColor"])
def test_other_chips_are_refused_by_name(tmp_path: Path, chip: str) -> None:
    path = written(tmp_path / "a.aedat", aedat2([(1, 1)], f"some.where.{chip}"))
    with pytest.raises(DataError) as error:
        read_aedat(path)
    assert str(error.value) == (
        f"{path}: is a recording of the chip some.where.{chip}, whose addresses are not known here "
        "(known: DVS128, DAVIS128, DAVIS208, DAVIS240, DAVIS346, DAVIS640; chip= says another)"
    )


def test_a_clock_of_32_bits_goes_on_after_its_end(tmp_path: Path) -> None:
    """Also for events that are a little out of order beside the wrap."""
    t = [2**31 - 5, 2**31 + 5, 2**32 - 20, 2**32 + 3, 2**32 - 2, 2**32 + 9, 2**33 + 1]
    pairs = [(dvs128_address(1, 2, 1), value) for value in t]
    pairs.insert(6, (dvs128_address(1, 2, 1), 2**32 + 2**31 + 5))
    found = read_aedat(written(tmp_path / "a.aedat", aedat2(pairs, DVS128)))
    assert found.t.tolist() == [*t[:6], 2**32 + 2**31 + 5, t[6]]


def test_duplicated_events_and_events_out_of_order_count_as_they_are(tmp_path: Path) -> None:
    pairs = [(dvs128_address(3, 4, 1), t) for t in (900, 100, 100, 500)]
    written(tmp_path / "a.aedat", aedat2(pairs, DVS128))
    port = StepInput("in", (2, 128, 128), "count")
    dense = open_data(f"{tmp_path}/a.aedat?bin=200us&steps=5", port).read().spikes.dense()
    assert dense[0, :, 1, 4, 3].tolist() == [2, 0, 1, 0, 1]


def packets(parts: list[tuple[int, int, bytes, int]], form: str = "RAW") -> bytes:
    """AEDAT 3.1 of (type, overflows, body, events)."""
    content = f"#!AER-DAT3.1\r\n#Format: {form}\r\n#!END-HEADER\r\n".encode()
    for kind, overflows, body, n in parts:
        width = len(body) // n if n else 8
        content += struct.pack("<HHIIIIII", kind, 1, width, 4, overflows, n, n, n) + body
    return content


def polarity(events: list[Event], valid: int = 1) -> bytes:
    return b"".join(
        struct.pack("<II", x << 17 | y << 2 | p << 1 | valid, t & 0x7FFFFFFF)
        for t, x, y, p in events
    )


def test_packets_are_read_as_spikingjelly_reads_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = some(90, 346, 260)
    late = [(t + 2**31, x, y, p) for t, x, y, p in events]
    parts = [(1, 0, polarity(events), 90), (3, 0, bytes(36 * 2), 2), (1, 1, polarity(late), 90)]
    path = written(tmp_path / "a.aedat", packets(parts))
    found = read_aedat(path)
    assert rows(found) == events + late
    assert found.skipped == {"inertial samples": 2}
    theirs = spikingjelly_utils(monkeypatch).load_aedat_v3(path)
    for name in "xytp":
        assert np.array_equal(getattr(found, name), theirs[name]), name


def test_invalid_events_and_compressed_packets(tmp_path: Path) -> None:
    events = some(9, 128, 128)
    body = polarity(events[:5]) + polarity(events[5:], valid=0)
    found = read_aedat(written(tmp_path / "a.aedat", packets([(1, 0, body, 9)])))
    assert rows(found) == events[:5] and found.skipped == {"invalid events": 4}
    path = written(tmp_path / "b.aedat", packets([(1, 0, body, 9)], "SerializedTS,PNGFrames"))
    with pytest.raises(DataError, match="has packets of the format SerializedTS,PNGFrames"):
        read_aedat(path)


@pytest.mark.parametrize("cut", [1, 5, 30])
def test_cut_files_are_refused(tmp_path: Path, cut: int) -> None:
    pairs = [(dvs128_address(1, 1, 1), 5)] * 9
    for content in (aedat2(pairs, DVS128), packets([(1, 0, polarity(some(9, 8, 8)), 9)])):
        path = written(tmp_path / "a.aedat", content[:-cut])
        with pytest.raises(DataError, match=r"is cut short|not a multiple of 8"):
            read_aedat(path)


def test_a_recording_without_events_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a.aedat", aedat2([], DVS128))
    for options in ("bin=1ms", "bin=1ms&steps=5", "frames=3"):
        with pytest.raises(DataError, match="holds no events"):
            open_data(f"{path}?{options}", StepInput("in", (2, 128, 128), "count")).read()


def test_aedat_4_says_its_sensor() -> None:
    needed("aedat")
    tiny = Path(__file__).parent / "tiny.aedat4"
    port = StepInput("in", (2, 6, 8), "count")
    assert open_data(f"{tiny}?bin=1ms&downsample=1", port).read().spikes.total == 200
    with pytest.raises(DataError, match=r"shape \[2, 6, 8\], input 'in' needs \[2, 8, 6\]"):
        open_data(f"{tiny}?bin=1ms", StepInput("in", (2, 8, 6), "count"))
