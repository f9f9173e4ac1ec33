"""Energy against values computed by hand, and the laws of its bands and intervals."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snnstack.board import Board, Coefficient, Figure, Status
from snnstack.energy import (
    COUNTED,
    Band,
    Component,
    Energy,
    Factor,
    Term,
    clocked_energy,
    factor,
    fixed,
    latency,
    microjoules,
    price,
)
from snnstack.errors import TargetError


def unknown(
    name: str, low: float, typical: float, high: float, unit: str, status: Status = "measured"
) -> Factor:
    return Factor(name, low, typical, high, unit, status, "the test")


SYNOP = unknown("synop_pj", 10, 20, 40, "pJ/synop")
UPDATE = unknown("update_nj", 1, 2, 3, "nJ/update", "estimated")
IDLE = unknown("static_mw", 5, 5, 5, "mW")


def board(*, sleep: bool = True) -> Board:
    """100 MHz, CPI 1 / 2 / 4, 100 / 200 / 300 pJ per cycle, asleep 1 / 2 / 4 mW."""
    coefficients = {
        "cpi": Coefficient(1, 2, 4, "cycles/instruction", "estimated", "the test"),
        "active_pj_per_cycle": Coefficient(100, 200, 300, "pJ/cycle", "measured", "the test"),
        "sleep_mw": Coefficient(1, 2, 4, "mW", "published", "the test"),
    }
    if not sleep:
        del coefficients["sleep_mw"]
    clock = Figure(100_000_000, "Hz", "published", "the test")
    volt = Figure(3, "V", "published", "the test")
    return Board("mine", "", "mcu", "estimated", "", {}, clock, volt, coefficients, {})


def test_price_is_quantity_times_coefficient() -> None:
    assert price("synapses", "dynamic", 1e6, SYNOP).band == pytest.approx((10, 20, 40))
    assert price("updates", "dynamic", 1e3, UPDATE).band == pytest.approx((1, 2, 3))
    assert price("leakage", "static", 2.0, IDLE).band == pytest.approx((1e4, 1e4, 1e4))


def test_kinds_are_summed_apart_and_together() -> None:
    energy = Energy(
        (
            price("synapses", "dynamic", 1e6, SYNOP),
            price("updates", "dynamic", 1e3, UPDATE),
            price("leakage", "static", 2e-3, IDLE),
            fixed("link", "io", Band(0, 1, 5), "published", "a paper"),
        )
    )
    assert energy.dynamic == pytest.approx((11, 22, 43))
    assert energy.static == pytest.approx((10, 10, 10))
    assert energy.io == pytest.approx((0, 1, 5))
    assert energy.total == pytest.approx((21, 33, 58))


def test_units_that_are_no_energy_are_refused() -> None:
    assert microjoules(SYNOP) == 1e-6
    with pytest.raises(TargetError) as caught:
        price("x", "dynamic", 1, unknown("cpi", 1, 1, 1, "cycles/instruction"))
    assert str(caught.value) == (
        "coefficient cpi: unit 'cycles/instruction' is neither an energy nor a power "
        "(use fJ, pJ, nJ, uJ, mJ, uW, mW, W)"
    )


def test_a_missing_coefficient_names_the_board() -> None:
    with pytest.raises(TargetError) as caught:
        clocked_energy(1e6, board(sleep=False), 0.1)
    assert str(caught.value) == (
        "board mine: has no coefficient sleep_mw (it has: cpi, active_pj_per_cycle)"
    )


def test_latency_is_instructions_times_cpi_over_clock() -> None:
    assert latency(1e6, board()) == pytest.approx((0.01, 0.02, 0.04))


def test_active_energy_is_cycles_times_energy_per_cycle() -> None:
    energy = clocked_energy(1e6, board())
    assert energy.dynamic == pytest.approx((100, 400, 1200))
    assert energy.static == (0, 0, 0)
    assert energy.total == energy.dynamic


def test_the_processor_sleeps_for_the_rest_of_the_window() -> None:
    energy = clocked_energy(1e6, board(), window_s=0.1)
    assert energy.static.typical == pytest.approx(2e3 * (0.1 - 0.02))
    assert energy.static.low == pytest.approx(1e3 * (0.1 - 0.04))
    assert energy.static.high == pytest.approx(4e3 * (0.1 - 0.01))
    assert energy.total.typical == pytest.approx(400 + 160)
    assert not energy.notes


def test_a_window_that_is_too_short_is_said_and_costs_no_negative_energy() -> None:
    energy = clocked_energy(1e6, board(), window_s=0.015)
    assert energy.static == pytest.approx((0, 0, 4e3 * 0.005))
    assert energy.notes == ("one inference takes 20 ms, more than its 15 ms",)
    assert energy.warnings[0] == energy.notes[0]


def test_counted_cycles_need_no_cpi() -> None:
    assert clocked_energy(1e6, board(), cpi=COUNTED).total == pytest.approx((100, 200, 300))
    assert clocked_energy(1e6, board(), cpi=COUNTED).warnings == ()


def test_the_band_of_a_component_is_exact_where_coefficients_oppose() -> None:
    a, b = unknown("a", 1, 2, 3, "uJ"), unknown("b", 1, 2, 3, "uJ")
    component = Component("x", "dynamic", (Term(2, (a,)), Term(-1, (a, b)), Term(5)))
    corners = [2 * x - x * y + 5 for x in (1, 3) for y in (1, 3)]
    assert component.band == (min(corners), 2 * 2 - 2 * 2 + 5, max(corners))


@settings(max_examples=50)
@given(st.lists(st.floats(0.1, 100), min_size=9, max_size=9), st.lists(st.floats(0, 1), min_size=3))
def test_no_draw_leaves_the_band_of_its_component(ends: list[float], u: list[float]) -> None:
    bands = [sorted(ends[i : i + 3]) for i in (0, 3, 6)]
    a, b, c = (unknown(n, x, y, z, "uJ") for n, (x, y, z) in zip("abc", bands, strict=True))
    component = Component("x", "dynamic", (Term(3, (a, b)), Term(-1, (b, c)), Term(-2, (a,))))
    drawn = component.value({f: f.quantile(np.array(u)) for f in (a, b, c)})
    low, _, high = component.band
    assert np.all(drawn >= low - 1e-9 * high) and np.all(drawn <= high * (1 + 1e-9))


def test_interval_contains_the_typical_total_and_lies_in_the_total_band() -> None:
    for window in (None, 0.015, 0.1):
        energy = clocked_energy(1e6, board(), window)
        low, typical, high = energy.interval(seed=3)
        assert energy.total.low <= low <= typical <= high <= energy.total.high
        assert typical == energy.total.typical


def test_interval_is_decided_by_the_seed() -> None:
    energy = clocked_energy(1e6, board(), 0.1)
    assert energy.interval(seed=1) == energy.interval(seed=1)
    assert energy.interval(seed=1) != energy.interval(seed=2)


def test_a_shared_coefficient_shares_its_draw() -> None:
    twice = Energy((price("a", "dynamic", 1e6, SYNOP), price("b", "dynamic", 1e6, SYNOP)))
    once = Energy((price("a", "dynamic", 2e6, SYNOP),))
    assert twice.interval(seed=5) == pytest.approx(once.interval(seed=5))
    other = unknown("other_pj", 10, 20, 40, "pJ/synop")
    apart = Energy((price("a", "dynamic", 1e6, SYNOP), price("b", "dynamic", 1e6, other)))
    assert np.ptp(apart.interval(seed=5)) < np.ptp(twice.interval(seed=5))


def test_interval_of_one_coefficient_is_its_quantiles() -> None:
    low, _, high = Energy((price("a", "dynamic", 1e6, SYNOP),)).interval(samples=200_000)
    assert low == pytest.approx(10 * 2**0.1, rel=5e-3)
    assert high == pytest.approx(20 * 2**0.9, rel=5e-3)


def test_a_draw_has_its_median_at_typical_and_stays_in_the_band() -> None:
    for one in (SYNOP, IDLE, unknown("z", 0, 1, 9, "uJ"), unknown("e", 3, 3, 30, "uJ")):
        values = one.quantile(np.array([0.0, 0.5, 1.0]))
        assert values.tolist() == pytest.approx([one.low, one.typical, one.high])


def test_estimated_figures_are_announced_when_more_than_half_rests_on_them() -> None:
    synapses, updates = price("s", "dynamic", 1e6, SYNOP), price("u", "dynamic", 9e3, UPDATE)
    assert Energy((synapses, updates)).warnings == ()
    assert Energy((synapses, updates, updates)).warnings == (
        "64 % of the energy rests on estimated coefficients: update_nj",
    )
    assert clocked_energy(1e6, board(), 0.1).warnings == (
        "100 % of the energy rests on estimated coefficients: cpi",
    )
    assert Energy(()).warnings == ()
    assert Energy(()).interval() == (0, 0, 0)


def test_the_report_is_json_with_sources() -> None:
    report = clocked_energy(1e6, board(), 0.1).to_dict(seed=1)
    assert json.loads(json.dumps(report)) == report
    assert report["dynamic_uj"] == pytest.approx({"low": 100, "typical": 400, "high": 1200})
    assert [c["name"] for c in report["components"]] == ["active", "sleep"]
    assert report["components"][0]["coefficients"] == ["active_pj_per_cycle", "cpi"]
    assert [c["name"] for c in report["coefficients"]] == ["active_pj_per_cycle", "cpi", "sleep_mw"]
    assert {c["source"] for c in report["coefficients"]} == {"the test"}
    assert report["interval_uj"]["level"] == 0.9


def test_component_names_its_sources_and_worst_status() -> None:
    active = clocked_energy(1e6, board()).components[0]
    assert active.status == "estimated"
    assert active.source == "active_pj_per_cycle: the test; cpi: the test"
    assert factor(board(), "cpi") == unknown("cpi", 1, 2, 4, "cycles/instruction", "estimated")
