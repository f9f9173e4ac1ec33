"""The engine against dense matrices: every table, neuron kind, delay and loop, exactly.

Floats are dyadic numbers, so that sums are exact in any order.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snnstack.dynamics.model import Neurons
from snnstack.dynamics.neurons.cuba_lif import CUBA_LIF
from snnstack.engine import run
from snnstack.engine.components import components
from snnstack.engine.order import pool_map
from snnstack.engine.plan import (
    ConvTaps,
    DenseRows,
    Edge,
    EventMap,
    LayerPlan,
    NetworkPlan,
    SparseRows,
)
from snnstack.errors import DataError, ModelError
from snnstack.ir.step import Pool
from snnstack.quant.numerics import INT32
from snnstack.trace import Spikes

PLANE = (2, 5, 4)
NOW = [
    {"subtract": subtract, "resets": resets, "refractory": pause}
    for subtract, resets in ((False, True), (True, True), (False, False))
    for pause in (0, 0, 1, 3)
]
LATE = [{"subtract": True, "refractory": 0, "reset_time": time} for time in ("next", "recheck")]
SET_LATE = [{"subtract": False, "refractory": 0, "reset_time": t} for t in ("next", "next_all")]
INTEGER_RESETS = NOW + 2 * LATE
FLOAT_RESETS = NOW + LATE + SET_LATE
N_IN = 40


def weights(rng: Any, shape: tuple[int, ...], exact: bool) -> Any:
    values = rng.integers(-127, 128, shape)
    return values.astype(np.int8) if exact else values / 64


def conv_table(rng: Any, exact: bool, options: Any) -> ConvTaps:
    stride, padding, dilation, groups, kernel = options
    outs = 4
    out = [
        max(1, (PLANE[1 + a] + 2 * padding[a] - dilation[a] * (kernel[a] - 1) - 1) // stride[a] + 1)
        for a in (0, 1)
    ]
    values = weights(rng, (2, *kernel, outs // groups), exact)
    return ConvTaps(values, PLANE, (outs, out[0], out[1]), stride, padding, dilation, groups)


def sparse_table(rng: Any, exact: bool, sources: int, n: int) -> SparseRows:
    mask = rng.random((sources, n)) < 0.3
    mask[::3] = False
    indptr = np.concatenate([[0], np.cumsum(mask.sum(axis=1))])
    target = np.nonzero(mask)[1].astype(np.int32)
    return SparseRows(indptr, target, weights(rng, target.shape, exact))


def pool_of(rng: Any) -> Pool:
    kernel, stride, padding = [((2, 2), (2, 2), (0, 0)), ((3, 2), (1, 2), (1, 0))][rng.integers(2)]
    out = [(PLANE[1 + a] + 2 * padding[a] - kernel[a]) // stride[a] + 1 for a in (0, 1)]
    return Pool(PLANE, (2, out[0], out[1]), kernel, stride, padding)


def made(number: Any, n: int, **given: Any) -> Neurons:
    """Neurons of the one model, from what the dense model below reads."""
    optional = {name: given[name] for name in ("beta", "threshold") if given.get(name) is not None}
    reset = "subtract" if given.get("subtract") else "set" if given.get("resets", True) else "none"
    options = {
        "current": "beta" in optional,
        "fires": "threshold" in optional,
        "refractory": given.get("refractory", 0) > 0,
        "reset": reset,
        "reset_time": given.get("reset_time", "now"),
        "compare": "ge" if given.get("ge") else "gt",
    }
    names = ("alpha", "shift", "bias", "leak", "v_reset", "gain_in", "gain")
    values = {name: given[name] for name in names if name in given} | optional
    values |= {"pause": given.get("refractory", 0)}
    if number == "int32":
        values |= {"current_max": INT32.current_max, "state_max": INT32.state_max}
    return Neurons(CUBA_LIF, n, number, values, options)


class Read:
    """`made` read back."""

    def __init__(self, neurons: Neurons) -> None:
        options = {**CUBA_LIF.options, **neurons.options}
        for field in CUBA_LIF.parameters:
            value = np.broadcast_to(np.asarray(neurons.value(field.name)), neurons.n)
            setattr(self, field.name, value)
        self.integer = neurons.integer
        self.beta = self.beta if options["current"] else None
        self.threshold = self.threshold if options["fires"] else None
        self.subtract, self.resets = options["reset"] == "subtract", options["reset"] != "none"
        self.ge, self.reset_time = options["compare"] == "ge", options["reset_time"]


def integer_neurons(rng: Any, n: int, draw: Any) -> Neurons:
    def some(low: int, high: int) -> Any:
        size = 1 if draw(st.booleans()) else n
        return np.broadcast_to(rng.integers(low, high, size).astype(np.int32), (n,)).copy()

    shift = draw(st.sampled_from([0, 3, 14]))
    return made(
        "int32",
        n,
        alpha=some(0, 65537),
        beta=some(0, 65537) if draw(st.booleans()) else None,
        shift=shift,
        bias=some(-50 << shift, 50 << shift),
        leak=some(-20, 20),
        threshold=some(-10, 200 << shift) if draw(st.integers(0, 4)) else None,
        v_reset=some(-100, 100),
        ge=draw(st.booleans()),
        **draw(st.sampled_from(INTEGER_RESETS)),
    )


def float_neurons(rng: Any, n: int, draw: Any) -> Neurons:
    def some(*values: float) -> Any:
        return rng.choice(np.array(values), n)

    return made(
        "float64",
        n,
        alpha=some(0.5, 0.75, 1.0),
        beta=some(0.5, 0.25) if draw(st.booleans()) else None,
        gain_in=some(1.0, 0.5),
        gain=some(1.0, 0.5),
        bias=some(0.0, 0.25, -0.5),
        leak=some(0.0, 0.125),
        threshold=some(0.5, 1.0, 2.0) if draw(st.integers(0, 4)) else None,
        v_reset=some(0.0, -0.25),
        ge=draw(st.booleans()),
        **draw(st.sampled_from(FLOAT_RESETS)),
    )


@st.composite
def plans(draw: Any, exact: bool) -> NetworkPlan:
    """An input plane, 1..4 layers, each with 1..3 edges from anywhere."""
    rng = np.random.default_rng(draw(st.integers(0, 2**20)))
    kernel = draw(st.sampled_from([(1, 1), (3, 3), (3, 2)]))
    pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
    padding = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    options = (draw(pair), padding, draw(pair), draw(st.sampled_from([1, 2])), kernel)
    sizes = [N_IN]
    layers: list[LayerPlan] = []
    for k in range(draw(st.integers(1, 4))):
        conv = conv_table(rng, exact, options) if draw(st.booleans()) else None
        n = int(np.prod(conv.out_shape)) if conv else draw(st.sampled_from([1, 7, 17]))
        edges = [] if conv is None else [Edge(0, draw(st.integers(0, 3)), conv)]
        for _ in range(draw(st.integers(0 if edges else 1, 2))):
            source = draw(st.integers(0, k + 1))
            delay = draw(st.integers(1 if source == k + 1 else 0, 3))
            count = [*sizes, n][source]
            remap = pool_map(pool_of(rng)) if source == 0 and draw(st.booleans()) else None
            count = remap.n if remap else count
            dense = draw(st.booleans())
            table = (
                DenseRows(weights(rng, (count, n), exact))
                if dense
                else sparse_table(rng, exact, count, n)
            )
            edges.append(Edge(source, delay, table, remap))
        neurons = (integer_neurons if exact else float_neurons)(rng, n, draw)
        layers.append(LayerPlan(f"l{k}", n, tuple(edges), neurons))
        sizes.append(n)
    return NetworkPlan((N_IN,), tuple(layers))


def events(seed: int, batch: int, steps: int, most: int, rate: float = 0.2) -> Spikes:
    rng = np.random.default_rng(seed)
    shape = (batch, steps, N_IN)
    dense = (rng.random(shape) < rate) * rng.integers(1, most + 1, shape)
    return Spikes.from_dense(dense.astype(np.uint8))


def matrices(edge: Edge, n: int) -> tuple[Any, Any]:
    """[source, target] weights and numbers of synapses, from the definitions."""
    table = edge.table
    if isinstance(table, DenseRows):
        weight, count = table.weight, np.ones(table.weight.shape, int)
    elif isinstance(table, SparseRows):
        weight = np.zeros((len(table.indptr) - 1, n), table.weight.dtype)
        source = np.repeat(np.arange(len(weight)), np.diff(table.indptr))
        weight[source, table.target] = table.weight
        count = np.zeros(weight.shape, int)
        count[source, table.target] = 1
    else:
        weight, count = conv_matrices(table)
    weight = weight.astype(np.float64 if weight.dtype == np.float64 else np.int64)
    if edge.remap is None:
        return weight, count
    spread = np.zeros((len(edge.remap.indptr) - 1, edge.remap.n), int)
    source = np.repeat(np.arange(len(spread)), np.diff(edge.remap.indptr))
    np.add.at(spread, (source, edge.remap.target), 1)
    return spread @ weight, spread @ count


def conv_matrices(t: ConvTaps) -> tuple[Any, Any]:
    (channels, height, width), (outs, out_y, out_x) = t.in_shape, t.out_shape
    found = np.zeros((height, width, channels, out_y, out_x, outs), t.weight.dtype)
    count = np.zeros(found.shape, int)
    for oy, ox, ky, kx in np.ndindex(out_y, out_x, *t.weight.shape[1:3]):
        y = oy * t.stride[0] - t.padding[0] + ky * t.dilation[0]
        x = ox * t.stride[1] - t.padding[1] + kx * t.dilation[1]
        if 0 <= y < height and 0 <= x < width:
            for c, o in np.ndindex(channels, outs):
                if c // (channels // t.groups) == o // (outs // t.groups):
                    found[y, x, c, oy, ox, o] = t.weight[c, ky, kx, o % t.weight.shape[3]]
                    count[y, x, c, oy, ox, o] = 1
    size = height * width * channels
    return found.reshape(size, -1), count.reshape(size, -1)


def simulate(plan: NetworkPlan, spikes: Spikes) -> dict[tuple[str, str], Any]:
    """{(layer, "s" | "v" | "i" | "synops")}: [batch, steps, n], or [batch]."""
    kind = np.float64 if plan.real else np.int64
    entry = spikes.dense().astype(np.int64)
    past = [entry] + [np.zeros((*entry.shape[:2], x.n), np.int64) for x in plan.layers]
    state = [np.zeros((3, spikes.batch, x.n), kind) for x in plan.layers]
    tables = [[matrices(edge, x.n) for edge in x.edges] for x in plan.layers]
    found: dict[tuple[str, str], Any] = {}
    for x in plan.layers:
        found |= {(x.name, key): np.zeros((*entry.shape[:2], x.n), kind) for key in "vi"}
        found[x.name, "synops"] = np.zeros(spikes.batch, np.int64)
    for t in range(spikes.steps):
        for k, x in enumerate(plan.layers):
            total = np.zeros((spikes.batch, x.n), kind)
            for edge, (weight, count) in zip(x.edges, tables[k], strict=True):
                if t >= edge.delay:
                    seen = past[edge.source][:, t - edge.delay]
                    total = total + seen @ weight
                    found[x.name, "synops"] += (seen @ count).sum(axis=1)
            past[1 + k][:, t] = update(Read(x.neurons), total, state[k])
            found[x.name, "v"][:, t], found[x.name, "i"][:, t] = state[k][:2]
    return found | {(x.name, "s"): past[1 + k] for k, x in enumerate(plan.layers)}


def update(p: Any, total: Any, state: Any) -> Any:
    if p.integer:
        x = total * 2 ** p.shift.astype(np.int64) + p.bias
        if p.beta is not None:
            x = state[1] * p.beta.astype(np.int64) // 65536 + x
            x = state[1] = np.clip(x, -p.current_max, p.current_max)
        old = state[0] * p.alpha.astype(np.int64) // 65536
        drive, limit = x + p.leak, p.state_max
    else:
        x = total + p.bias
        if p.beta is not None:
            x = state[1] = p.beta * state[1] + p.gain_in * x
        old, drive, limit = p.alpha * state[0], p.gain * x + p.leak, np.inf
    if p.threshold is not None and p.reset_time != "now":
        return late(p, old, drive, limit, state)
    v = np.clip(old + drive, -limit, limit)
    if p.threshold is None:
        state[0] = v
        return np.zeros(v.shape, np.int64)
    awake = state[2] == 0
    fired = awake & ((v >= p.threshold) if p.ge else (v > p.threshold))
    after = v - p.threshold if p.subtract else np.broadcast_to(p.v_reset, v.shape)
    after = after if p.resets else v
    state[0] = np.where(awake, np.where(fired, after, v), state[0])
    state[2] = np.where(fired, p.pause, np.maximum(state[2] - 1, 0))
    return fired


def late(p: Any, old: Any, drive: Any, limit: float, state: Any) -> Any:
    """Resets that the membrane of the step before asks for."""
    above = np.greater_equal if p.ge else np.greater
    asked = above(state[0], p.threshold)
    if p.reset_time == "recheck":
        v = np.clip(old + drive, -limit, limit)
        fired = above(v - asked * p.threshold, p.threshold)
        state[0] = v - fired * p.threshold
        return fired
    if p.subtract:
        v = old - asked * p.threshold + drive
    elif p.reset_time == "next":
        v = np.where(asked, p.alpha * p.v_reset, old) + drive
    else:
        v = np.where(asked, p.v_reset, old + drive)
    state[0] = np.clip(v, -limit, limit)
    return above(state[0], p.threshold)


def probes_of(plan: NetworkPlan) -> list[tuple[str, str]]:
    found = [(x.name, "v") for x in plan.layers]
    return found + [(x.name, "i") for x in plan.layers if x.neurons.options["current"]]


def check(plan: NetworkPlan, spikes: Spikes, **options: Any) -> Any:
    """The engine's run, after comparing all of it with the dense model."""
    trace = run(plan, [spikes], probes=probes_of(plan), **options)
    expected = simulate(plan, spikes)
    assert set(trace.spikes) == {x.name for x in plan.layers if x.neurons.fires}
    for name, fired in trace.spikes.items():
        np.testing.assert_array_equal(fired.dense(), expected[name, "s"], err_msg=name)
    for probe, values in trace.states.items():
        np.testing.assert_array_equal(values, expected[probe], err_msg=str(probe))
    for x in plan.layers:
        count = trace.counts[x.name]
        np.testing.assert_array_equal(count.synops, expected[x.name, "synops"], err_msg=x.name)
        np.testing.assert_array_equal(count.updates, np.full(spikes.batch, spikes.steps * x.n))
        np.testing.assert_array_equal(count.spikes, expected[x.name, "s"].sum(axis=(1, 2)))
    return trace


def dense_plan(n_in: int, n: int, weight: Any, **changes: Any) -> NetworkPlan:
    base = {"alpha": 65536, "bias": 0, "leak": 0, "threshold": 1000, "v_reset": 0}
    rows = np.broadcast_to(np.asarray(weight, np.int8), (n_in, n)).copy()
    neurons = made("int32", n, **(base | changes))
    return NetworkPlan((n_in,), (LayerPlan("l", n, (Edge(0, 0, DenseRows(rows)),), neurons),))


def all_firing(n: int, batch: int, steps: int, count: int = 1) -> Spikes:
    return Spikes.from_dense(np.full((batch, steps, n), count, np.uint8))


@settings(max_examples=150)
@given(plans(exact=True), st.integers(0, 99), st.sampled_from([1, 3]), st.integers(1, 3))
def test_integer_networks_equal_the_dense_model(
    plan: NetworkPlan, seed: int, most: int, batch: int
) -> None:
    check(plan, events(seed, batch, 9, most))


@settings(max_examples=80)
@given(plans(exact=False), st.integers(0, 99), st.sampled_from([1, 3]))
def test_float_networks_equal_the_dense_model(plan: NetworkPlan, seed: int, most: int) -> None:
    check(plan, events(seed, 2, 8, most))


@settings(max_examples=15)
@given(plans(exact=True), st.integers(0, 99))
def test_threads_and_batch_size_change_nothing(plan: NetworkPlan, seed: int) -> None:
    spikes = events(seed, 9, 6, 2)
    one = check(plan, spikes, threads=1)
    three = check(plan, spikes, threads=3)
    for name, fired in one.spikes.items():
        np.testing.assert_array_equal(fired.indices, three.spikes[name].indices)
    for k in range(9):
        alone = run(plan, [spikes.samples(k, k + 1)])
        for name, fired in alone.spikes.items():
            np.testing.assert_array_equal(fired.dense()[0], one.spikes[name].dense()[k])
            assert alone.counts[name].synops[0] == one.counts[name].synops[k]


@settings(max_examples=10)
@given(plans(exact=True))
def test_input_without_events_still_updates_neurons(plan: NetworkPlan) -> None:
    check(plan, events(0, 2, 5, 1, rate=0.0))


@pytest.mark.parametrize(("batch", "steps"), [(2, 0), (0, 4), (0, 0)])
def test_no_steps_and_no_samples_give_empty_results(batch: int, steps: int) -> None:
    plan = dense_plan(N_IN, 5, 1)
    nothing = np.zeros(batch * steps + 1, np.int64)
    trace = check(plan, Spikes((N_IN,), batch, steps, nothing, np.zeros(0, np.int32)))
    assert trace.states["l", "v"].shape == (batch, steps, 5)
    assert len(trace.spikes["l"].indptr) == batch * steps + 1


@pytest.mark.parametrize("weight", [127, -127, -128])
@pytest.mark.parametrize("sources", [255, 256, 257, 258, 1200])
def test_full_rows_never_overflow_the_narrow_accumulator(weight: int, sources: int) -> None:
    plan = dense_plan(sources, 70, weight, threshold=np.full(70, 2**29, np.int32))
    trace = check(plan, all_firing(sources, 1, 2))
    assert trace.states["l", "v"][0, 0, 0] == weight * sources
    check(plan, all_firing(sources, 1, 2, count=3))


def test_blocks_also_hold_behind_an_event_map_and_beside_other_edges() -> None:
    plan = dense_plan(300, 9, 127, threshold=np.full(9, 2**29, np.int32))
    twice = EventMap(np.arange(301) * 2, np.repeat(np.arange(300), 2).astype(np.int32), 300)
    edge = replace(plan.layers[0].edges[0], remap=twice)
    layer = replace(plan.layers[0], edges=(edge, plan.layers[0].edges[0]))
    trace = check(replace(plan, layers=(layer,)), all_firing(300, 2, 3))
    assert trace.counts["l"].synops.tolist() == [3 * 3 * 300 * 9] * 2


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("refractory", [0, 2])
def test_membrane_saturates(sign: int, refractory: int) -> None:
    never = None if refractory else np.full(4, 2**30 - 1, np.int32)
    plan = dense_plan(40, 4, sign * 127, shift=16, threshold=never, refractory=refractory)
    trace = check(plan, all_firing(40, 1, 5))
    assert trace.states["l", "v"][0, -1].tolist() == [sign * (2**30 - 1)] * 4


@pytest.mark.parametrize("sign", [1, -1])
def test_current_saturates(sign: int) -> None:
    beta, alpha = np.full(4, 65536, np.int32), np.zeros(4, np.int32)
    plan = dense_plan(40, 4, sign * 127, shift=15, beta=beta, alpha=alpha)
    trace = check(plan, all_firing(40, 1, 5))
    assert trace.states["l", "i"][0, -1].tolist() == [sign * (2**29 - 1)] * 4


def test_neurons_at_rest_between_word_borders_fire_where_they_should() -> None:
    weight = np.zeros((N_IN, 67), np.int8)
    weight[0, [0, 7, 8, 63, 64, 66]] = 100
    plan = dense_plan(N_IN, 67, weight, threshold=np.full(67, 50, np.int32))
    trace = check(plan, all_firing(N_IN, 1, 1))
    assert trace.spikes["l"].indices.tolist() == [0, 7, 8, 63, 64, 66]


def test_all_neurons_may_fire_in_every_step() -> None:
    plan = dense_plan(N_IN, 66, 0, threshold=np.full(66, -1, np.int32))
    layer = plan.layers[0]
    back = Edge(1, 1, DenseRows(np.zeros((66, 66), np.int8)))
    loop = replace(layer, edges=(*layer.edges, back))
    second = replace(layer, name="m", edges=(replace(back, delay=0),))
    trace = check(replace(plan, layers=(loop, second)), all_firing(N_IN, 3, 4))
    assert trace.spikes["l"].total == trace.spikes["m"].total == 3 * 4 * 66


def test_layers_of_a_loop_step_together_and_others_in_order() -> None:
    edges = [(2, 0), (0, 1), (1, 0), (3, 3)]
    assert components(4, edges) in (((2,), (3,), (0, 1)), ((3,), (2,), (0, 1)))
    assert components(0, []) == ()


def test_progress_is_told_every_sample() -> None:
    told: list[int] = []
    run(dense_plan(N_IN, 5, 1), [events(0, 11, 3, 1)], threads=2, progress=told.append)
    assert sum(told) == 11


def test_several_inputs_are_read_by_number() -> None:
    rng = np.random.default_rng(0)
    plan = dense_plan(N_IN, 5, 1)
    second = Edge(1, 1, DenseRows(rng.integers(-9, 9, (3, 5)).astype(np.int8)))
    edges = (replace(plan.layers[0].edges[0]), second)
    both = NetworkPlan((N_IN, 3), (replace(plan.layers[0], edges=edges),))
    other = Spikes.from_dense(np.ones((2, 4, 3), np.uint8))
    trace = run(both, [events(0, 2, 4, 1, rate=0.0), other], probes=[("l", "v")])
    total = second.table.weight.astype(int).sum(axis=0)
    assert trace.states["l", "v"][1].tolist() == [(k * total).tolist() for k in range(4)]


def test_input_that_does_not_fit_is_refused() -> None:
    plan = dense_plan(N_IN, 5, 1)
    good = events(0, 2, 3, 1)
    with pytest.raises(DataError) as told:
        run(plan, [Spikes.from_dense(np.zeros((1, 2, 3), np.uint8))])
    assert str(told.value) == "input 0: spikes have shape (3,), the network takes (40,)"
    with pytest.raises(DataError) as told:
        run(plan, [replace(good, indices=good.indices + 40)])
    assert str(told.value) == "input 0: has an event outside 0..39"
    with pytest.raises(DataError) as told:
        run(plan, [replace(good, indptr=good.indptr[:-1])])
    assert str(told.value) == "input 0: indptr does not divide the events into steps"
    with pytest.raises(DataError) as told:
        run(plan, [])
    assert str(told.value) == "input: 0 sets of spikes for 1 inputs"


def test_plans_that_would_read_outside_an_array_are_refused() -> None:
    plan = dense_plan(N_IN, 5, 1)
    layer = plan.layers[0]
    rows = DenseRows(np.zeros((7, 5), np.int8))
    sparse = SparseRows(np.array([0, 1] + [1] * 39), np.array([5], np.int32), np.ones(1, np.int8))
    wrong = (Edge(0, 0, rows), Edge(1, 0, rows), Edge(9, 0, rows), Edge(0, 0, sparse))
    alpha = np.full(5, 65537, np.int32)
    bad = replace(layer, edges=wrong, neurons=made("int32", 5, alpha=alpha, threshold=9))
    with pytest.raises(ModelError) as told:
        run(replace(plan, layers=(bad,)), [events(0, 1, 1, 1)])
    assert str(told.value).splitlines() == [
        "l: alpha is not within 0..65536",
        "l, edge 0: table of 7 x 5 between 40 and 5 neurons",
        "l, edge 1: reads a later layer in the same step (give it a delay)",
        "l, edge 2: reads source 9 0 steps ago",
        "l, edge 3: table of 40 x 6 between 40 and 5 neurons",
    ]


def test_a_probe_of_what_does_not_exist_is_refused() -> None:
    with pytest.raises(ModelError) as told:
        run(dense_plan(N_IN, 5, 1), [events(0, 1, 1, 1)], probes=[("l", "i")])
    assert str(told.value) == ("l: has no state 'i' to record (it has: v)")
