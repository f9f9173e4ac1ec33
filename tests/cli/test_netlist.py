"""`snnstack netlist`: circuits of a crossbar program for SPICE."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from snnstack import api
from snnstack.backends.crossbar.circuit import solve
from snnstack.backends.crossbar.instance import conductances, targets
from snnstack.backends.crossbar.netlists import tile_array
from tests.cli.calls import Refused, Run


@pytest.fixture
def arrays(model: Path, run: Run, tmp_path: Path) -> Path:
    """`model`, compiled for a crossbar chip."""
    path = tmp_path / "arrays"
    assert run("compile", model, "--board", "rram-40nm-256kb", "-o", path).code == 0
    return path


@pytest.mark.needs_ngspice
@pytest.mark.parametrize("chip", [None, 3])
def test_ngspice_runs_a_netlist_and_prints_the_currents(
    arrays: Path, run: Run, tmp_path: Path, chip: int | None
) -> None:
    chosen = () if chip is None else ("--chip", chip)
    result = run("netlist", arrays, "-o", tmp_path / "spice", "--rows", "0,1-2", *chosen)
    assert result.code == 0
    names = sorted(file.name for file in (tmp_path / "spice").iterdir())
    program, _ = api.open_program(arrays)
    assert names == [f"tile_{tile.number}.cir" for tile in program.tiles]
    siemens = targets(program) if chip is None else conductances(program, chip)
    tile = program.tiles[0]
    array = tile_array(program, tile, siemens)
    drive = np.zeros((1, array.rows))
    drive[0, [0, 1, 2]] = program.board.coefficients["read_v"].typical
    done = subprocess.run(
        ["ngspice", "-b", tmp_path / "spice" / "tile_0.cir"], capture_output=True, text=True
    )
    printed = dict(line.split(" = ", 1) for line in done.stdout.splitlines() if " = " in line)
    found = [float(printed[f"i(vo{j})"]) for j in range(array.cols)]
    np.testing.assert_allclose(found, solve(array, drive).currents[0], rtol=1e-8, atol=1e-18)


def test_one_tile_is_written_with_its_name(arrays: Path, run: Run, tmp_path: Path) -> None:
    result = run("netlist", arrays, "-o", tmp_path / "one", "--tile", 0, "--chip", 2)
    assert [file.name for file in (tmp_path / "one").iterdir()] == ["tile_0.cir"]
    assert "rram-40nm-256kb, tile 0" in result.out and "cells of chip 2" in result.out


def test_what_cannot_be_written_is_said(
    arrays: Path, program: Path, refused: Refused, tmp_path: Path
) -> None:
    out = ("-o", tmp_path / "none")
    assert refused("netlist", program, *out) == (
        "error: prog: a program for mcu has no analogue circuits "
        "(netlists are of crossbar programs)"
    )
    assert refused("netlist", arrays, *out, "--tile", 99).startswith(
        "error: tile 99: does not exist"
    )
    assert refused("netlist", arrays, *out, "--rows", "500", "--tile", 0).startswith(
        "error: tile 0: row 500 does not exist (the tile has rows 0 to "
    )
    for rows, words in (("a", "'a' is not a list like 0,3,8-15"), ("5-2", "'5-2' is not a range")):
        assert words in refused("netlist", arrays, *out, "--rows", rows, code=2)
    assert refused("netlist", arrays, "-o", arrays).startswith("error: arrays: is an input of")
    assert not (tmp_path / "none").exists()
