"""`compile`: a whole directory or none, and everything that was chosen is written down."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from snnstack.program import digest
from tests.cli.calls import Refused, Run


def test_compile_writes_a_program_and_says_what_it_uses(
    run: Run, model: Path, tmp_path: Path
) -> None:
    shown = run("compile", model, "--board", "microbit-v1", "-o", tmp_path / "p")
    assert (shown.code, shown.err) == (0, "")
    lines = shown.out.splitlines()
    assert lines[0] == f"small for BBC micro:bit v1: nRF51822, Cortex-M0: {tmp_path / 'p'}"
    assert lines[1] == (
        "  dt 0.001 s (file), integrator euler (file), reset v_reset (default), "
        "compare gt (default), events binary (file)"
    )
    assert (
        lines[-1] == "  scales fitted to the weights alone: --calibrate DATA fits them to samples"
    )
    assert {"manifest.json", "network.json", "src", "CMakeLists.txt"} <= {
        file.name for file in (tmp_path / "p").iterdir()
    }


def test_the_manifest_records_choices_defaults_and_every_file(
    run: Run, model: Path, data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "p"
    found = run("compile", model, "--board", "esp32-c3", "--calibrate", data, "-o", out, "--json")
    manifest = json.loads((out / "manifest.json").read_text())
    wanted = {"dt": 0.001, "integrator": "euler", "reset": "v_reset", "compare": "gt"}
    for settings in (manifest["settings"], found.json["settings"]):
        assert {key: settings[key] for key in wanted} == wanted
        assert settings["origin"]["reset"] == "default"
    files = {p.relative_to(out).as_posix(): p for p in out.rglob("*") if p.is_file()}
    del files["manifest.json"]
    digests = {name: digest({name: path.read_bytes()}) for name, path in files.items()}
    assert manifest["files"] == digests
    assert found.json["conversion"]["samples"] == 5
    assert {"flash", "ram"} <= found.json["memory"].keys()


def test_compiling_twice_gives_the_same_bytes(run: Run, model: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        run("compile", model, "--board", "microbit-v1", "-o", tmp_path / name)
    manifests = [(tmp_path / name / "manifest.json").read_text() for name in ("a", "b")]
    assert manifests[0] == manifests[1]


@pytest.mark.parametrize("kind", ["directory", "file", "symlink"])
def test_what_exists_is_never_touched(
    refused: Refused, model: Path, tmp_path: Path, kind: str
) -> None:
    out = tmp_path / "out"
    if kind == "directory":
        out.mkdir()
    elif kind == "file":
        out.write_text("mine")
    else:
        out.symlink_to(tmp_path / "nowhere")
    before = sorted(tmp_path.rglob("*"))
    message = refused("compile", model, "--board", "microbit-v1", "-o", out)
    assert message == "error: out: already exists (name a new output directory)"
    assert sorted(tmp_path.rglob("*")) == before
    assert kind != "file" or out.read_text() == "mine"


def test_an_output_that_cannot_be_written(refused: Refused, model: Path) -> None:
    message = refused("compile", model, "--board", "microbit-v1", "-o", model / "p")
    assert message == "error: small.nir/p: cannot be written: small.nir is not a directory"


def test_a_full_disk_leaves_nothing(
    refused: Refused, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, content: bytes) -> int:
        raise OSError(28, "No space left on device")

    before = sorted(tmp_path.rglob("*"))
    monkeypatch.setattr(Path, "write_bytes", full)
    message = refused("compile", model, "--board", "microbit-v1", "-o", tmp_path / "p")
    assert message == "error: p: cannot be written: No space left on device"
    assert sorted(tmp_path.rglob("*")) == before


def test_unknown_boards_list_near_names(refused: Refused, model: Path, tmp_path: Path) -> None:
    def message(board: object) -> str:
        return refused("compile", model, "--board", board, "-o", tmp_path / "p")

    assert message("stm32f4-discover") == (
        "error: board stm32f4-discover: there is no such board "
        "(did you mean stm32f4-discovery? `snnstack boards` lists all)"
    )
    assert message("xyz") == (
        "error: board xyz: there is no such board (`snnstack boards` lists all)"
    )
    assert message(tmp_path / "b.toml") == (
        "error: b.toml: cannot be read: No such file or directory"
    )


@pytest.mark.data
def test_a_board_that_is_too_small_is_refused_without_any_tool(
    refused: Refused, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    network = data_dir / "nir" / "cnn_sinabs.nir"
    options = ("--reset", "subtract", "--dt", "1")
    message = refused("compile", network, *options, "--board", "microbit-v1", "-o", tmp_path / "p")
    pattern = (
        r"error: board microbit-v1: needs \d+ bytes of RAM \(\d+ state, \d+ stack\), "
        r"16384 available \(choose a larger board\)"
    )
    assert re.fullmatch(pattern, message), message
    assert not (tmp_path / "p").exists()
