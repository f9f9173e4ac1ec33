"""Solved arrays obey Kirchhoff, agree with the nodal equations, and keep their error bounds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from snnstack.backends.crossbar.circuit import (
    TOPOLOGIES,
    Array,
    Circuit,
    Nonlinearity,
    Topology,
    Wires,
    adjoint,
    choose,
    noise_response,
    noise_std,
    solve,
)
from snnstack.errors import DataError, ToolError
from tests.crossbar.nodal import nodal

Reals = NDArray[np.float64]
UNEQUAL = Wires(row=2.0, col=3.5, source=1.2, driver=30.0, sense=11.0, access=500.0)
SHAPES = [(16, 16), (12, 20), (20, 12), (1, 9), (9, 1), (1, 1)]
FORMS: list[tuple[Topology, str]] = [
    ("passive", "top"), ("gated_bl", "top"), ("gated_bl", "bottom"), ("gated_wl", "top"),
]  # fmt: skip
forms = pytest.mark.parametrize(("topology", "driven_from"), FORMS)


def conductances(rng: np.random.Generator, rows: int, cols: int, top: float = 50e-6) -> Reals:
    """Random cells, a fifth of them without any conductance."""
    g = rng.uniform(0, top, (rows, cols))
    return np.where(rng.random(g.shape) < 0.2, 0.0, g)


def drives(rng: np.random.Generator, topology: str, batch: int, rows: int) -> Reals:
    """Any voltages for a passive array, else gates of which half are open."""
    if topology == "passive":
        return rng.uniform(-0.2, 0.3, (batch, rows))
    return 0.25 * (rng.random((batch, rows)) < 0.5)


def close(found: Reals, wanted: Reals, relative: float) -> bool:
    """Whether the largest difference is at most `relative` of the largest value."""
    return bool(np.abs(found - wanted).max() <= relative * max(np.abs(wanted).max(), 1e-30))


@forms
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_currents_and_voltages_solve_the_nodal_equations(
    topology: Topology, driven_from: Any, shape: tuple[int, int]
) -> None:
    rng = np.random.default_rng(sum(shape))
    array = Array(conductances(rng, *shape), topology, UNEQUAL, driven_from=driven_from)
    v = drives(rng, topology, 3, shape[0])
    v[0, 0] = 0.25
    found = solve(array, v, tolerance=1e-12)
    for n, vector in enumerate(v):
        currents, word, bit = nodal(array, vector)
        scale = max(np.abs(currents).max(), 1e-12)
        assert np.abs(found.currents[n] - currents).max() <= 1e-11 * scale
        assert np.abs(found.bit_voltages[n] - bit).max() <= 1e-11
        if vector.any():
            assert np.abs(found.source_voltages[n] - word).max() <= 1e-11


@pytest.mark.parametrize("shape", [*SHAPES, (40, 70), (70, 40)], ids=str)
def test_all_methods_of_a_passive_array_agree(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    array = Array(conductances(rng, *shape), "passive", Wires(7.0, 3.0, driver=5, sense=50))
    v = drives(rng, "passive", 5, shape[0])
    lines = Circuit(array, "lines", 1e-12)
    transfer = Circuit(array, "transfer")
    assert close(lines.currents(v), transfer.currents(v), 1e-11)
    solved = lines.solve(v)
    assert close(v @ transfer.transfer().admittance, solved.driver_currents, 1e-10)
    assert np.array_equal(lines.solve(v[:2]).currents, solved.currents[:2])


@forms
def test_power_supplied_is_power_dissipated(topology: Topology, driven_from: Any) -> None:
    rng = np.random.default_rng(2)
    v = drives(rng, topology, 6, 24)
    for cell in (Nonlinearity(), Nonlinearity(0.2, 0.8)):
        wires = UNEQUAL if cell.linear else Wires(20.0, 30.0, 10.0, 5.0, 5.0)
        array = Array(conductances(rng, 24, 17), topology, wires, cell, driven_from)
        found = solve(array, v, tolerance=1e-12)
        np.testing.assert_allclose(found.cell_w + found.wire_w, found.supplied_w, rtol=1e-10)
        into = found.driver_currents.sum(axis=1)
        np.testing.assert_allclose(found.currents.sum(axis=1), into, rtol=1e-10)


def kirchhoff_residual(found: Any) -> float:
    """Largest current that is lost at any node, relative to the largest column current."""
    array = found.array
    row = np.full(array.cols, 1 / array.wires.row)
    row[0] = 1 / (array.wires.row + array.wires.driver)
    col = np.full(array.rows, 1 / array.wires.col)
    col[-1] = 1 / (array.wires.col + array.wires.sense)
    word, bit = found.source_voltages, found.bit_voltages
    left = np.concatenate([found.drive[:, :, None], word], axis=2)
    along = (left[:, :, :-1] - left[:, :, 1:]) * row
    below = np.concatenate([bit, np.zeros_like(bit[:, :1])], axis=1)
    down = (below[:, :-1] - below[:, 1:]) * col[:, None]
    cells = array.g * (word - bit)
    lost_word = along - cells
    lost_word[:, :, :-1] -= along[:, :, 1:]
    lost_bit = cells - down
    lost_bit[:, 1:] += down[:, :-1]
    return float(
        max(np.abs(lost_word).max(), np.abs(lost_bit).max()) / np.abs(found.currents).max()
    )


def test_no_node_loses_current() -> None:
    rng = np.random.default_rng(3)
    array = Array(conductances(rng, 48, 33), "passive", Wires(2.0, 5.0, driver=20, sense=3))
    assert kirchhoff_residual(solve(array, drives(rng, "passive", 4, 48), tolerance=1e-12)) <= 1e-11


def test_currents_superpose() -> None:
    rng = np.random.default_rng(4)
    array = Array(conductances(rng, 30, 20), "passive", Wires(5.0, 2.0))
    one, other = drives(rng, "passive", 2, 30)
    for method in ("lines", "transfer"):
        circuit = Circuit(array, method, 1e-12)
        a, b, both = circuit.currents(np.array([one, other, 2 * one - 3 * other]))
        assert close(2 * a - 3 * b, both, 1e-10)


@pytest.mark.parametrize("shape", [(16, 16), (12, 30), (30, 12)], ids=str)
def test_driven_from_below_and_measured_left_an_array_is_the_transposed_one(
    shape: tuple[int, int],
) -> None:
    g = conductances(np.random.default_rng(5), *shape)
    there = Circuit(Array(g, "passive", Wires(4.0, 9.0, driver=2, sense=7)), "lines", 1e-12)
    turned = Array(g[::-1, ::-1].T, "passive", Wires(9.0, 4.0, driver=7, sense=2))
    back = Circuit(turned, "lines", 1e-12).currents(np.eye(shape[1]))
    assert close(there.currents(np.eye(shape[0])), back[::-1, ::-1].T, 1e-10)


@forms
def test_without_resistance_columns_are_products(topology: Topology, driven_from: Any) -> None:
    rng = np.random.default_rng(6)
    g, v = conductances(rng, 14, 9), drives(rng, topology, 4, 14)
    ideal = Array(g, topology, Wires(), driven_from=driven_from)
    assert close(Circuit(ideal).currents(v), v @ g, 1e-14)
    assert close(solve(ideal, v).currents, v @ g, 1e-14)
    nearly = Array(g, topology, Wires(1e-6, 1e-6), driven_from=driven_from)
    assert close(solve(nearly, v, tolerance=1e-12).currents, v @ g, 1e-6)


@pytest.mark.parametrize("wires", [Wires(5.0, 0.0), Wires(0.0, 5.0), Wires(0, 0, driver=9.0)])
def test_single_resistances_may_be_zero(wires: Wires) -> None:
    rng = np.random.default_rng(7)
    g, v = conductances(rng, 10, 12), drives(rng, "passive", 3, 10)
    tiny = Wires(wires.row or 1e-6, wires.col or 1e-6, driver=wires.driver)
    exact = [nodal(Array(g, "passive", tiny), vector)[0] for vector in v]
    for method in ("lines", "transfer"):
        found = Circuit(Array(g, "passive", wires), method, 1e-12).currents(v)
        assert close(found, np.array(exact), 1e-7)


@pytest.mark.parametrize("cols", [1, 2, 7, 100])
def test_a_uniform_word_line_decays_as_a_hyperbolic_cosine(cols: int) -> None:
    """w_j = V cosh((n - j - 1/2) t) / cosh((n + 1/2) t), 2 cosh t = 2 + r g, open at the end."""
    r, g, volt = 50.0, 1e-4, 0.3
    found = solve(Array(np.full((1, cols), g), "passive", Wires(row=r)), [[volt]])
    t = np.arccosh(1 + r * g / 2)
    wanted = volt * np.cosh((cols - np.arange(cols) - 0.5) * t) / np.cosh((cols + 0.5) * t)
    np.testing.assert_allclose(found.currents[0], g * wanted, rtol=1e-12)


@pytest.mark.parametrize("rows", [1, 2, 7, 100])
def test_a_uniform_gated_column_is_symmetric(rows: int) -> None:
    """x_i = A cosh((i - (m-1)/2) t); driven from the far end, equal lines share the fall."""
    r, g, volt = 8.0, 1e-4, 0.3
    t = np.arccosh(1 + 2 * r * g / 2)
    x = np.cosh((np.arange(rows) - (rows - 1) / 2) * t)
    current = g * x.sum()
    total = current * (2 * r + r * (rows - 1) / 2) + x[0]
    drive = np.full((1, rows), volt)
    far = solve(Array(np.full((rows, 1), g), "gated_bl", Wires(col=r)), drive)
    np.testing.assert_allclose(far.currents[0], [current * volt / total], rtol=1e-12)
    x = np.cosh((np.arange(rows) + 0.5) * t)
    total = x[-1] + 2 * r * g * x.sum()
    near = Array(np.full((rows, 1), g), "gated_bl", Wires(col=r), driven_from="bottom")
    wanted = g * x.sum() * volt / total
    np.testing.assert_allclose(solve(near, drive).currents[0], [wanted], rtol=1e-12)


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_nothing_driven_and_nothing_conducting_give_nothing(topology: Topology) -> None:
    wires = Wires(2.0, 2.0)
    dead = Circuit(Array(np.zeros((6, 4)), topology, wires))
    drive = np.array([[0.2] * 6, [0.0] * 6])
    assert not dead.currents(drive).any()
    assert not dead.solve(drive).currents.any()
    assert Circuit(Array(np.ones((6, 4)), topology, wires)).currents(np.zeros((0, 6))).shape == (
        0,
        4,
    )
    live = solve(Array(np.full((6, 4), 1e-5), topology, wires), drive)
    assert live.currents[0].all() and not live.currents[1].any()


@forms
def test_one_cell_alone_sees_only_its_way(topology: Topology, driven_from: Any) -> None:
    """A single conducting cell is a resistor in series with the segments on its way."""
    g = np.zeros((7, 5))
    g[2, 3] = 1e-3
    array = Array(g, topology, Wires(row=3, col=5, source=7, driver=11, sense=13, access=17),
                  driven_from=driven_from)  # fmt: skip
    v = np.zeros((1, 7))
    v[0, 2] = 0.4
    into = {"gated_bl": 7 * (3 if driven_from == "top" else 5)}.get(topology, 3 * 4) + 11
    transistor = 0 if topology == "passive" else 17
    ohm = into + 1000 + transistor + 5 * 5 + 13
    found = solve(array, v, tolerance=1e-12).currents[0]
    np.testing.assert_allclose(found, [0, 0, 0, 0.4 / ohm, 0], rtol=1e-10, atol=1e-20)


@settings(max_examples=25)
@given(
    rows=st.integers(1, 24), cols=st.integers(1, 24), seed=st.integers(0, 2**20),
    row=st.sampled_from([0.01, 1.0, 40.0]), col=st.sampled_from([0.01, 1.0, 40.0]),
    top=st.sampled_from([1e-6, 1e-4, 1e-2]), form=st.sampled_from(FORMS),
)  # fmt: skip
def test_the_error_is_within_its_bound(
    rows: int, cols: int, seed: int, row: float, col: float, top: float, form: Any
) -> None:
    rng = np.random.default_rng(seed)
    array = Array(conductances(rng, rows, cols, top), form[0], Wires(row, col), driven_from=form[1])
    v = drives(rng, form[0], 2, rows)
    found = solve(array, v, tolerance=1e-4)
    for n, vector in enumerate(v):
        exact = nodal(array, vector)[0]
        off = np.abs(found.currents[n] - exact).max()
        assert off <= found.bound[n] + 1e-12 * np.abs(exact).max()
        allowed = 1e-4 if form[0] != "gated_bl" else 1e-10
        assert found.bound[n] <= allowed * np.abs(found.currents[n]).max() + 1e-30


HARD = {
    "512x512, 2 ohm, 5 kohm": (512, 512, Wires(2.0, 2.0), 1 / 50e3, 1 / 5e3),
    "long rows": (64, 1024, Wires(2.0, 2.0), 1 / 50e3, 1 / 5e3),
    "wires as resistive as cells": (64, 64, Wires(1e3, 1e3), 0.0, 1e-2),
    "very unequal wires": (128, 128, Wires(0.01, 50.0), 1 / 200e3, 1 / 5e3),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", HARD)
def test_lines_converge_at_hard_corners(name: str) -> None:
    rows, cols, wires, low, high = HARD[name]
    rng = np.random.default_rng(8)
    array = Array(rng.uniform(low, high, (rows, cols)), "passive", wires)
    v = 0.2 * (rng.random((2, rows)) < 0.5)
    found = solve(array, v, tolerance=1e-8)
    top = np.abs(found.currents).max(axis=1)
    assert (found.bound <= 1e-8 * top * 1.01).all()
    for n, vector in enumerate(v):
        assert np.abs(found.currents[n] - nodal(array, vector)[0]).max() <= found.bound[n]


def test_an_impossible_tolerance_is_refused() -> None:
    rng = np.random.default_rng(9)
    array = Array(rng.uniform(0, 1e-2, (40, 40)), "passive", Wires(1e3, 1e3))
    with pytest.raises(ToolError) as caught:
        Circuit(array, "lines", 1e-16).currents(drives(rng, "passive", 1, 40))
    text = str(caught.value)
    assert text.startswith(
        "line solve: 40x40 array did not converge to a relative error of 1.0e-16"
    )
    assert text.endswith("(use method='transfer', which does not iterate, or a larger tolerance)")


@forms
def test_nonlinear_cells_follow_their_curve(topology: Topology, driven_from: Any) -> None:
    """Kirchhoff's laws hold with the currents of the curve, whatever found the voltages."""
    rng = np.random.default_rng(10)
    array = Array(conductances(rng, 13, 8), topology, Wires(20.0, 30.0, 10.0, 5.0, 5.0),
                  Nonlinearity(0.5, 2.0), driven_from)  # fmt: skip
    v = drives(rng, topology, 10, 13)
    found = solve(array, v, tolerance=1e-11)
    open_cells = (v != 0)[:, :, None] if array.gated else np.ones((1, 1, 1), bool)
    across = (found.source_voltages - found.bit_voltages) * open_cells
    curve = array.g * (across + 0.5 * across**2 + 2.0 * across**3)
    assert close(curve, found.cells, 1e-9)
    assert close(curve.sum(axis=1), found.currents, 1e-10)
    linear = solve(Array(array.g, topology, array.wires, driven_from=driven_from), v)
    assert not close(linear.currents, found.currents, 0.02)


@pytest.mark.parametrize("cell", [Nonlinearity(), Nonlinearity(0.2, 0.8)], ids=["linear", "curved"])
@forms
def test_read_noise_follows_from_the_adjoint(
    topology: Topology, driven_from: Any, cell: Nonlinearity
) -> None:
    """The change of the currents is that of two arrays solved again, to second order."""
    rng = np.random.default_rng(11)
    wires = Wires(20.0, 35.0, 12.0, 30.0, 11.0, 500.0 if cell.linear else 0.0)
    g, v = rng.uniform(1e-6, 50e-6, (12, 9)), drives(rng, topology, 4, 12)
    delta = rng.normal(0, 1e-9, g.shape)

    def currents(cells: Reals) -> Any:
        return solve(Array(cells, topology, wires, cell, driven_from), v, tolerance=1e-13)

    found = currents(g)
    wanted = (currents(g + delta).currents - currents(g - delta).currents) / 2
    assert close(noise_response(found, delta), wanted, 1e-7)
    single = np.zeros_like(g)
    squares = np.zeros_like(wanted)
    for cell_at in np.ndindex(*g.shape):
        single[cell_at] = delta[cell_at]
        squares += noise_response(found, single) ** 2
        single[cell_at] = 0
    np.testing.assert_allclose(noise_std(found, np.abs(delta)), np.sqrt(squares), rtol=1e-9)


@pytest.mark.parametrize("wires", [Wires(20.0, 30.0, 10.0, 5.0), Wires()], ids=["wires", "ideal"])
@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_the_fast_way_to_noisy_currents_is_the_same(topology: Topology, wires: Wires) -> None:
    rng = np.random.default_rng(12)
    g, sigma = rng.uniform(0, 50e-6, (2, 12, 9))
    circuit, v = Circuit(Array(g, topology, wires)), drives(rng, topology, 5, 12)
    currents, spread = circuit.noisy(v, sigma)
    solved = circuit.solve(v)
    np.testing.assert_allclose(currents, solved.currents, rtol=1e-9)
    np.testing.assert_allclose(spread, noise_std(solved, sigma), rtol=1e-9)


def test_an_array_without_wires_has_an_adjoint_of_ones() -> None:
    """Each column sees its own cells, fully, and no others."""
    field = adjoint(Array(np.full((5, 3), 1e-5), "passive", Wires(1e-9, 1e-9)))
    np.testing.assert_allclose(field, np.broadcast_to(np.eye(3)[:, None, :], (3, 5, 3)), atol=1e-9)


def test_the_method_depends_on_topology_and_batch() -> None:
    g = np.full((20, 30), 1e-5)
    wired = Array(g, "passive", Wires(1.0, 1.0))
    assert choose(wired, 5) == "lines"
    assert choose(wired, 21) == "transfer"
    assert choose(Array(g, "passive"), 5) == "ideal"
    assert choose(Array(g, "gated_bl", wired.wires), 500) == "ladder"
    assert choose(Array(g, "gated_wl", wired.wires), 500) == "lines"
    assert choose(Array(g, "passive", wired.wires, Nonlinearity(a3=0.1)), 500) == "lines"


G = np.full((2, 3), 1e-5)
BAD_ARRAYS: list[tuple[dict[str, Any], str]] = [
    ({"g": [1e-5]}, "crossbar array: conductances have shape (1,) (expected [rows, cols])"),
    ({"g": np.zeros((0, 3))},
     "crossbar array: conductances have shape (0, 3) (expected [rows, cols])"),
    ({"g": [[1e-5, -2e-6]]},
     "crossbar array: conductance of cell (0, 1) is -2e-06 S "
     "(expected a finite number, not negative)"),
    ({"g": [[1e-5, np.nan]]},
     "crossbar array: conductance of cell (0, 1) is nan S "
     "(expected a finite number, not negative)"),
    ({"g": G, "topology": "active"},
     "crossbar array: topology 'active' (one of passive, gated_bl, gated_wl)"),
    ({"g": G, "wires": Wires(row=-1.0)},
     "crossbar array: wire resistance row = -1 ohm (expected 0 or more)"),
    ({"g": G, "driven_from": "left"}, "crossbar array: driven_from 'left' (top or bottom)"),
    ({"g": G, "topology": "gated_bl", "wires": Wires(access=5.0), "cell": Nonlinearity(a3=1.0)},
     "crossbar array: nonlinear cells with a transistor resistance are not modelled together "
     "(put the transistor into the cell's own curve: access = 0)"),
]  # fmt: skip


@pytest.mark.parametrize(("given_values", "message"), BAD_ARRAYS, ids=range(len(BAD_ARRAYS)))
def test_what_no_array_can_be_is_said(given_values: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as caught:
        Array(**given_values)
    assert str(caught.value) == message


def test_what_does_not_fit_an_array_is_said() -> None:
    passive, gated = Array(G, "passive", Wires(1.0)), Array(G, "gated_bl")
    falling = Array(G, "passive", Wires(1.0), Nonlinearity(a3=-5.0))
    cases: list[tuple[Any, str]] = [
        (lambda: solve(passive, [[0.1] * 3]),
         "drive voltages: shape (1, 3), expected [batch, 2] (one voltage for each row)"),
        (lambda: solve(passive, [[0.1, np.inf]]),
         "drive voltages: contain a number that is not finite"),
        (lambda: solve(gated, [[0.1, 0.1], [0.1, 0.2]]),
         "drive voltages: vector 1 has several voltages (the rows of gated_bl are gates: "
         "each is 0 or the common source voltage)"),
        (lambda: Circuit(gated, "transfer"),
         "circuit gated_bl: method 'transfer' does not solve this array (possible: ladder)"),
        (lambda: Circuit(passive, "magic"),  # type: ignore[arg-type]
         "circuit: method 'magic' (one of auto, lines, transfer, ladder, ideal)"),
        (lambda: Circuit(passive, tolerance=0.0),
         "circuit: tolerance 0.0, expected between 0 and 1"),
        (lambda: Circuit(gated).transfer(),
         "circuit gated_bl: has no transfer matrix: only a passive array of linear cells has one"),
        (lambda: solve(falling, [[0.5, 0.5]]),
         "crossbar array: the current of a cell falls at -0.5 V (a2 = 0, a3 = -5) "
         "(its curve must rise over the whole range of +-0.5 V)"),
        (lambda: noise_std(solve(passive, [[0.1, 0.1]]), np.ones((3, 2))),
         "conductance changes: shape (3, 2), expected [rows, cols] = (2, 3)"),
    ]  # fmt: skip
    for call, message in cases:
        with pytest.raises(DataError) as caught:
            call()
        assert str(caught.value) == message
