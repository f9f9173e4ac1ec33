"""Firmware of all elements, executed as Cortex-M4F code, against the definition in chip units."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snnstack.backends.spinnaker2 import firmware
from snnstack.backends.spinnaker2.core import Core
from snnstack.backends.spinnaker2.firmware import DATA_BASE
from snnstack.backends.spinnaker2.image import image
from snnstack.backends.spinnaker2.network import (
    ChipInput,
    ChipNetwork,
    ChipPopulation,
    Connection,
)
from snnstack.backends.spinnaker2.reference import run_chip
from snnstack.backends.spinnaker2.run import count_instructions, run
from snnstack.backends.spinnaker2.words import has_delays
from snnstack.errors import ToolError
from snnstack.ir.step import Conv, Dense, Pool, size
from snnstack.trace import Spikes
from tests.spinnaker2.handmade import program

pytestmark = pytest.mark.needs_unicorn
PLANE = (2, 6, 5)
APPLICATIONS = ("lif", "lif_no_delay", "lif_curr_exp", "lif_curr_exp_no_delay")


def population(rng: Any, draw: Any, name: str, shape: tuple[int, ...]) -> ChipPopulation:
    application = draw(st.sampled_from(APPLICATIONS))

    def some(low: float, high: float) -> Any:
        return rng.uniform(low, high, size(shape)).astype(np.float32)

    current = "curr_exp" in application
    return ChipPopulation(
        name,
        shape,
        application,
        alpha=some(0, 1),
        i_offset=some(-1, 2),
        threshold=some(1, 40) if draw(st.integers(0, 4)) else None,
        v_reset=some(-5, 1),
        exc_decay=some(0, 1) if current else None,
        inh_decay=some(0, 1) if current else None,
        reset=draw(st.sampled_from(["v_reset", "subtract"])),
    )


@st.composite
def networks(draw: Any) -> ChipNetwork:
    """Dense, recurrent, pooled and delayed connections between 1..3 populations."""
    rng = np.random.default_rng(draw(st.integers(0, 2**20)))
    shapes: dict[str, tuple[int, ...]] = {"x": PLANE}
    populations = []
    for k in range(draw(st.integers(1, 3))):
        shapes[f"p{k}"] = (draw(st.sampled_from([1, 9, 70])),)
        populations.append(population(rng, draw, f"p{k}", shapes[f"p{k}"]))
    connections = []
    firing = ["x", *(p.name for p in populations if p.threshold is not None)]
    for target in populations:
        delayed = has_delays(target.application)
        most = 15 if delayed else 127
        for source in draw(st.lists(st.sampled_from(firing), min_size=1, max_size=3)):
            delay = draw(st.integers(0, 7)) if delayed else 0
            pool = None
            if source == "x" and draw(st.booleans()):
                pool = Pool(PLANE, (2, 3, 2), (2, 2), (2, 2), (0, 0))
            n = size(shapes[source] if pool is None else pool.out_shape)
            weight = rng.integers(-most, most + 1, (target.n, n))
            weight[rng.random(weight.shape) < 0.5] = 0
            connections.append(Connection(source, target.name, Dense(weight), delay, pool))
    outputs = (populations[-1].name,)
    return ChipNetwork(ChipInput("x", PLANE), tuple(populations), tuple(connections), outputs)


def events(
    seed: int, shape: tuple[int, ...], most: int = 1, batch: int = 2, steps: int = 12
) -> Spikes:
    rng = np.random.default_rng(seed)
    dense = rng.integers(1, most + 1, (batch, steps, *shape)) * (
        rng.random((batch, steps, *shape)) < 0.2
    )
    return Spikes.from_dense(dense.astype(np.uint8))


def check(network: ChipNetwork, spikes: Spikes, **options: Any) -> None:
    made = program(network, **options)
    probes = made.variables
    found, expected = run(made, spikes, probes=probes), run_chip(network, spikes, probes)
    assert set(found.spikes) == set(expected.spikes)
    for name, fired in expected.spikes.items():
        np.testing.assert_array_equal(found.spikes[name].dense(), fired.dense(), err_msg=name)
    for probe, values in expected.states.items():
        np.testing.assert_array_equal(found.states[probe], values, err_msg=str(probe))


@settings(max_examples=25)
@given(networks(), st.integers(0, 99), st.sampled_from([1, 3]), st.sampled_from([None, 1]))
def test_firmware_equals_the_definition(
    network: ChipNetwork, seed: int, most: int, scattered: int | None
) -> None:
    check(network, events(seed, PLANE, most), scattered=scattered)


@st.composite
def convolutions(draw: Any) -> Conv:
    pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**20)))
    groups = draw(st.sampled_from([1, 2]))
    kernel, stride, dilation = draw(pair), draw(pair), draw(st.sampled_from([(1, 1), (2, 1)]))
    padding = draw(st.sampled_from([(0, 0), (1, 0), (2, 2)]))
    out = [
        (PLANE[1 + a] + 2 * padding[a] - dilation[a] * (kernel[a] - 1) - 1) // stride[a] + 1
        for a in (0, 1)
    ]
    weight = rng.integers(-127, 128, (4, PLANE[0] // groups, *kernel))
    shape = (4, max(1, out[0]), max(1, out[1]))
    return Conv(weight, PLANE, shape, stride, padding, dilation, groups)


@settings(max_examples=25)
@given(convolutions(), st.booleans(), st.integers(0, 99))
def test_kernels_equal_the_definition(conv: Conv, pooled: bool, seed: int) -> None:
    shape, pool = PLANE, None
    if pooled:
        shape = (2, 12, 10)
        pool = Pool(shape, PLANE, (3, 2), (2, 2), (1, 0))
    n = size(conv.out_shape)
    full = [np.full(n, value, np.float32) for value in (0.9, 0.25, 60, 0)]
    p = ChipPopulation("p", conv.out_shape, "lif_conv2d", *full, reset="subtract")
    network = ChipNetwork(
        ChipInput("x", shape), (p,), (Connection("x", "p", conv, 0, pool),), ("p",)
    )
    check(network, events(seed, shape))


def test_sums_that_leave_16_bits_need_a_wide_element() -> None:
    n = 250
    full = [np.full(2, value, np.float32) for value in (1, 0, 1e9, 0)]
    p = ChipPopulation("p", (2,), "lif_no_delay", *full)
    network = ChipNetwork(
        ChipInput("x", (n,)), (p,), (Connection("x", "p", Dense(np.full((2, n), 127))),), ("p",)
    )
    made = program(network, most=250)
    (element,) = [e for e in made.elements if e.population == "p"]
    assert not element.wide
    spikes = Spikes.from_dense(np.full((1, 2, n), 3, np.uint8))
    narrow = run(made, spikes, probes=[("p", "v")]).states["p", "v"][0, 1, 0]
    assert narrow == (3 * 127 * n) % 2**16


def test_instructions_are_counted_and_repeatable() -> None:
    full = [np.full(3, value, np.float32) for value in (0.5, 0, 5, 0)]
    p = ChipPopulation("p", (3,), "lif_no_delay", *full)
    network = ChipNetwork(
        ChipInput("x", (4,)), (p,), (Connection("x", "p", Dense(np.full((3, 4), 2))),), ("p",)
    )
    spikes = Spikes.from_dense(np.array([[[1, 0, 0, 0], [1, 1, 1, 1], [0] * 4, [0] * 4]], np.uint8))
    made = program(network)
    first, second = count_instructions(made, spikes), count_instructions(made, spikes)
    for number in first:
        np.testing.assert_array_equal(first[number], second[number])
    busy = first[1][0]
    assert busy[2] > busy[1] > busy[0] > 0  # packets of a step are worked on in the next
    assert busy[3] == busy[0]


def test_an_element_without_memory_fault_names_itself() -> None:
    full = [np.full(1, value, np.float32) for value in (0.5, 0, 5, 0)]
    p = ChipPopulation("p", (1,), "lif", *full)
    network = ChipNetwork(ChipInput("x", (1,)), (p,), (), ("p",))
    made = program(network)
    broken = image(made, made.elements[1], DATA_BASE)
    core = Core(7, firmware.build(), broken)
    core._cpu.mem_write(DATA_BASE + 44, (0x40000000).to_bytes(4, "little"))
    with pytest.raises(ToolError, match=r"element 7: update\(\) of step 3 stopped at 0x"):
        core.update(3)
