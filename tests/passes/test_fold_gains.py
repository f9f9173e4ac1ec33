"""fold_gains: weights in volts per spike, gains 1."""

import numpy as np

from snnstack.ir.step import Dense, Projection, StepGraph, StepInput, lif
from snnstack.passes.fold_gains import fold_gains
from snnstack.reference import run_steps
from snnstack.trace import Spikes


def network(beta: float | None) -> StepGraph:
    n = 2
    population = lif(
        name="n",
        shape=(n,),
        alpha=np.full(n, 0.5),
        beta=None if beta is None else np.full(n, beta),
        gain_in=np.array([2.0, 4.0]),
        gain=np.array([0.5, 0.25]),
        bias=np.array([0.125, -0.25]),
        leak=np.zeros(n),
        threshold=np.ones(n),
        v_reset=np.zeros(n),
    )
    synapses = Dense(np.array([[1.0, -0.5, 0.75], [0.25, 1.5, -1.0]]))
    return StepGraph(
        inputs=(StepInput("x", (3,), "binary"),),
        populations=(population,),
        projections=(Projection("x", "n", synapses),),
        outputs=("n",),
        dt=1e-3,
    )


def test_gains_move_into_weights_and_bias() -> None:
    after = fold_gains(network(beta=0.5))
    (population,), (projection,) = after.populations, after.projections
    np.testing.assert_array_equal(population.gain, [1.0, 1.0])
    np.testing.assert_array_equal(population.gain_in, [1.0, 1.0])
    np.testing.assert_array_equal(
        projection.synapses.weight, network(0.5).projections[0].synapses.weight
    )
    after = fold_gains(network(beta=None))
    np.testing.assert_array_equal(
        after.projections[0].synapses.weight, [[0.5, -0.25, 0.375], [0.0625, 0.375, -0.25]]
    )
    np.testing.assert_array_equal(after.populations[0].bias, [0.0625, -0.0625])


def test_folding_keeps_every_spike_and_membrane() -> None:
    x = (np.random.default_rng(0).random((4, 50, 3)) < 0.4).astype(np.uint8)
    for beta in (None, 0.5):
        before = run_steps(network(beta), Spikes.from_dense(x), [("n", "v")])
        after = run_steps(fold_gains(network(beta)), Spikes.from_dense(x), [("n", "v")])
        np.testing.assert_array_equal(before.spikes["n"].dense(), after.spikes["n"].dense())
        np.testing.assert_allclose(before.states["n", "v"], after.states["n", "v"], atol=1e-12)
