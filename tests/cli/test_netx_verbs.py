"""A netx file through every verb."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from snnstack.backends.loihi.netx_write import write_netx
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
