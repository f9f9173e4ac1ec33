"""discretise: NIR's equations per step."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from snnstack.errors import ModelError
from snnstack.ir.graph import Edge, Graph
from snnstack.ir.nodes import (
    IF,
    LIF,
    Affine,
    Conv2d,
    CubaLIF,
    Delay,
    Flatten,
    Input,
    Linear,
    Output,
    Scale,
    SumPool2d,
)
from snnstack.ir.step import Conv, Dense, Sparse
from snnstack.passes.discretise import discretise

W = np.array([[1.0, -2.0], [0.5, 0.25]])


def cuba(n: int = 2, **changes: object) -> CubaLIF:
    values = {
        "tau_syn": np.full(n, 2e-3),
        "tau_mem": np.full(n, 4e-3),
        "r": np.full(n, 3.0),
        "v_leak": np.full(n, 0.1),
        "v_reset": np.zeros(n),
        "v_threshold": np.ones(n),
        "w_in": np.full(n, 5.0),
    }
    return CubaLIF(**{**values, **changes})  # type: ignore[arg-type]


def graph_of(
    *middle: tuple[str, object], shape: tuple[int, ...] = (2,), **changes: object
) -> Graph:
    nodes = {"x": Input(shape), **dict(middle), "y": Output((2,))}
    names = list(nodes)
    edges = tuple(Edge(a, b) for a, b in pairwise(names))
    settings = {"dt": 1e-3, "integrator": "euler", **changes}
    return Graph(nodes=nodes, edges=edges, **settings)  # type: ignore[arg-type]


def test_forward_euler_of_a_current_based_neuron() -> None:
    steps = discretise(graph_of(("fc", Affine(W, np.array([1.0, 2.0]))), ("n", cuba())))
    (p,) = steps.populations
    np.testing.assert_allclose(p.alpha, 1 - 1 / 4)
    np.testing.assert_allclose(p.gain, 3 / 4)
    np.testing.assert_allclose(p.leak, 0.1 / 4)
    assert p.beta is not None
    np.testing.assert_allclose(p.beta, 1 - 1 / 2)
    np.testing.assert_allclose(p.gain_in, 5 / 2)
    np.testing.assert_array_equal(p.bias, [1.0, 2.0])


def test_exponential_integration_of_a_current_based_neuron() -> None:
    graph = graph_of(("fc", Linear(W)), ("n", cuba()), integrator="exponential")
    (p,) = discretise(graph).populations
    np.testing.assert_allclose(p.alpha, np.exp(-1 / 4))
    np.testing.assert_allclose(p.gain, 3 * (1 - np.exp(-1 / 4)))
    assert p.beta is not None
    np.testing.assert_allclose(p.beta, np.exp(-1 / 2))
    np.testing.assert_allclose(p.gain_in, 5 * (1 - np.exp(-1 / 2)))


def test_reset_comparison_and_refractory_time_reach_the_population() -> None:
    neuron = cuba(reset="subtract", compare="ge", refractory=3e-3)
    (p,) = discretise(graph_of(("fc", Linear(W)), ("n", neuron))).populations
    assert (p.reset, p.compare, p.refractory) == ("subtract", "ge", 3)


def test_recurrent_synapses_arrive_a_step_later() -> None:
    graph = graph_of(("fc", Linear(W)), ("n", cuba()))
    nodes = {**graph.nodes, "rec": Linear(2 * W)}
    edges = (*graph.edges, Edge("n", "rec"), Edge("rec", "n"))
    steps = discretise(replace(graph, nodes=nodes, edges=edges))
    assert {(p.source, p.target, p.delay) for p in steps.projections} == {
        ("x", "n", 0),
        ("n", "n", 1),
    }


def test_chains_of_linear_nodes_become_one_projection() -> None:
    scale = Scale(np.array([2.0, 3.0]))
    steps = discretise(
        graph_of(("s", scale), ("a", Linear(W)), ("b", Affine(W, np.ones(2))), ("n", cuba()))
    )
    (projection,) = steps.projections
    assert isinstance(projection.synapses, Dense)
    np.testing.assert_allclose(projection.synapses.weight, W @ W @ np.diag([2.0, 3.0]))
    np.testing.assert_array_equal(steps.populations[0].bias, np.ones(2))


def test_a_bias_passes_through_what_follows_it() -> None:
    steps = discretise(
        graph_of(("a", Affine(W, np.array([1.0, 1.0]))), ("b", Linear(W)), ("n", cuba()))
    )
    np.testing.assert_allclose(steps.populations[0].bias, W @ np.ones(2))


def test_a_delay_in_seconds_becomes_steps() -> None:
    steps = discretise(graph_of(("d", Delay(np.full(2, 3e-3))), ("fc", Linear(W)), ("n", cuba())))
    (projection,) = steps.projections
    assert projection.delay == 3


def test_unequal_delays_split_a_projection() -> None:
    delays = Delay(np.array([1e-3, 4e-3]))
    steps = discretise(graph_of(("d", delays), ("fc", Linear(W)), ("n", cuba())))
    assert [p.delay for p in steps.projections] == [1, 4]
    total = sum(_matrix(p.synapses) for p in steps.projections)
    np.testing.assert_array_equal(total, W)


def test_per_synapse_delays_split_a_projection() -> None:
    linear = Linear(W, delay=np.array([[0, 2], [2, 1]]))
    steps = discretise(graph_of(("fc", linear), ("n", cuba())))
    assert [p.delay for p in steps.projections] == [0, 1, 2]
    np.testing.assert_array_equal(sum(_matrix(p.synapses) for p in steps.projections), W)


def test_a_delay_between_steps_is_refused() -> None:
    graph = graph_of(("d", Delay(np.full(2, 2.5e-3))), ("fc", Linear(W)), ("n", cuba()))
    with pytest.raises(ModelError) as caught:
        discretise(graph)
    assert str(caught.value) == (
        "graph: delay 0.0025 s is 2.5 steps of 0.001 s (choose a dt that divides every delay)"
    )


def test_a_pool_before_a_convolution_stays_a_pool() -> None:
    conv = Conv2d(None, np.ones((3, 1, 2, 2)), (1, 1), (0, 0), (1, 1), 1, np.arange(3.0))
    spiking = IF(r=np.ones((3, 1, 1)), v_reset=np.zeros((3, 1, 1)), v_threshold=np.ones((3, 1, 1)))
    graph = graph_of(
        ("p", SumPool2d((2, 2), (2, 2), (0, 0))), ("c", conv), ("n", spiking), shape=(1, 4, 4)
    )
    steps = discretise(replace(graph, nodes={**graph.nodes, "y": Output((3, 1, 1))}))
    (projection,) = steps.projections
    assert isinstance(projection.synapses, Conv)
    assert projection.pool is not None
    assert projection.pool.out_shape == (1, 2, 2)
    np.testing.assert_array_equal(steps.populations[0].bias, [0.0, 1.0, 2.0])


def test_same_padding_of_an_even_kernel_pads_more_at_the_end() -> None:
    conv = Conv2d(None, np.ones((1, 1, 2, 2)), (1, 1), "same", (1, 1), 1, np.zeros(1))
    neuron = IF(r=np.ones((1, 3, 3)), v_reset=np.zeros((1, 3, 3)), v_threshold=np.ones((1, 3, 3)))
    graph = graph_of(("c", conv), ("n", neuron), shape=(1, 3, 3))
    steps = discretise(replace(graph, nodes={**graph.nodes, "y": Output((1, 3, 3))}))
    (projection,) = steps.projections
    assert isinstance(projection.synapses, Conv)
    assert projection.synapses.padding == (0, 0)
    assert projection.synapses.out_shape == (1, 3, 3)


def test_an_output_fed_by_weights_becomes_a_readout_without_memory() -> None:
    steps = discretise(graph_of(("n", cuba()), ("fc", Linear(W))))
    readout = steps.population("y")
    assert readout.threshold is None
    np.testing.assert_array_equal(readout.alpha, [0.0, 0.0])
    assert steps.outputs == ("y",)


def test_flatten_changes_shapes_but_not_numbers() -> None:
    lif = LIF(*(np.full(4, v) for v in (4e-3, 1.0, 0.0, 0.0, 1.0)))
    graph = graph_of(("f", Flatten(None, 0, -1)), ("n", lif), shape=(1, 2, 2))
    steps = discretise(replace(graph, nodes={**graph.nodes, "y": Output((4,))}))
    (projection,) = steps.projections
    np.testing.assert_array_equal(_matrix(projection.synapses), np.eye(4))


def _matrix(synapses: object) -> np.ndarray:
    assert isinstance(synapses, (Dense, Sparse))
    if isinstance(synapses, Dense):
        return np.asarray(synapses.weight)
    from snnstack.ir.matrix import matrix

    return np.asarray(matrix(synapses, 4 if len(synapses.indptr) == 5 else 2).toarray())
