"""Compiled programs on the emulator, and float networks on the engine, equal the definitions."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snnstack.backends.mcu import NUMERICS, numerics
from snnstack.backends.mcu.numerics import WEIGHT_BITS
from snnstack.board import load_board
from snnstack.compilers.mcu import compile
from snnstack.emulators.mcu import emulate
from snnstack.engine import run_step_graph
from snnstack.errors import DataError, ModelError
from snnstack.ir.step import (
    Conv,
    Dense,
    Pool,
    Population,
    Projection,
    Sparse,
    StepGraph,
    StepInput,
    lif,
    size,
)
from snnstack.quant.network import QuantizedNetwork, QuantizedPopulation, quantized_lif
from snnstack.reference import run_quantized, run_steps
from snnstack.trace import Spikes, Trace

BOARD = load_board("teensy41")  # the most flash: a random network may be large


def window(length: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    return max(1, (length + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1)


class Network:
    """Draws a network; `number` is int64 for quantised and float64 (dyadic) for step graphs."""

    def __init__(self, draw: Any, number: Any) -> None:
        self.draw, self.number = draw, number
        self.rng = np.random.default_rng(draw(st.integers(0, 2**20)))
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.numerics = numerics(draw(st.sampled_from(WEIGHT_BITS)))

    def weight(self, *shape: int) -> Any:
        if self.number is np.float64:
            return self.rng.integers(-127, 128, shape) / 64
        low, high, step = (
            self.numerics.weight_min, self.numerics.weight_max, self.numerics.weight_step,
        )  # fmt: skip
        values = self.rng.choice(np.arange(low, high + 1, step), shape)
        missing = self.draw(st.sampled_from([0.0, 0.0, 0.3, 0.8]))
        return values * (self.rng.random(shape) >= missing)

    def conv(self, shape: tuple[int, int, int]) -> Conv:
        draw, groups = self.draw, self.draw(st.sampled_from([1, shape[0]]))
        kernel = draw(st.sampled_from([(1, 1), (3, 3), (2, 3)]))
        stride, dilation = (draw(st.tuples(st.integers(1, 2), st.integers(1, 2))) for _ in "ab")
        padding = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
        out_h, out_w = (
            window(shape[1 + a], kernel[a], stride[a], padding[a], dilation[a]) for a in (0, 1)
        )
        outs = groups * draw(st.sampled_from([1, 2, 3, 4, 8]))
        weight = self.weight(outs, shape[0] // groups, *kernel)
        return Conv(weight, shape, (outs, out_h, out_w), stride, padding, dilation, groups)

    def pool(self, shape: tuple[int, ...]) -> Pool | None:
        if len(shape) != 3 or min(shape[1:]) < 3 or self.draw(st.booleans()):
            return None
        kernel, stride, padding = self.draw(
            st.sampled_from([((2, 2), (2, 2), (0, 0)), ((3, 2), (1, 2), (1, 0))])
        )
        height, width = (
            (shape[1 + a] + 2 * padding[a] - kernel[a]) // stride[a] + 1 for a in (0, 1)
        )
        channels, given_h, given_w = shape
        given, out = (channels, given_h, given_w), (channels, height, width)
        return Pool(given, out, kernel, stride, padding)

    def full(self, sources: int, targets: int) -> Dense | Sparse:
        if self.draw(st.booleans()):
            return Dense(self.weight(targets, sources))
        mask = self.rng.random((sources, targets)) < 0.2
        indptr = np.concatenate([[0], np.cumsum(mask.sum(axis=1))])
        target = np.nonzero(mask)[1].astype(np.int32)
        return Sparse(indptr, target, self.weight(len(target)))

    def layer(self, name: str, source: str) -> list[Projection]:
        """Projections into a new population from `source`, maybe from others and itself."""
        shape, draw = self.shapes[source], self.draw
        pool = self.pool(shape)
        seen = shape if pool is None else pool.out_shape
        first: Conv | Dense | Sparse
        if len(seen) == 3 and draw(st.integers(0, 2)):
            first = self.conv((seen[0], seen[1], seen[2]))
            self.shapes[name] = first.out_shape
        else:
            self.shapes[name] = (draw(st.sampled_from([1, 5, 12])),)
            first = self.full(size(seen), size(self.shapes[name]))
        found = [Projection(source, name, first, draw(st.integers(0, 2)), pool)]
        for other in draw(st.lists(st.sampled_from(sorted(self.shapes)), max_size=2)):
            synapses = self.full(size(self.shapes[other]), size(self.shapes[name]))
            least = 1 if other == name else 0
            found.append(Projection(other, name, synapses, draw(st.integers(least, 3))))
        return found

    def spread(self, n: int, low: int, high: int) -> Any:
        return self.rng.integers(low, high, n)

    def chosen(self, n: int, *values: float) -> Any:
        return self.rng.choice(np.array(values), n)

    def said(self) -> dict[str, Any]:
        kinds = [("set", "now"), ("subtract", "now"), ("none", "now")]
        kinds += [("subtract", "next"), ("subtract", "recheck")]
        if self.number is not np.int64:
            kinds += [("set", "next"), ("set", "next_all")]
        reset, time = self.draw(st.sampled_from(kinds))
        return {
            "reset": reset,
            "reset_time": time,
            "compare": self.draw(st.sampled_from(["gt", "ge"])),
            "refractory": self.draw(st.sampled_from([0, 0, 2])) if time == "now" else 0,
        }

    def quantized(self, name: str, fires: bool) -> QuantizedPopulation:
        n, shift = size(self.shapes[name]), self.draw(st.sampled_from([0, 4, 10]))
        return quantized_lif(
            name=name,
            shape=self.shapes[name],
            alpha=self.spread(n, 30000, 65537),
            beta=self.spread(n, 0, 65537) if self.draw(st.booleans()) else None,
            shift=shift,
            bias=self.spread(n, -40 << shift, 40 << shift),
            leak=self.spread(n, -9, 9),
            threshold=self.spread(n, 1, 300 << shift) if fires else None,
            v_reset=self.spread(n, -99, 99),
            scale=np.ones(n),
            **self.said(),
        )

    def real(self, name: str, fires: bool) -> Population:
        n = size(self.shapes[name])
        return lif(
            name=name,
            shape=self.shapes[name],
            alpha=self.chosen(n, 0.5, 0.75, 1.0),
            beta=self.chosen(n, 0.5, 0.25) if self.draw(st.booleans()) else None,
            gain_in=self.chosen(n, 1.0, 0.5),
            gain=self.chosen(n, 1.0, 2.0),
            bias=self.chosen(n, 0.0, 0.25, -0.5),
            leak=self.chosen(n, 0.0, 0.125),
            threshold=self.chosen(n, 0.5, 1.0, 2.0) if fires else None,
            v_reset=self.chosen(n, 0.0, -0.25),
            **self.said(),
        )


@st.composite
def networks(draw: Any, number: Any) -> QuantizedNetwork | StepGraph:
    """1..4 populations, all of which fire except perhaps the last."""
    maker = Network(draw, number)
    maker.shapes["input"] = draw(st.sampled_from([(6,), (2, 5, 4), (3, 4, 6), (2, 7)]))
    events = draw(st.sampled_from(["binary", "count"]))
    port = StepInput("input", maker.shapes["input"], events)
    projections: list[Projection] = []
    source, names = "input", [f"p{k}" for k in range(draw(st.integers(1, 4)))]
    for name in names:
        projections += maker.layer(name, source)
        source = name
    feeds = {p.source for p in projections}
    fires = [name in feeds or draw(st.booleans()) for name in names]
    make = maker.quantized if number is np.int64 else maker.real
    populations: Any = tuple(make(n, f) for n, f in zip(names, fires, strict=True))
    if number is np.int64:
        return QuantizedNetwork(
            (port,), populations, tuple(projections), (source,), 1e-3, maker.numerics
        )
    return StepGraph((port,), populations, tuple(projections), (source,), 1e-3)


def events(network: QuantizedNetwork | StepGraph, seed: int, steps: int = 8) -> Spikes:
    port = network.inputs[0]
    rng = np.random.default_rng(seed)
    shape = (2, steps, *port.shape)
    most = 1 if port.events == "binary" else 3
    dense = (rng.random(shape) < 0.2) * rng.integers(1, most + 1, shape)
    return Spikes.from_dense(dense.astype(np.uint8))


def probes_of(network: QuantizedNetwork | StepGraph) -> list[tuple[str, str]]:
    found = [(p.name, "v") for p in network.populations]
    return found + [(p.name, "i") for p in network.populations if p.beta is not None]


def assert_equal(one: Trace, other: Trace) -> None:
    assert set(one.spikes) == set(other.spikes)
    for name, fired in one.spikes.items():
        expected = other.spikes[name]
        assert (fired.shape, fired.batch, fired.steps) == (
            expected.shape, expected.batch, expected.steps,
        )  # fmt: skip
        np.testing.assert_array_equal(fired.indptr, expected.indptr, err_msg=name)
        np.testing.assert_array_equal(fired.indices, expected.indices, err_msg=name)
    for probe, values in one.states.items():
        np.testing.assert_array_equal(values, other.states[probe], err_msg=str(probe))
    for name, counts in one.counts.items():
        np.testing.assert_array_equal(counts.updates, other.counts[name].updates, err_msg=name)
        np.testing.assert_array_equal(counts.spikes, other.counts[name].spikes, err_msg=name)


@settings(max_examples=100)
@given(networks(np.int64), st.integers(0, 99))
def test_emulator_equals_the_integer_reference(network: QuantizedNetwork, seed: int) -> None:
    spikes, probes = events(network, seed), probes_of(network)
    trace = emulate(compile(network, BOARD), spikes, probes=probes)
    assert_equal(trace, run_quantized(network, spikes, probes))


@settings(max_examples=80)
@given(networks(np.float64), st.integers(0, 99))
def test_fast_float_run_equals_the_float_reference(graph: StepGraph, seed: int) -> None:
    spikes, probes = events(graph, seed), probes_of(graph)
    assert_equal(run_step_graph(graph, spikes, probes), run_steps(graph, spikes, probes))


def small(number: Any = np.int64) -> Any:
    """input (2, 3, 3) -> a (4 neurons), which does not fire."""
    port = StepInput("pixels", (2, 3, 3), "binary")
    weight = np.arange(72).reshape(4, 18)
    n, one = 4, np.ones(4)
    projection = Projection("pixels", "a", Dense(weight.astype(number)))
    if number is np.int64:
        zero = np.zeros(n, np.int64)
        quantized = quantized_lif("a", (n,), zero + 65536, None, 0, zero, zero, None, zero, one)
        return QuantizedNetwork((port,), (quantized,), (projection,), ("a",), 1e-3, NUMERICS)
    real = lif("a", (n,), one, None, one, one, 0 * one, 0 * one, None, 0 * one)
    return StepGraph((port,), (real,), (projection,), ("a",), 1e-3)


def test_synaptic_operations_are_exact() -> None:
    spikes = events(small(), 0)
    trace = emulate(compile(small(), BOARD), spikes)
    assert trace.counts["a"].synops.tolist() == (4 * spikes.per_neuron().sum(axis=1)).tolist()
    assert dict(trace.spikes) == {}


def test_seed_and_threads_change_nothing() -> None:
    program, spikes = compile(small(), BOARD), events(small(), 0)
    one = emulate(program, spikes, seed=0, probes=[("a", "v")], threads=1)
    two = emulate(program, spikes, seed=9, probes=[("a", "v")], threads=2)
    np.testing.assert_array_equal(one.states["a", "v"], two.states["a", "v"])


def test_input_that_the_program_cannot_take_is_refused_with_all_reasons() -> None:
    program = compile(small(), BOARD)
    wrong = Spikes.from_dense(np.full((1, 1, 18), 2, np.uint8))
    with pytest.raises(DataError) as told:
        emulate(program, wrong)
    assert str(told.value).splitlines() == [
        "pixels: spikes have shape (18,), the network takes (2, 3, 3)",
        "pixels: an element has 2 spikes in one step, the program allows 1",
    ]
    fine = events(small(), 0)
    outside = replace(fine, indices=fine.indices - 99)
    with pytest.raises(DataError) as told:
        emulate(program, outside)
    assert str(told.value) == "pixels: has an event outside 0..17"


def test_float_networks_that_send_values_are_refused() -> None:
    graph = small(np.float64)
    again = replace(graph.populations[0], name="b")
    onward = Projection("a", "b", Dense(np.ones((4, 4))))
    graph = graph.with_(
        populations=(*graph.populations, again), projections=(*graph.projections, onward)
    )
    with pytest.raises(ModelError) as told:
        run_step_graph(graph, events(graph, 0))
    assert str(told.value) == (
        "a -> b: a does not fire (only what is sent arrives; use the plain reference run)"
    )


def test_float_input_of_another_shape_is_refused() -> None:
    spikes = Spikes.from_dense(np.zeros((1, 1, 18), np.uint8))
    with pytest.raises(DataError) as told:
        run_step_graph(small(np.float64), spikes)
    assert str(told.value) == "pixels: spikes have shape (18,), the network takes (2, 3, 3)"


def test_settings_of_a_network_do_not_reach_the_arithmetic() -> None:
    network = small().with_(settings=MappingProxyType({"name": "x"}))
    spikes = events(network, 1)
    assert_equal(
        emulate(compile(network, BOARD), spikes, probes=[("a", "v")]),
        run_quantized(small(), spikes, [("a", "v")]),
    )
