"""A netx file through every verb."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from snnstack.api import Build, save
from snnstack.backends.loihi.builder import ChipBuilder
from snnstack.backends.loihi.netx_write import write_netx
from snnstack.board import load_board
from snnstack.compilers.loihi import compile_chip
from tests.cli.calls import Refused, Run
from tests.loihi.test_netx import chain


@pytest.mark.needs_lava
def test_a_netx_file_goes_through_every_verb(run: Run, refused: Refused, tmp_path: Path) -> None:
    netx, data, out = tmp_path / "chain.net", tmp_path / "data.npz", tmp_path / "out"
    write_netx(chain(), netx)
    x = (np.random.default_rng(7).random((3, 20, 2, 7, 7)) < 0.4).astype(np.uint8)
    np.savez(data, x=x, y=np.zeros(3, int))
    assert "CubaLIF" in run("info", netx).out
    shown = run("compile", netx, "--board", "oheo-gulch", "-o", out).out
    assert "registers as in the file: nothing was quantised" in shown
    assert "cores: 1 of 128 (0.8 %)" in shown
    counted = run("emulate", out, "--data", data, "--json").json
    assert {row["population"] for row in counted["populations"]} == {"c", "d", "e"}
    assert counted["updates"] == 3 * 23 * (36 + 6 + 2)
    verified = run("verify", out, "--data", data)
    assert verified.code == 0
    assert verified.out.startswith("0 mismatches against Lava")
    boards = ("--board", "oheo-gulch", "--board", "loihi1", "--board", "nucleo-l4r5zi")
    rows = run("bench", netx, *boards, "--data", data, "--verify-samples", 1, "--json").json
    assert [row["bit_exact"] for row in rows] == [True, True, True]
    told = refused("compile", netx, "--board", "loihi1", "--reset", "zero", "-o", tmp_path / "no")
    assert told == (
        "error: chain.net: holds its registers, --reset cannot change them "
        "(leave the option out, or compile for another target)"
    )


@pytest.mark.needs_lava
def test_values_go_through_a_program_whose_input_carries_them(
    run: Run, refused: Refused, tmp_path: Path
) -> None:
    rng = np.random.default_rng(9)
    net = (
        ChipBuilder()
        .input("input", (2, 4, 4), graded=True)
        .sigma_delta("a", (3, 2, 2), vth=1, spike_exp=6)
        .sigma_delta("b", 3, vth=0, bias=2, spike_exp=6)
        .conv("input", "a", 2 * rng.integers(-60, 61, (3, 2, 3, 3)))
        .connect("a", "b", 2 * rng.integers(-60, 61, (3, 12)))
        .build()
    )
    program = compile_chip(net.with_(lag={"a": 1, "b": 2}), load_board("oheo-gulch"))
    save(Build(None, None, None, program, None), tmp_path / "out")
    data = tmp_path / "data.npz"
    np.savez(data, x=rng.integers(-40, 41, (3, 8, 2, 4, 4)), y=np.array([0, 1, 2]))
    found = run("emulate", tmp_path / "out", "--data", data, "--json").json
    assert (found["samples"], found["steps"]) == (3, 8)
    assert found["synops"] > 0
    assert found["accuracy"] is not None
    checked = run("verify", tmp_path / "out", "--data", data)
    assert checked.code == 0, checked
    assert checked.out.startswith("0 mismatches against Lava")
    np.savez(data, x=np.zeros((3, 8, 5)))
    told = refused("emulate", tmp_path / "out", "--data", data)
    assert told == "error: data.npz: x has shape [3, 8, 5], input 'input' needs [sample, step, 32]"
    np.savez(data, x=np.full((1, 1, 32), 0.5))
    told = refused("verify", tmp_path / "out", "--data", data)
    assert told == "error: data.npz: x holds float64, input 'input' takes signed integers"
