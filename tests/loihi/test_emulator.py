"""The emulator against the definition in chip units: every spike, register and sent value."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snnstack.backends.loihi.network import (
    ChipInput,
    ChipNetwork,
    Connection,
    Cuba,
    SigmaDelta,
)
from snnstack.backends.loihi.reference import run_chip
from snnstack.emulators.loihi import emulate_network
from snnstack.errors import DataError, ModelError
from snnstack.ir.step import Conv, Dense, Pool, Sparse, Synapses, size
from snnstack.trace import Spikes, Trace
from tests.conftest import DATA

PLANE = (2, 5, 4)
SCALES = (3, 127, 254, 254 << 7)


def weights(rng: Any, shape: tuple[int, ...], scale: int) -> Any:
    """Even numbers half of the time, as mixed signs are stored."""
    found = rng.integers(-scale, scale + 1, shape)
    return found & ~1 if rng.integers(2) else found


def sparse(rng: Any, sources: int, targets: int, scale: int) -> Sparse:
    mask = rng.random((sources, targets)) < 0.3
    indptr = np.concatenate([[0], np.cumsum(mask.sum(axis=1))])
    target = np.nonzero(mask)[1].astype(np.int32)
    return Sparse(indptr, target, weights(rng, target.shape, scale))


def conv(rng: Any, draw: Any, plane: tuple[int, int, int], scale: int) -> Conv:
    groups = draw(st.sampled_from([1, plane[0]]))
    outs = groups * draw(st.integers(1, 2))
    kernel, stride = draw(st.sampled_from([(1, 1), (3, 3), (2, 3)])), draw(pairs(1, 2))
    padding, dilation = draw(pairs(0, 2)), draw(pairs(1, 2))
    out = [
        max(1, (plane[1 + a] + 2 * padding[a] - dilation[a] * (kernel[a] - 1) - 1) // stride[a] + 1)
        for a in (0, 1)
    ]
    weight = weights(rng, (outs, plane[0] // groups, *kernel), scale)
    return Conv(weight, plane, (outs, out[0], out[1]), stride, padding, dilation, groups)


def pairs(low: int, high: int) -> Any:
    return st.tuples(st.integers(low, high), st.integers(low, high))


def pooled(draw: Any, shape: tuple[int, int, int]) -> Pool:
    kernel, stride, padding = draw(st.sampled_from([((2, 2), (2, 2), 0), ((3, 2), (1, 2), 1)]))
    out = [(shape[1 + a] + 2 * padding - kernel[a]) // stride[a] + 1 for a in (0, 1)]
    return Pool(shape, (shape[0], out[0], out[1]), kernel, stride, (padding, padding))


def cuba(rng: Any, draw: Any, name: str, shape: tuple[int, ...]) -> Cuba:
    def some(low: int, high: int) -> Any:
        many = 1 if draw(st.booleans()) else size(shape)
        return np.broadcast_to(rng.integers(low, high + 1, many), size(shape))

    high = draw(st.sampled_from([100, 5000, 2**17 - 1]))
    biased = draw(st.sampled_from([0, 0, 300, 4095 << 7]))
    return Cuba(
        name,
        shape,
        i_decay=some(*draw(st.sampled_from([(0, 4096), (4096, 4096), (0, 0), (1, 200)]))),
        v_decay=some(*draw(st.sampled_from([(0, 4096), (4096, 4096), (0, 0), (1, 200)]))),
        bias=some(-(biased >> 7), biased >> 7) << 7 if biased > 4095 else some(-biased, biased),
        threshold=some(0, high) << 6 if draw(st.integers(0, 5)) else None,
        reset=draw(st.sampled_from(["zero", "zero", "subtract"])),
        refractory=draw(st.sampled_from([1, 1, 2, 7, 64])),
    )


def sigma_delta(rng: Any, draw: Any, name: str, shape: tuple[int, ...]) -> SigmaDelta:
    high = draw(st.sampled_from([0, 200, 9000]))
    return SigmaDelta(
        name,
        shape,
        bias=rng.integers(-500, 501, size(shape)),
        threshold=rng.integers(0, high + 1, size(shape)),
        exponent=draw(st.sampled_from([0, 6, 7])),
        activation=draw(st.sampled_from(["relu", "none"])),
    )


@st.composite
def networks(draw: Any, kinds: tuple[Any, ...] = (cuba,), graded: bool = False) -> ChipNetwork:
    """1..4 populations; connections from anywhere to anywhere, the input's plane first."""
    rng = np.random.default_rng(draw(st.integers(0, 2**20)))
    scale = draw(st.sampled_from(SCALES if kinds == (cuba,) else SCALES[:2]))
    delays = st.sampled_from([0, 0, 0, 1, 2, 5, 62])
    shapes: dict[str, tuple[int, ...]] = {"x": PLANE}
    connections, populations = [], []
    for k in range(draw(st.integers(1, 4))):
        first: Synapses | None = None
        source = draw(st.sampled_from(sorted(n for n, s in shapes.items() if len(s) == 3)))
        if draw(st.booleans()):
            first = conv(rng, draw, shapes[source], scale)
            connections.append(Connection(source, f"p{k}", first, draw(delays)))
        shape = first.out_shape if first else (draw(st.sampled_from([1, 7, 70])),)
        shapes[f"p{k}"] = shape
        populations.append(draw(st.sampled_from(kinds))(rng, draw, f"p{k}", shape))
    for target in populations:
        entered = any(c.target == target.name for c in connections)
        for _ in range(draw(st.integers(0 if entered else 1, 2))):
            source = draw(st.sampled_from(sorted(shapes)))
            shape = shapes[source]
            pool = pooled(draw, shape) if shape == PLANE and draw(st.booleans()) else None
            n = size(shape if pool is None else pool.out_shape)
            table: Synapses = sparse(rng, n, target.n, scale)
            if draw(st.booleans()):
                table = Dense(weights(rng, (target.n, n), scale))
            connections.append(Connection(source, target.name, table, draw(delays), pool))
    port = ChipInput("x", PLANE, graded)
    return ChipNetwork(2, port, tuple(populations), tuple(connections), (populations[-1].name,))


def variables(network: ChipNetwork) -> list[tuple[str, str]]:
    return [
        (p.name, key)
        for p in network.populations
        for key in ("vi" if isinstance(p, Cuba) else "vs")
    ]


def check(network: ChipNetwork, spikes: Any, **options: Any) -> Trace:
    """The emulator's run, after comparing all of it with the definition."""
    probes = variables(network)
    found = emulate_network(network, spikes, probes, **options)
    expected = run_chip(network, spikes, probes)
    assert set(found.spikes) == set(expected.spikes)
    for name, fired in expected.spikes.items():
        assert found.spikes[name].shape == fired.shape
        np.testing.assert_array_equal(found.spikes[name].dense(), fired.dense(), err_msg=name)
    for probe, values in expected.states.items():
        np.testing.assert_array_equal(found.states[probe], values, err_msg=str(probe))
    return found


def spikes(seed: int, steps: int, most: int = 1, rate: float = 0.2) -> Spikes:
    rng = np.random.default_rng(seed)
    shape = (2, steps, *PLANE)
    dense = (rng.random(shape) < rate) * rng.integers(1, most + 1, shape)
    return Spikes.from_dense(dense.astype(np.uint8))


def values(seed: int, steps: int, most: int) -> Any:
    rng = np.random.default_rng(seed)
    shape = (2, steps, size(PLANE))
    return (rng.random(shape) < 0.2) * rng.integers(-most, most + 1, shape)


@settings(max_examples=80)
@given(networks(), st.integers(0, 99), st.sampled_from([1, 1, 3]))
def test_spiking_networks_equal_the_definition(network: ChipNetwork, seed: int, most: int) -> None:
    check(network, spikes(seed, 24, most))


@settings(max_examples=25)
@given(networks(), st.integers(0, 99))
def test_delays_up_to_62_equal_the_definition(network: ChipNetwork, seed: int) -> None:
    check(network, spikes(seed, 140, rate=0.05))


@settings(max_examples=40)
@given(networks((sigma_delta,), graded=True), st.integers(0, 99), st.sampled_from([1, 40, 5000]))
def test_sigma_delta_chains_equal_the_definition(
    network: ChipNetwork, seed: int, most: int
) -> None:
    # a loop may grow without end: then the value that leaves 32 bits must be reported
    given = values(seed, 10, most)
    try:
        check(network, given)
    except DataError as error:
        sent = run_chip(network, given, variables(network)).states.values()
        assert max(int(np.abs(s).max()) for s in sent) >= 2**31
        assert "a value does not fit 32 bits" in str(error)


@settings(max_examples=40)
@given(networks((cuba, sigma_delta), graded=True), st.integers(0, 99), st.booleans())
def test_mixed_networks_equal_the_definition(network: ChipNetwork, seed: int, graded: bool) -> None:
    try:
        check(network, values(seed, 12, 9) if graded else spikes(seed, 12, most=2))
    except DataError as error:
        assert "a value does not fit 32 bits" in str(error)


@settings(max_examples=15)
@given(networks((cuba, sigma_delta)), st.integers(0, 99))
def test_threads_change_nothing(network: ChipNetwork, seed: int) -> None:
    given = spikes(seed, 9)
    try:
        one = check(network, given, threads=1)
    except DataError:
        return
    many = check(network, given, threads=3)
    for name, counts in one.counts.items():
        np.testing.assert_array_equal(counts.synops, many.counts[name].synops)
        np.testing.assert_array_equal(counts.other["active"], many.counts[name].other["active"])


def one_neuron(weight: int = 2, **registers: Any) -> ChipNetwork:
    given: dict[str, Any] = {"i_decay": 4096, "v_decay": 4096, "bias": 0, "threshold": 2**20}
    given |= registers
    arrays = {
        key: np.array([value]) if isinstance(value, int) and key != "refractory" else value
        for key, value in given.items()
    }
    table = Dense(np.array([[weight]]))
    return ChipNetwork(
        1,
        ChipInput("x", (1,)),
        (Cuba("n", (1,), **arrays),),
        (Connection("x", "n", table),),
        ("n",),
    )


def column(trace: Trace, variable: str) -> list[int]:
    return [int(x) for x in trace.states["n", variable][0, :, 0]]


def pulses(*steps: int) -> Spikes:
    return Spikes.from_dense(np.array(steps, np.uint8).reshape(1, -1, 1))


def test_current_and_voltage_decay_as_published() -> None:
    halved = check(one_neuron(128, i_decay=2048), pulses(1, 0, 0, 0, 0))
    assert column(halved, "i") == [0, 8192, 4096, 2048, 1024]
    slow = check(one_neuron(128, v_decay=2048, i_decay=1), pulses(1, *[0] * 8))
    assert column(slow, "v") == [0, 8192, 12286, 14331, 15351, 15859, 16111, 16235, 16295]


def test_a_biased_neuron_fires_every_fifth_step_and_its_register_reads_128() -> None:
    network = one_neuron(bias=2 << 6, threshold=8 << 6, v_decay=0)
    trace = check(network, pulses(*[0] * 12))
    assert np.flatnonzero(trace.spikes["n"].dense()).tolist() == [4, 9]
    assert column(trace, "v")[:6] == [128, 256, 384, 512, 128, 128]


@pytest.mark.parametrize("sign", [1, -1])
def test_the_current_wraps_at_24_bits_and_the_voltage_saturates(sign: int) -> None:
    network = one_neuron(sign * 32767, i_decay=0, v_decay=0, threshold=None)
    trace = check(network, pulses(*[1] * 12))
    current, voltage = np.array(column(trace, "i")), np.array(column(trace, "v"))
    assert (np.sign(current) == -sign).any()
    assert np.abs(voltage).max() == 2**23 - 1


def test_narrow_sums_of_many_wide_weights_do_not_overflow() -> None:
    table = Dense(np.full((3, 1000), 255))
    network = one_neuron()
    big = replace(network.populations[0], shape=(3,))
    registers = ("i_decay", "v_decay", "bias", "threshold")
    big = replace(big, **{key: np.repeat(getattr(big, key), 3) for key in registers})
    wide = network.with_(
        input=ChipInput("x", (1000,)),
        populations=(big,),
        connections=(Connection("x", "n", table),),
    )
    trace = check(wide, Spikes.from_dense(np.ones((1, 3, 1000), np.uint8)))
    assert trace.states["n", "i"][0, 1].tolist() == [(255_000 << 6) - 2**24] * 3


def test_an_active_update_is_one_with_a_register_that_is_not_zero() -> None:
    network = one_neuron(i_decay=4096, v_decay=4096)
    counts = emulate_network(network, pulses(1, 0, 0, 1, 0, 0)).counts["n"]
    assert counts.synops.tolist() == [2]
    assert counts.updates.tolist() == [6]
    assert counts.other["active"].tolist() == [2]
    assert counts.other["inactive"].tolist() == [4]


@pytest.mark.parametrize(("batch", "steps"), [(1, 0), (0, 3)])
def test_no_steps_and_no_samples_give_empty_results(batch: int, steps: int) -> None:
    trace = check(one_neuron(), np.zeros((batch, steps, 1), np.int64))
    assert trace.states["n", "v"].shape == (batch, steps, 1)


def test_input_that_does_not_fit_is_refused() -> None:
    with pytest.raises(DataError) as told:
        emulate_network(one_neuron(), Spikes.from_dense(np.zeros((1, 2, 3), np.uint8)))
    assert str(told.value) == "x: spikes have shape (3,), the network takes (1,)"
    with pytest.raises(DataError) as told:
        emulate_network(one_neuron(), np.full((1, 2, 3), 0.5))
    assert str(told.value).splitlines() == [
        "x: values have shape (1, 2, 3), not (batch, steps, 1)",
        "x: values are float64, not integers",
    ]
    with pytest.raises(DataError) as told:
        emulate_network(one_neuron(), np.full((1, 2, 1), 2**31))
    assert str(told.value) == "x: values are not within -2147483648..2147483647"


def test_a_register_out_of_range_and_an_unknown_probe_are_refused() -> None:
    with pytest.raises(ModelError) as told:
        emulate_network(one_neuron(i_decay=4097), pulses(1))
    assert str(told.value) == ("n: i_decay is 4097, outside 0..4096 (12 bits and the offset bit)")
    with pytest.raises(ModelError) as told:
        emulate_network(one_neuron(threshold=200_000 << 6), pulses(1))
    assert str(told.value) == "n: vth_mant is 200000, outside 0..131071 (17 bits, unsigned)"
    with pytest.raises(ModelError) as told:
        emulate_network(one_neuron(), pulses(1), [("n", "s")])
    assert str(told.value) == ("n: has no state 's' to record (it has: i, v)")


@pytest.mark.recordings
def test_the_recorded_neuron_has_no_mismatch() -> None:
    with np.load(DATA / "recordings" / "loihi2_lif_trace.npz") as file:
        recorded = {key: file[key] for key in file.files}
    network = one_neuron(int(recorded["weight"]), i_decay=4096, v_decay=163, threshold=25 << 6)
    trace = check(network, Spikes.from_dense(recorded["input_spikes"].reshape(1, -1, 1)))
    assert (trace.states["n", "v"].ravel() != recorded["v"]).sum() == 0
    assert (trace.spikes["n"].dense().ravel() != recorded["spikes"]).sum() == 0


@pytest.mark.recordings
def test_the_recorded_dense_layer_has_no_mismatch() -> None:
    with np.load(DATA / "recordings" / "lava_dl_dense.npz") as file:
        recorded = {key: file[key] for key in file.files}
    n = len(recorded["weight"])
    each = np.ones(n, np.int64)
    layer = Cuba("n", (n,), 4096 * each, 415 * each, 0 * each, (6 << 6) * each)
    # the recording's weights are of 8 bits with mixed signs: even numbers
    table = Dense(np.trunc(recorded["weight"] / 2).astype(np.int64) * 2)
    network = ChipNetwork(
        2, ChipInput("x", (200,)), (layer,), (Connection("x", "n", table),), ("n",)
    )
    given = Spikes.from_dense(recorded["input"].T[None].astype(np.uint8))
    fired = check(network, given).spikes["n"].dense()[0]
    assert (recorded["spikes"] != fired.T).sum() == 0
