"""Reservoirs: layers whose weights are not programmed but drawn by the devices of a chip.

A recurrent layer with fixed random weights turns spikes into features, its spike counts; only a
linear read-out is trained. One step (Lin et al., Nature Computational Science 5, 2025):

    u <- d u (1 - s) + W_in x + W_rec s;    s = u > threshold       s on the right: the last step's
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snnstack.backends.crossbar.device import Device, random_cells
from snnstack.backends.crossbar.instance import through_wires
from snnstack.board import Board
from snnstack.ir.step import Dense, Population, Projection, StepGraph, StepInput
from snnstack.trace import Spikes

Weights = NDArray[np.float64]


@dataclass(frozen=True)
class Reservoir:
    """Size, decay d and threshold; `gain_in`, `gain_rec`: standard deviation of the weights."""

    inputs: int = 256
    neurons: int = 200
    decay: float = 0.9
    threshold: float = 5.0
    gain_in: float = 1.0
    gain_rec: float = 0.35


def software_weights(shape: Reservoir, seed: int) -> tuple[Weights, Weights]:
    """(W_in [neurons, inputs], W_rec [neurons, neurons]) of normal numbers."""
    random = np.random.default_rng(seed)
    w_in = random.standard_normal((shape.neurons, shape.inputs))
    w_rec = random.standard_normal((shape.neurons, shape.neurons))
    return shape.gain_in * w_in, shape.gain_rec * w_rec


def chip_weights(
    shape: Reservoir, device: Device, board: Board, seed: int, volt: float | None = None
) -> tuple[Weights, Weights]:
    """The same weights as differences of pairs of conductances that forming drew on chip `seed`.

    Rows are the inputs, then the neurons; columns 2k and 2k + 1 are the pair of neuron k. `volt`:
    the forming voltage, None: that of the device. Currents are seen through the wires of
    `board`; of a passive array exactly, of a gated one as far as its rows are concerned. Each of
    the two parts is scaled to its gain, as one scales a read-out range.
    """
    rows = shape.inputs + shape.neurons
    g = random_cells(device, (rows, 2 * shape.neurons), seed, volt=volt)
    seen = through_wires(board, g, np.zeros_like(g)).seen
    weight = (seen[:, 0::2] - seen[:, 1::2]).T
    parts = weight[:, : shape.inputs], weight[:, shape.inputs :]
    w_in, w_rec = (
        gain * part / part.std()
        for gain, part in zip((shape.gain_in, shape.gain_rec), parts, strict=True)
    )
    return w_in, w_rec


def reservoir_graph(shape: Reservoir, weights: tuple[Weights, Weights]) -> StepGraph:
    """The reservoir as a network: input "x", one recurrent population "reservoir"."""
    n = shape.neurons
    zero, one = np.zeros(n), np.ones(n)
    neurons = Population(
        name="reservoir",
        shape=(n,),
        alpha=np.full(n, shape.decay),
        beta=None,
        gain_in=one,
        gain=one,
        bias=zero,
        leak=zero,
        threshold=np.full(n, shape.threshold),
        v_reset=zero,
    )
    projections = (
        Projection("x", "reservoir", Dense(weights[0])),
        Projection("reservoir", "reservoir", Dense(weights[1]), delay=1),
    )
    port = StepInput("x", (shape.inputs,), "binary")
    return StepGraph((port,), (neurons,), projections, ("reservoir",), 1.0)


def features(shape: Reservoir, weights: tuple[Weights, Weights], spikes: Spikes) -> Weights:
    """Spike counts [sample, neuron] of the reservoir."""
    from snnstack.engine.steps import run_step_graph

    trace = run_step_graph(reservoir_graph(shape, weights), spikes)
    return trace.spikes["reservoir"].per_neuron().astype(np.float64)


def read_out(x: Weights, y: NDArray[np.int64], ridge: float = 1.0) -> Weights:
    """Linear read-out [features + 1, classes] by ridge regression on one-hot labels.

    Features are centred and scaled inside; apply it with `predicted`.
    """
    target = np.eye(int(y.max()) + 1)[y]
    mean, spread = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-9)
    z = (x - mean) / spread
    gram = z.T @ z + ridge * len(x) * np.eye(z.shape[1])
    weight = np.linalg.solve(gram, z.T @ (target - target.mean(axis=0))) / spread[:, None]
    return np.vstack([weight, target.mean(axis=0) - mean @ weight])


def predicted(weight: Weights, x: Weights) -> NDArray[np.int64]:
    """The class of every row of features."""
    return np.asarray((x @ weight[:-1] + weight[-1]).argmax(axis=1))
