"""Which form of a route the compiler chooses, and that the choice is the cheaper one in QEMU."""

from __future__ import annotations

import numpy as np
import pytest

from snnstack.backends.mcu.hardware import hardware
from snnstack.backends.mcu.kernels import kernels
from snnstack.backends.mcu.program import DenseTable, Program, Route
from snnstack.backends.mcu.run import run
from snnstack.compilers.mcu.forms import chosen, events_cost, full_cost, with_form
from tests.firmware.firmware_model import (
    conv,
    layer,
    port,
    program,
    spikes,
    weights,
    without_regions,
)
from tests.firmware.test_firmware import M4, M55


def dense(board: str) -> Program:
    return program(
        board, (layer("out", (64,), Route("input", 0, DenseTable(weights(256, 64)))),), port((256,))
    )


def convolution(board: str) -> Program:
    table = conv(8, 8, (12, 12), (3, 3), padding=(1, 1))
    into = layer("map", table.out_shape, Route("input", 0, table), order="hwc")
    return program(board, (into,), port((8, 12, 12), order="hwc"))


def instructions(net: Program, rate: float) -> int:
    trace = run(net, spikes(net.input.shape, rate, batch=1, steps=8))
    return int(sum(int(c.other["instructions"][0]) for c in trace.counts.values()))


@pytest.mark.needs_qemu
@pytest.mark.parametrize("make", [dense, convolution])
@pytest.mark.parametrize("rate", [0.02, 0.9])
@pytest.mark.parametrize("board", [M4, M55])
def test_the_chosen_form_is_not_much_dearer_than_the_other(
    make: object, rate: float, board: str
) -> None:
    net: Program = make(board)  # type: ignore[operator]
    count = rate * float(np.prod(net.input.shape))
    found = chosen(net, {"input": count})
    other = "events" if found.layers[0].routes[0].form == "full" else "full"
    assert instructions(found, rate) <= 1.25 * instructions(with_form(found, other), rate)  # type: ignore[arg-type]


def test_helium_multiplies_everything_when_most_inputs_spike() -> None:
    forms = {
        rate: chosen(dense(M55), {"input": 256 * rate}).layers[0].routes[0].form
        for rate in (0.05, 0.9)
    }
    assert forms == {0.05: "events", 0.9: "full"}
    assert chosen(dense(M4), {"input": 256 * 0.05}).layers[0].routes[0].form == "events"


def test_without_counts_everything_goes_by_events() -> None:
    (route,) = chosen(dense(M55), {}).layers[0].routes
    assert route.form == "events"


def test_maps_that_do_not_fit_the_ram_are_not_used() -> None:
    small = without_regions(convolution(M55), ram_bytes=12_000)
    assert chosen(small, {"input": 1152.0}).layers[0].routes[0].form == "events"
    large = without_regions(convolution(M55), ram_bytes=120_000)
    assert chosen(large, {"input": 1152.0}).layers[0].routes[0].form == "full"


def test_costs_grow_with_events() -> None:
    family = kernels(hardware(convolution(M55).board).core)
    (route,) = convolution(M55).layers[0].routes
    assert events_cost(route, 10, family) < events_cost(route, 100, family)
    assert full_cost(route, 10, family) < events_cost(route, 1152, family)
