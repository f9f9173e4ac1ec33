"""A device file lies beside its board's file, and what is in it belongs to the board."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import snnstack
from snnstack import api
from snnstack.backends.crossbar.device import device_of
from snnstack.backends.crossbar.device_file import load_device
from snnstack.backends.crossbar.instance import conductances
from snnstack.board import Board, board_digest, decode_board, encode_board, load_board, with_values
from snnstack.errors import TargetError
from snnstack.program import read_directory
from snnstack.sweep.journal import key_of
from snnstack.sweep.run import _asked, _job
from snnstack.sweep.spec import read_spec
from tests.crossbar.test_clipping import network, samples

__all__ = ["network"]
OPTIONS = snnstack.Options(dt=1e-3)
PACKAGE = resources.files("snnstack.backends.crossbar") / "devices"


def write_device(folder: Path, high: float = 25.0, name: str = "mine") -> Path:
    """The preset `pcm` with another range, as a file of the user's."""
    text = (PACKAGE / "pcm.toml").read_text().replace('name = "pcm"', f'name = "{name}"')
    file = folder / f"{name}.toml"
    file.write_text(text.replace("high = 25.0", f"high = {high}", 1))
    return file


def write_board(folder: Path, device: str = "mine.toml") -> Path:
    """The board `neurram` with a device of the user's."""
    text = (resources.files("snnstack.boards") / "neurram.toml").read_text()
    text = text.replace('device = "wan2022"', f'device = "{device}"')
    file = folder / "own.toml"
    file.write_text(text.replace('name = "neurram"', 'name = "own"', 1))
    return file


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with board and device; the working directory is another, with a false device."""
    folder, elsewhere = tmp_path / "lab", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    write_device(folder)
    write_board(folder)
    write_device(elsewhere, 99.0)
    monkeypatch.chdir(elsewhere)
    return folder


def test_it_is_looked_up_beside_the_board(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    board = load_board(lab / "own.toml")
    assert device_of(board).high == pytest.approx(25e-6)
    monkeypatch.chdir(lab)
    assert load_board("own.toml") == board
    assert device_of(decode_board(encode_board(board), "a copy")) == load_device(lab / "mine.toml")


def test_a_file_of_the_command_line_is_read_at_once(lab: Path) -> None:
    own = with_values(load_board("neurram"), {"hardware.device": "mine.toml"})
    Path("mine.toml").unlink()
    assert device_of(own).high == pytest.approx(99e-6)
    sheet = with_values(load_board(lab / "own.toml"), {"hardware.adc_bits": 4})
    assert device_of(sheet).high == pytest.approx(25e-6)


def test_a_program_keeps_its_device(lab: Path, network: Any) -> None:
    built = api.build(network, lab / "own.toml", samples(0.1), OPTIONS)
    api.save(built, lab / "program")
    before = conductances(built.program, 3)
    for file in lab.glob("*.toml"):
        file.unlink()
    opened, _ = api.open_program(lab / "program")
    for one, other in zip(before, conductances(opened, 3), strict=True):
        np.testing.assert_array_equal(one, other)


def test_another_device_is_another_digest(lab: Path, network: Any) -> None:
    digests = []
    for factor in (1.9650, 1.9651):
        text = write_device(lab).read_text().replace("1.9650", str(factor))
        (lab / "mine.toml").write_text(text)
        built = api.build(network, lab / "own.toml", samples(0.1), OPTIONS)
        folder = lab / f"program {factor}"
        api.save(built, folder)
        files = read_directory(folder)
        digests.append((files["manifest.json"], board_digest(built.program.board)))
    assert digests[0][0] != digests[1][0]
    assert digests[0][1] != digests[1][1]


def test_a_sweep_knows_its_devices_by_content(lab: Path) -> None:
    """Beside the board, and as an axis beside the file of the sweep."""
    for name in ("a", "b"):
        write_device(lab, name=name)
    (lab / "net.nir").write_bytes(b"")
    np.savez(lab / "samples.npz", **samples(0.1))
    (lab / "sweep.toml").write_text(
        'model = "net.nir"\ndata = "samples.npz"\n[grid]\nboard = ["own.toml"]\n'
        'hardware.device = ["a.toml", "b.toml", "pcm"]\n'
    )

    def keys() -> list[str]:
        spec = read_spec(lab / "sweep.toml")
        _, shared = _job(spec)
        return [key_of(point, _asked(shared, point)) for point in spec.points()]

    first = keys()
    assert keys() == first
    write_device(lab, 60.0, name="b")
    second = keys()
    assert [one == other for one, other in zip(first, second, strict=True)] == [True, False, True]
    write_device(lab, 60.0)
    assert not set(keys()) & set(second)


def test_what_is_wrong_is_said_with_the_file(lab: Path) -> None:
    write_board(lab, "gone.toml")
    with pytest.raises(TargetError) as raised:
        load_board(lab / "own.toml")
    assert str(raised.value) == f"{lab / 'gone.toml'}: cannot be read: No such file or directory"
    write_board(lab)
    write_device(lab, -1.0)
    with pytest.raises(TargetError, match=r"board own: device mine: .*high"):
        device_of(load_board(lab / "own.toml"))


def test_a_name_that_nobody_read_is_refused(lab: Path) -> None:
    plain = load_board("neurram")
    board = Board(**{f: getattr(plain, f) for f in plain.__struct_fields__ if f != "hardware"},
                  hardware={**plain.hardware, "device": "mine.toml"})  # fmt: skip
    with pytest.raises(TargetError, match=r"device mine\.toml was not read"):
        device_of(board)
