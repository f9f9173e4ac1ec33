"""Operation metrics: by hand on a tiny network, and as NeuroBench counts them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snnstack.ir.matrix import pool_matrix
from snnstack.ir.step import Conv, Dense, Pool, Projection, Sparse, StepInput
from snnstack.quant.network import QuantizedNetwork, QuantizedPopulation, quantized_lif
from snnstack.quant.numerics import Numerics
from snnstack.reference import run_quantized
from snnstack.report.operations import OperationCounter, Operations, Wiring
from snnstack.trace import Spikes, Trace

NUMERICS = Numerics(8, -127, 127, 16, "floor", 2**21, 2**30, 2**30)


def population(name: str, n: int, threshold: int | None = 100) -> QuantizedPopulation:
    fill = lambda value: np.full(n, value, dtype=np.int64)  # noqa: E731
    limit = None if threshold is None else fill(threshold)
    return quantized_lif(
        name, (n,), fill(60000), None, 0, fill(0), fill(0), limit, fill(0), np.ones(n), "set"
    )  # fmt: skip


def network(*projections: Projection, sizes: dict[str, int], inputs: tuple[int, ...]) -> Any:
    populations = tuple(population(name, n) for name, n in sizes.items())
    port = StepInput("in", inputs, "count")
    last = populations[-1].name
    return QuantizedNetwork((port,), populations, projections, (last,), 1e-3, NUMERICS)


def counted(net: QuantizedNetwork, trace: Trace, spikes: Spikes) -> Operations:
    counter = OperationCounter(Wiring.of(net))
    counter.add(trace, {"in": spikes})
    return counter.total()


def spikes(*steps: list[int]) -> Spikes:
    return Spikes.from_dense(np.array([steps], dtype=np.uint8))


def test_operations_of_a_tiny_network_are_those_counted_by_hand() -> None:
    first = Projection("in", "a", Dense(np.array([[5, 0, 7], [1, 2, 0]])))
    second = Projection("a", "b", Dense(np.array([[3, 0]])))
    net = network(first, second, sizes={"a": 2, "b": 1}, inputs=(3,))
    given = spikes([1, 1, 0], [0, 0, 1], [0, 0, 0])
    trace = Trace({"a": spikes([1, 0], [0, 1], [1, 1]), "b": spikes([0], [1], [0])})
    found = counted(net, trace, given)
    # in -> a: step 0 reaches 2 + 1 weights, step 1 reaches 1; a -> b: one weight, in two steps
    assert found.effective_acs == (2 + 1) + 1 + 1 + 1
    assert found.effective_macs == 0
    assert found.dense == 3 * (6 + 2)
    assert found.connection_sparsity == 3 / 8
    assert found.activation_sparsity == 1 - 5 / 9
    assert found.membrane_updates == 9
    # 8 weights of a byte; decay and threshold of three neurons
    assert found.footprint_bytes == 8 + 4 * 2 * 3


def test_a_step_with_a_count_above_one_multiplies() -> None:
    net = network(Projection("in", "a", Dense(np.ones((2, 2)))), sizes={"a": 2}, inputs=(2,))
    found = counted(net, Trace({"a": spikes([0, 0], [0, 0])}), spikes([2, 1], [1, 0]))
    assert (found.effective_macs, found.effective_acs) == (4, 2)


def test_spikes_whose_delay_leads_past_the_end_reach_nobody() -> None:
    loop = Projection("a", "a", Dense(np.ones((2, 2))), delay=1)
    net = network(loop, sizes={"a": 2}, inputs=(1,))
    found = counted(net, Trace({"a": spikes([1, 0], [0, 0], [1, 1])}), spikes([0], [0], [0]))
    assert found.effective_acs == 2


def test_pairs_that_a_synapse_list_leaves_out_are_zeros() -> None:
    listed = Sparse(np.array([0, 2, 2]), np.array([0, 2], np.int32), np.array([4, 0]))
    net = network(Projection("in", "a", listed), sizes={"a": 3}, inputs=(2,))
    found = counted(net, Trace({"a": spikes([0, 0, 0])}), spikes([1, 1]))
    assert found.connection_sparsity == 5 / 6
    assert (found.effective_acs, found.dense) == (1, 6)


def test_pooled_events_meet_the_weights_as_sums() -> None:
    pool = Pool((1, 2, 2), (1, 1, 1), (2, 2), (2, 2), (0, 0))
    projection = Projection("in", "a", Dense(np.ones((3, 1))), pool=pool)
    net = network(projection, sizes={"a": 3}, inputs=(1, 2, 2))
    dense = np.array([[[[[1, 1], [0, 0]]], [[[0, 0], [0, 1]]]]], dtype=np.uint8)
    trace = Trace({"a": spikes([0, 0, 0], [0, 0, 0])})
    found = counted(net, trace, Spikes.from_dense(dense))
    assert (found.effective_macs, found.effective_acs, found.dense) == (3, 3, 6)


def test_windows_that_overlap_share_events() -> None:
    pool = Pool((2, 3, 3), (2, 2, 2), (2, 2), (1, 1), (0, 0))
    centre = pool_matrix(pool).T.toarray().reshape(2, 3, 3, 2, 2, 2)[1, 1, 1]
    np.testing.assert_array_equal(centre, [np.zeros((2, 2)), np.ones((2, 2))])


@st.composite
def conv_synapses(draw: st.DrawFn) -> Conv:
    groups, kernel = draw(st.integers(1, 2)), draw(st.tuples(*[st.integers(1, 3)] * 2))
    stride, dilation = (draw(st.tuples(*[st.integers(1, 2)] * 2)) for _ in range(2))
    padding = draw(st.tuples(*[st.integers(0, 2)] * 2))
    size = draw(st.tuples(*[st.integers(5, 7)] * 2))
    out = tuple(
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, p, d, k, s in zip(size, padding, dilation, kernel, stride, strict=True)
    )
    weight = np.ones((2 * groups, 2, *kernel))
    shape = (2 * groups, *size), (2 * groups, *out)
    return Conv(weight, *shape, stride, padding, dilation, groups)


@settings(max_examples=20)
@given(conv_synapses(), st.integers(0, 2**32 - 1))
def test_a_convolution_counts_what_it_adds(conv: Conv, seed: int) -> None:
    """Every effective operation adds 1 to a sum where all weights that are not zero are 1."""
    random = np.random.default_rng(seed)
    keep = random.random(conv.weight.shape) < 0.7
    ones = Conv(keep.astype(np.int64), *(getattr(conv, k) for k in FIELDS))
    n = int(np.prod(conv.out_shape))
    net = QuantizedNetwork(
        (StepInput("in", conv.in_shape, "binary"),), (population("a", n, None),),
        (Projection("in", "a", ones),), ("a",), 1e-3, NUMERICS,
    )  # fmt: skip
    given = Spikes.from_dense((random.random((2, 3, *conv.in_shape)) < 0.4).astype(np.uint8))
    net = net.with_(populations=(population_without_decay(n),))
    v = run_quantized(net, given, [("a", "v")]).states["a", "v"]
    found = counted(net, Trace({}), given)
    assert found.effective_acs * 2 == v[:, -1].sum()
    assert found.activation_sparsity is None


FIELDS = ("in_shape", "out_shape", "stride", "padding", "dilation", "groups")


def population_without_decay(n: int) -> QuantizedPopulation:
    one = np.full(n, 1 << 16, dtype=np.int64)
    zero = np.zeros(n, dtype=np.int64)
    return quantized_lif("a", (n,), one, None, 0, zero, zero, None, zero, np.ones(n), "set")


@pytest.mark.needs_neurobench
@pytest.mark.parametrize("kind", ["dense", "conv", "pool"])
def test_neurobench_counts_the_same(kind: str) -> None:
    """On the same weights and the same spikes; one sample at a time, as graded steps are told."""
    import snntorch
    import torch
    from neurobench.metrics.static import ConnectionSparsity
    from neurobench.metrics.workload import ActivationSparsity, SynapticOperations
    from neurobench.models import SNNTorchModel
    from torch import nn

    torch.manual_seed(0)
    leak = {"beta": 0.9, "init_hidden": True}
    first, shape = (
        (nn.Linear(12, 9), (12,))
        if kind == "dense"
        else (nn.Conv2d(2, 3, 3, stride=2, padding=1), (2, 6, 6))
    )
    between = nn.Sequential(nn.Flatten()) if kind != "pool" else nn.LPPool2d(1, 3)
    flat = {"dense": 9, "conv": 27, "pool": 3}[kind]
    last = [nn.Flatten(), nn.Linear(flat, 4), snntorch.Leaky(**leak, output=True)]
    net = nn.Sequential(first, snntorch.Leaky(**leak, threshold=0.2), between, *last)
    with torch.no_grad():
        first.weight[torch.rand(first.weight.shape) < 0.3] = 0
        net[4].weight[torch.rand(net[4].weight.shape) < 0.3] = 0
    model, steps = SNNTorchModel(net), 7
    model.register_hooks()
    metric, sparsity = SynapticOperations(), ActivationSparsity()
    ours = OperationCounter(Wiring.of(twin(first, net[4], shape, kind)))
    silent = []
    for seed in range(3):
        x = (torch.rand(1, steps, *shape, generator=torch.manual_seed(seed)) < 0.4).float()
        with torch.no_grad():
            theirs = metric(model, model(x), (x, None))
            silent.append(sparsity(model, None, None))
        a, b = (hooked(hook, steps) for hook in model.activation_hooks)
        given = Spikes.from_dense(x.numpy().astype(np.uint8))
        ours.add(Trace({"a": a, "b": b}), {"in": given})
        model.reset_hooks()
    found = ours.total()
    assert found.effective_acs == theirs["Effective_ACs"]
    assert found.effective_macs == theirs["Effective_MACs"]
    assert found.dense == theirs["Dense"]
    assert (found.effective_macs > 0) == (kind == "pool")
    assert found.activation_sparsity == pytest.approx(np.mean(silent), abs=1e-12)
    assert round(found.connection_sparsity, 4) == pytest.approx(ConnectionSparsity()(model))


def hooked(hook: Any, steps: int) -> Spikes:
    """The spikes that NeuroBench recorded of a layer."""
    outputs = np.stack([s.numpy() for s in hook.activation_outputs], axis=1)
    return Spikes.from_dense(outputs.astype(np.uint8))


def twin(first: Any, second: Any, shape: tuple[int, ...], kind: str) -> QuantizedNetwork:
    """The torch network's connections, as they are."""
    weight = first.weight.detach().numpy()
    synapses: Dense | Conv = Dense(weight)
    middle: tuple[int, ...] = (9,)
    if kind != "dense":
        middle = (3, 3, 3)
        synapses = Conv(weight, shape, middle, (2, 2), (1, 1), (1, 1), 1)
    pool = Pool((3, 3, 3), (3, 1, 1), (3, 3), (3, 3), (0, 0)) if kind == "pool" else None
    n = int(np.prod(middle))
    projections = (
        Projection("in", "a", synapses),
        Projection("a", "b", Dense(second.weight.detach().numpy()), pool=pool),
    )
    return network(*projections, sizes={"a": n, "b": 4}, inputs=shape)
