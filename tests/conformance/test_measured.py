"""What every target's figures must satisfy in a benchmark: sums, counts, pictures."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from snnstack.building import build
from snnstack.energy.performance import Performance
from snnstack.measure.checks import joined_counts
from snnstack.report.bench import CORES
from snnstack.report.views import CoreMap, MemoryMap
from snnstack.target import backend, target_names
from snnstack.trace import Trace
from tests.conformance.test_conformance import NEEDS, RUN_ON, built, emulated, first_board, inputs

TARGETS = [pytest.param(t, marks=NEEDS[t]) if t in NEEDS else t for t in target_names()]
every_target = pytest.mark.parametrize("target", TARGETS)


def board_of(target: str) -> str:
    return RUN_ON[target][-1] if target in RUN_ON else first_board(target).name


def priced(target: str, period_s: float | None) -> Performance:
    made = built("conv", board_of(target))
    spikes = inputs(made, batch=2, steps=6)
    machine = backend(target)
    run = machine.run(made.program, spikes)
    trace = run if run.counts else emulated(made, spikes, ())
    return machine.price(made.program, trace, period_s)


@every_target
@pytest.mark.parametrize("period_s", [None, 1.0])
def test_the_parts_of_an_energy_sum_to_its_total(target: str, period_s: float | None) -> None:
    found = priced(target, period_s)
    plain = found.energy.to_dict()
    for bound in ("low", "typical", "high"):
        total = plain["total_uj"][bound]
        kinds = [plain[f"{kind}_uj"][bound] for kind in ("dynamic", "static", "io")]
        lines = [c[f"{bound}_uj"] for c in plain["components"]]
        assert math.isclose(total, math.fsum(kinds), rel_tol=1e-12)
        assert math.isclose(total, math.fsum(lines), rel_tol=1e-12)
        assert total > 0 and min(lines) >= 0
    assert plain["total_uj"]["low"] <= plain["interval_uj"]["low"] <= plain["total_uj"]["typical"]
    assert plain["total_uj"]["typical"] <= plain["interval_uj"]["high"] <= plain["total_uj"]["high"]
    known = {c["name"] for c in plain["coefficients"]}
    assert {name for c in plain["components"] for name in c["coefficients"]} <= known
    assert all(c["source"] for c in plain["coefficients"])
    assert 0 < found.latency.low <= found.latency.typical <= found.latency.high


@every_target
def test_counts_alone_give_the_same_price(target: str) -> None:
    """Spikes of a long run are not kept: a price must not need them, nor notice batches."""
    made = built("conv", board_of(target))
    spikes = inputs(made, batch=3, steps=6)
    machine = backend(target)
    run = machine.run(made.program, spikes)
    trace = run if run.counts else emulated(made, spikes, ())
    parts = [spikes.samples(0, 1), spikes.samples(1, 3)]
    runs = [machine.run(made.program, p) if run.counts else emulated(made, p, ()) for p in parts]
    alone = Trace({}, {}, joined_counts([part.counts for part in runs]))
    whole, counted = (machine.price(made.program, t) for t in (trace, alone))
    np.testing.assert_allclose(whole.latency, counted.latency, rtol=1e-9)
    np.testing.assert_allclose(whole.energy.total, counted.energy.total, rtol=1e-9)


@pytest.mark.parametrize("target", target_names())
def test_pictures_show_what_is_used(target: str) -> None:
    """Every neuron stands on one core of the map; a memory holds no more than its size."""
    made = built("conv", board_of(target))
    program = made.program
    make = getattr(backend(target), "views", None)
    for view in () if make is None else make(program):
        if isinstance(view, CoreMap):
            used = backend(target).utilization(program)
            key = next(name for name in CORES if name in used)
            assert len(view.cores) == used[key][0]
            places = {(c.chip, c.x, c.y) for c in view.cores}
            assert len(places) == len(view.cores)
            assert all(0 <= c.x < view.columns and 0 <= c.y < view.rows for c in view.cores)
            assert all(0 < c.load <= 1 for c in view.cores)
            for name in program.fires:
                placed = sum(c.holds.get(name, 0) for c in view.cores)
                assert placed >= made.steps.population(name).n
        if isinstance(view, MemoryMap):
            used = backend(target).utilization(program)[view.title.lower()]
            assert sum(part.bytes for part in view.parts) == used[0] <= view.capacity == used[1]


@pytest.mark.parametrize("target", target_names())
def test_a_conversion_explains_the_whole_loss(target: str, examples_dir: Path) -> None:
    """With all layers at their quantised values, in floats, the loss is that of the chip."""
    board = RUN_ON[target][-1] if target in RUN_ON else first_board(target).name
    train = examples_dir / "digits_train.npz"
    found = build(examples_dir / "digits.nir", board, train).conversion
    assert found is not None and found.accuracy is not None
    last = found.layers[-1].accuracy
    assert last is not None
    assert abs(last - found.accuracy) <= 0.02
    assert all(layer.decay_error < 1e-3 and layer.weight_error < 0.05 for layer in found.layers)
