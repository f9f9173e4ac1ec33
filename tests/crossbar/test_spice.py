"""ngspice, which knows nothing of the solvers, finds the same currents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snnstack.backends.crossbar import spice
from snnstack.backends.crossbar.circuit import Array, Circuit, Nonlinearity, Topology, Wires, solve
from snnstack.errors import ToolError
from tests.crossbar.test_circuit import conductances, drives, forms

SIZES = [(16, 16), (32, 32), (64, 64), (16, 40), (40, 16), (1, 12), (12, 1)]
UNEQUAL = Wires(row=1.7, col=4.1, source=2.3, driver=25.0, sense=9.0, access=800.0)


def relative(found: Any, wanted: Any) -> float:
    """The largest difference of any one current, relative to that current."""
    scale = np.maximum(np.abs(wanted), 1e-9 * np.abs(wanted).max() + 1e-300)
    return float((np.abs(found - wanted) / scale).max())


@pytest.mark.needs_ngspice
@forms
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_ngspice_finds_the_same_currents(
    topology: Topology, driven_from: Any, size: tuple[int, int]
) -> None:
    rng = np.random.default_rng(sum(size))
    array = Array(conductances(rng, *size), topology, UNEQUAL, driven_from=driven_from)
    v = drives(rng, topology, 1, size[0])
    v[0, 0] = 0.25
    found, wanted = solve(array, v, tolerance=1e-12), spice.run_spice(array, v)
    assert relative(found.currents, wanted.currents) <= 1e-9
    top = np.abs(wanted.driver_currents).max()
    assert np.abs(found.driver_currents - wanted.driver_currents).max() <= 1e-9 * top


@pytest.mark.needs_ngspice
def test_ngspice_finds_the_currents_of_a_transposed_array() -> None:
    rng = np.random.default_rng(1)
    g, v = conductances(rng, 16, 24), drives(rng, "passive", 2, 24)
    array = Array(g.T, "passive", Wires(row=4.0, col=1.0))
    wanted = spice.run_spice(array, v).currents
    for method in ("lines", "transfer"):
        assert relative(Circuit(array, method, 1e-12).currents(v), wanted) <= 1e-9


@pytest.mark.needs_ngspice
@forms
def test_ngspice_finds_the_currents_without_some_resistances(
    topology: Topology, driven_from: Any
) -> None:
    rng = np.random.default_rng(2)
    g, v = conductances(rng, 9, 7), drives(rng, topology, 2, 9)
    for wires in (Wires(row=3.0), Wires(col=3.0), Wires(col=3.0, source=0.0), Wires(sense=20.0)):
        array = Array(g, topology, wires, driven_from=driven_from)
        found = solve(array, v, tolerance=1e-12).currents
        assert relative(found, spice.run_spice(array, v).currents) <= 1e-9


@pytest.mark.needs_ngspice
@forms
def test_ngspice_finds_the_currents_of_nonlinear_cells(
    topology: Topology, driven_from: Any
) -> None:
    rng = np.random.default_rng(3)
    array = Array(conductances(rng, 16, 12), topology, Wires(20.0, 30.0, 10.0),
                  Nonlinearity(0.4, 1.5), driven_from)  # fmt: skip
    v = drives(rng, topology, 2, 16)
    found = solve(array, v, tolerance=1e-12).currents
    assert relative(found, spice.run_spice(array, v).currents) <= 1e-9


def test_a_netlist_has_every_element_once() -> None:
    array = Array([[2**-16, 0.0], [2**-15, 2**-14]], "passive", Wires(row=2.0, driver=1.0))
    assert spice.netlist(array, [0.25, 0.0], "two by two\n.end").splitlines() == [
        "* two by two .end",
        ".options reltol=1e-9 abstol=1e-15 vntol=1e-12 itl1=500",
        "vi0 d0 0 dc 0.25",
        "rw0_0 d0 w0_0 3.0",
        "rw0_1 w0_0 w0_1 2.0",
        "vi1 d1 0 dc 0.0",
        "rw1_0 d1 w1_0 3.0",
        "rw1_1 w1_0 w1_1 2.0",
        "vb0_0 b0_0 b1_0 dc 0",
        "vb1_0 b1_0 o0 dc 0",
        "vo0 o0 0 dc 0",
        "vb0_1 b0_1 b1_1 dc 0",
        "vb1_1 b1_1 o1 dc 0",
        "vo1 o1 0 dc 0",
        "rc0_0 w0_0 b0_0 65536.0",
        "rc1_0 w1_0 b1_0 32768.0",
        "rc1_1 w1_1 b1_1 16384.0",
        ".control",
        "set numdgt=15",
        "op",
        "print i(vo0) i(vo1) i(vi0) i(vi1)",
        "quit",
        ".endc",
        ".end",
    ]


def test_closed_gates_and_transistors_are_in_the_netlist() -> None:
    array = Array([[1e-5], [2e-5]], "gated_wl", Wires(access=700.0))
    text = spice.netlist(array, [0.0, 0.3])
    assert "rt1_0 w1_0 t1_0 700.0\nrc1_0 t1_0 b1_0 " in text
    assert "rc0_0" not in text


def test_a_missing_ngspice_is_named_with_its_install_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ToolError) as caught:
        spice.run_spice(Array([[1e-5]]), [[0.1]])
    assert str(caught.value) == "ngspice: not found (install it: apt-get install ngspice)"


def test_what_ngspice_says_when_it_fails_is_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    tool = tmp_path / "ngspice"
    tool.write_text("#!/bin/sh\necho 'i(vo0) = 1.5e-6'\necho doAnalyses: iteration limit reached\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(ToolError) as caught:
        spice.run_spice(Array([[1e-5]]), [[0.1]])
    wanted = "found no solution: i(vo0) = 1.5e-6 | doAnalyses: iteration limit reached"
    assert str(caught.value) == f"ngspice: {wanted}"
    tool.write_text("#!/bin/sh\nsleep 5\n")
    with pytest.raises(ToolError) as caught:
        spice.run_spice(Array([[1e-5]]), [[0.1]], timeout_s=0.2)
    wanted = "not ready after 0.2 s (use a smaller array, or more time)"
    assert str(caught.value) == f"ngspice: {wanted}"


COMMAND = ".control\nshell touch {made}\n.endc\n"


@pytest.mark.needs_ngspice
def test_no_text_of_a_user_becomes_a_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = tmp_path / "made"
    array = Array(np.full((2, 2), 1e-5), "passive", UNEQUAL)
    for newline in ("\n", "\r", "\r\n", "\x0b", "\x0c", "\x1c", "\x85", "\u2028"):
        title = f"a{newline}{COMMAND.format(made=made).replace(chr(10), newline)}b"
        text = spice.netlist(array, np.ones(2), title)
        assert [line for line in text.splitlines() if line.startswith(".control")] == [".control"]
        assert "shell" not in "".join(text.splitlines()[1:])
        spice._run(text, 60)
    assert not made.exists()


@pytest.mark.needs_ngspice
def test_no_start_file_is_executed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = tmp_path / "made"
    (tmp_path / ".spiceinit").write_text(f"* start\nshell touch {made}\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    array = Array(np.full((2, 2), 1e-5), "passive", UNEQUAL)
    assert np.isfinite(spice.run_spice(array, np.ones((1, 2))).currents).all()
    assert not made.exists()
