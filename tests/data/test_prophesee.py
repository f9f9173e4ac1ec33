""".dat and .raw recordings mean what Prophesee's documentation says, word by word."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from snnstack.errors import DataError
from snnstack.frontends.events import Events, Sensor
from snnstack.frontends.open_data import open_data
from snnstack.frontends.prophesee import read_dat, read_raw
from snnstack.ir.step import StepInput
from tests.data.event_writers import Event, Evt3, dat, evt2, evt21, some


def rows(events: Events) -> list[Event]:
    assert events.y is not None and events.p is not None
    return list(zip(*(c.tolist() for c in (events.t, events.x, events.y, events.p)), strict=True))


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_dat_of_both_versions(tmp_path: Path) -> None:
    events = some(200, 640, 480)
    found = read_dat(written(tmp_path / "a.dat", dat(events, 2, (640, 480))))
    assert rows(found) == events and found.sensor == Sensor(640, 480, 2)
    old = some(200, 304, 240)
    assert rows(read_dat(written(tmp_path / "b.dat", dat(old, 1)))) == old


def test_dat_goes_on_after_its_clock(tmp_path: Path) -> None:
    events = [(2**32 - 10, 1, 2, 0), (2**32 + 10, 3, 4, 1)]
    assert rows(read_dat(written(tmp_path / "a.dat", dat(events)))) == events


def test_dat_as_samples(tmp_path: Path) -> None:
    written(tmp_path / "a.dat", dat(some(200, 64, 48), 2, (64, 48)))
    port = StepInput("in", (2, 24, 32), "count")
    data = open_data(f"{tmp_path}/a.dat?bin=5ms&downsample=2&steps=10", port).read()
    assert data.spikes.total == 200


@pytest.mark.parametrize("head", ["% evt 2.0\n% end\n", "% format EVT2;height=720;width=1280\n"])
def test_evt_2(tmp_path: Path, head: str) -> None:
    events = some(300, 1280, 720, last=2**34 - 1)
    found = read_raw(written(tmp_path / "a.raw", evt2(events, head)))
    assert rows(found) == events and found.skipped == {"triggers": 1}
    assert found.sensor == (Sensor(1280, 720, 2) if "format" in head else None)


def test_evt_2_goes_on_after_its_clock(tmp_path: Path) -> None:
    events = [(2**34 - 100, 1, 2, 1), (2**34 - 1, 1, 2, 0), (2**34 + 5, 7, 8, 1)]
    assert rows(read_raw(written(tmp_path / "a.raw", evt2(events)))) == events


@pytest.mark.parametrize(
    ("head", "legacy"),
    [
        ("% format EVT21;endianness=little;height=720;width=1280\n", False),
        ("% format EVT21;endianness=legacy;height=720;width=1280\n", True),
        ("% evt 2.1\n% geometry 1280x720\n% end\n", False),
        ("% evt 2.1\n% geometry 1280x720\n% end\n", True),
    ],
)
def test_evt_21_with_either_half_first(tmp_path: Path, head: str, legacy: bool) -> None:
    rng = np.random.default_rng(1)
    groups, wanted, t = [], [], 0
    for _ in range(200):
        t += int(rng.integers(0, 300))
        x, y, p = 32 * int(rng.integers(40)), int(rng.integers(720)), int(rng.integers(2))
        mask = int(rng.integers(1, 2**32))
        groups.append((t, x, y, p, mask))
        wanted += [(t, x + k, y, p) for k in range(32) if mask >> k & 1]
    found = read_raw(written(tmp_path / "a.raw", evt21(groups, head, legacy)))
    assert rows(found) == wanted and found.sensor == Sensor(1280, 720, 2)


def random_evt3(n: int, gap: int) -> Evt3:
    rng, stream, t = np.random.default_rng(4), Evt3(), 0
    for _ in range(n):
        t += int(rng.integers(0, gap))
        x, y, p = (int(rng.integers(k)) for k in (1240, 720, 2))
        if rng.random() < 0.5:
            stream.pixel(t, x, y, p)
        else:
            lengths = [12, 12, 8][: int(rng.integers(1, 4))]
            stream.vector(t, x, y, p, [(k, int(rng.integers(2**k))) for k in lengths])
    return stream


@pytest.mark.parametrize("gap", [50, 20_000])
def test_evt_3(tmp_path: Path, gap: int) -> None:
    """With the second gap the clock of 24 bits turns over several times."""
    stream = random_evt3(3000, gap)
    found = read_raw(written(tmp_path / "a.raw", stream.bytes()))
    assert rows(found) == stream.events
    assert found.sensor == Sensor(1280, 720, 2) and not found.skipped


def test_evt_3_counts_what_it_passes_over(tmp_path: Path) -> None:
    stream = Evt3()
    stream.words += [0x2 << 12 | 5]  # a pixel before any time or row
    stream.pixel(100, 3, 4, 1)
    stream.words += [0xA << 12 | 1, 0x7 << 12, 0xE << 12]
    found = read_raw(written(tmp_path / "a.raw", stream.bytes()))
    assert rows(found) == [(100, 3, 4, 1)]
    assert found.skipped == {
        "events before the first time or row": 1, "other words": 2, "triggers": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.dat", b"", "does not begin with the % lines of a .dat file"),
        ("a.dat", b"% Version 2\n", "is cut short in its header"),
        ("a.dat", dat(some(9, 8, 8))[:-3], "not a multiple of 8"),
        ("a.dat", b"% Version 2\n\x0e\x08" + bytes(8), "has events of type 14 and 8 bytes"),
        ("a.raw", b"\0\0\0\0", "names no encoding in its header"),
        ("a.raw", b"% evt 4.0\n% end\n", "names no encoding in its header"),
        ("a.raw", b"% format HISTO3D;height=320\n", "has the encoding HISTO3D"),
        ("a.raw", evt2(some(9, 8, 8))[:-1], "not a multiple of 4"),
        ("a.raw", b"% evt 3.0\n% end\n\0", "not a multiple of 2"),
        ("a.raw", b"% evt 3.0\n% end\n\x00\x10", "has a word of the unknown type 1 (word 0)"),
        ("a.raw", b"% evt 2.0\n% end\n\0\0\0\x50", "has a word of the unknown type 5 (word 0)"),
        ("a.raw", b"% evt 2.1\n% end\n" + bytes(16), "which half of a word comes first"),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = written(tmp_path / name, content)
    with pytest.raises(DataError) as error:
        (read_dat if name == "a.dat" else read_raw)(path)
    assert str(error.value).startswith(f"{path}: ") and message in str(error.value)
