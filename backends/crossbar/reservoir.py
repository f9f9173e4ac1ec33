"""Layers whose weights are the conductances that a chip was born with: reservoirs.

Nothing is programmed: forming draws the cells, two of them make a signed weight, and only a
linear read-out behind the layer is trained. Lin et al., Resistive memory-based zero-shot liquid
state machine for multimodal event data learning, Nature Computational Science 5, 2025.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from snnstack.backends.crossbar.circuit import Array, Circuit, Wires
from snnstack.backends.crossbar.circuit.array import Reals, Topology
from snnstack.backends.crossbar.device import Device, Tile, generator, random_cells
from snnstack.backends.crossbar.device_types import Forming
from snnstack.errors import DataError, TargetError, fail
from snnstack.ir.graph import Edge, Graph
from snnstack.ir.nodes import LI, LIF, Affine, Input, Leaf, Linear, Output
from snnstack.notices import say
from snnstack.report.clipping import Clipped, warnings_of

DECAY, THRESHOLD = 0.9, 5.0
"""Of the published reservoir for N-MNIST."""

SPREAD = 0.4
"""Standard deviation of a weight that lets some 5 % of the neurons fire on N-MNIST."""


@dataclass(frozen=True)
class Reservoir:
    """Recurrent neurons on drawn weights: u <- decay u (1 - s_before) + W (x, s_before).

    s = u > threshold. Rows of `array` are the inputs, then the neurons; columns 2n and 2n + 1
    are the positive and negative cell of neuron n. `unit` siemens of difference are a weight of
    1; a driven row has `volt`. `lsb` > 0: the difference of a pair is converted to whole numbers
    of it, at most `bits` wide with sign.
    """

    array: Array
    inputs: int
    unit: float
    volt: float = 0.1
    decay: float = DECAY
    threshold: float = THRESHOLD
    lsb: float = 0.0
    bits: int = 8
    _circuit: list[Circuit] = field(default_factory=list, repr=False, compare=False)

    @property
    def neurons(self) -> int:
        """Number of neurons."""
        return self.array.cols // 2

    @property
    def weights(self) -> Reals:
        """Weights [inputs + neurons, neurons] of the cells themselves, without wires."""
        g = self.array.effective
        return np.asarray((g[:, 0::2] - g[:, 1::2]) / self.unit)

    def summed(self, driven: npt.ArrayLike) -> Reals:
        """W times `driven` [batch, inputs + neurons] of 0 and 1, by the currents of the array.

        What clips is told as a warning (`snnstack.report.clipping`).
        """
        sums, clipped = self.converted(driven)
        _tell(self.clipped(clipped, sums.size))
        return sums

    def converted(self, driven: npt.ArrayLike) -> tuple[Reals, int]:
        """`summed`, and how many of its sums the converters clipped, without a word."""
        if not self._circuit:
            self._circuit.append(Circuit(self.array))
        amperes = self._circuit[0].currents(np.asarray(driven, np.float64) * self.volt)
        sums: Reals = (amperes[:, 0::2] - amperes[:, 1::2]) / (self.unit * self.volt)
        if self.lsb == 0:
            return sums, 0
        most = 2 ** (self.bits - 1) - 1
        wanted = np.rint(sums / self.lsb)
        found = np.clip(wanted, -most, most)
        return found * self.lsb, int(np.count_nonzero(found != wanted))

    def clipped(self, clipped: int, conversions: int) -> Clipped:
        """So many conversions of so many, in words; none without a converter."""
        remedy = f"more bits than {self.bits}, or a larger lsb than {self.lsb:g}"
        return Clipped("reservoir", clipped, conversions if self.lsb else 0, remedy)


def _tell(found: Clipped) -> None:
    for problem in warnings_of((found,)):
        say(problem.where, problem.what, problem.hint)


def draw_reservoir(
    device: Device,
    inputs: int,
    neurons: int,
    seed: int,
    *,
    spread: float = SPREAD,
    tile: Tile = (),
    forming_v: float | None = None,
    topology: Topology = "gated_bl",
    wires: Wires | None = None,
    lsb: float = 0.0,
    bits: int = 8,
) -> Reservoir:
    """The reservoir that chip `seed` is: `spread` is the standard deviation of its weights.

    The unit follows from the device's law, not from the chip: chips differ. Raises `TargetError`
    if the device's cells are programmed, not drawn.
    """
    shape = (inputs + neurons, 2 * neurons)
    cells = random_cells(device, shape, seed, tile, volt=forming_v)
    unit = math.sqrt(2.0) * forming_std(device, forming_v) / spread
    array = Array(cells, topology, Wires() if wires is None else wires)
    return Reservoir(array, inputs, unit, lsb=lsb, bits=bits)


def forming_std(device: Device, volt: float | None = None) -> float:
    """Standard deviation in siemens of a cell that forming at `volt` draws."""
    model = device.programming
    if not isinstance(model, Forming):
        what = "is programmed to targets; it does not draw conductances"
        raise fail(TargetError, f"device {device.name}", what)
    share = float(ndtr(((model.volt if volt is None else volt) - model.v_mean) / model.v_std))
    mean = share * model.formed_mean + (1 - share) * model.unformed
    square = share * (model.formed_mean**2 + model.formed_std**2)
    square += (1 - share) * model.unformed**2
    return math.sqrt(square - mean**2) * 1e-6


def software_reservoir(
    inputs: int, neurons: int, seed: int, *, spread: float = SPREAD
) -> Reservoir:
    """The same with normal weights of standard deviation `spread`: what a computer would draw."""
    rng = generator(seed, "software reservoir")
    w = rng.normal(0.0, spread, (inputs + neurons, neurons))
    cells = np.stack([np.maximum(w, 0.0), np.maximum(-w, 0.0)], axis=2)
    return Reservoir(Array(cells.reshape(len(w), -1) * 1e-6, "passive"), inputs, 1e-6)


@dataclass(frozen=True, eq=False)
class Run:
    """`counts` [batch, neurons]: how often each neuron fires; `clipped`: of all conversions."""

    counts: Reals
    clipped: Clipped


def run_reservoir(reservoir: Reservoir, spikes: npt.ArrayLike) -> Run:
    """The reservoir on `spikes` [batch, steps, inputs], with what its converters clipped."""
    x = np.asarray(spikes) != 0
    if x.ndim != 3 or x.shape[2] != reservoir.inputs:
        what = f"shape {x.shape}, expected [batch, steps, {reservoir.inputs}]"
        raise fail(DataError, "spikes of a reservoir", what)
    u, s = np.zeros((2, len(x), reservoir.neurons))
    counts, clipped = np.zeros_like(u), 0
    for t in range(x.shape[1]):
        driven = np.concatenate([x[:, t], s], axis=1)
        sums, more = reservoir.converted(driven)
        clipped += more
        u = reservoir.decay * u * (1 - s) + sums
        s = (u > reservoir.threshold).astype(np.float64)
        counts += s
    return Run(counts, reservoir.clipped(clipped, counts.size * x.shape[1]))


def spike_counts(reservoir: Reservoir, spikes: npt.ArrayLike) -> Reals:
    """How often each neuron fires, [batch, neurons], for `spikes` [batch, steps, inputs].

    Conversions that clip beyond the stated share are told as a warning.
    """
    run = run_reservoir(reservoir, spikes)
    _tell(run.clipped)
    return run.counts


@dataclass(frozen=True)
class Readout:
    """The class is the largest of `weight` [classes, neurons] times counts, plus `bias`."""

    weight: Reals
    bias: Reals

    def classes(self, counts: Reals) -> npt.NDArray[np.int64]:
        """Class numbers [batch]."""
        return np.asarray(np.argmax(counts @ self.weight.T + self.bias, axis=1), np.int64)


def fit_readout(counts: Reals, labels: npt.ArrayLike, penalty: float = 100.0) -> Readout:
    """Ridge regression of the classes on standardised counts [batch, neurons]."""
    known = np.asarray(labels, np.int64)
    mean, scale = counts.mean(axis=0), counts.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    x = (counts - mean) / scale
    wanted = np.eye(int(known.max()) + 1)[known]
    offset = wanted.mean(axis=0)
    inner = x.T @ x + penalty * np.eye(x.shape[1])
    weight = np.linalg.solve(inner, x.T @ (wanted - offset)).T / scale
    return Readout(weight, offset - weight @ mean)


def reservoir_graph(reservoir: Reservoir, readout: Readout, steps: int, dt: float = 1e-3) -> Graph:
    """The network of `reservoir` and `readout` for samples of `steps` steps of `dt` seconds.

    Its weights are the chip's (without wires and converters): other boards can run it too.
    """
    w, n, classes = reservoir.weights, reservoir.neurons, len(readout.bias)
    tau, zero = dt / (1 - reservoir.decay), np.zeros(n)
    lif = LIF(np.full(n, tau), np.full(n, tau / dt), zero, zero, np.full(n, reservoir.threshold))
    nodes: dict[str, Leaf | Graph] = {
        "input": Input((reservoir.inputs,), events="binary"),
        "into": Linear(w[: reservoir.inputs].T.copy()),
        "again": Linear(w[reservoir.inputs :].T.copy()),
        "reservoir": lif,
        "read": Affine(readout.weight, readout.bias / steps),
        "sum": LI(np.full(classes, dt), np.ones(classes), np.zeros(classes)),
        "output": Output((classes,)),
    }
    edges = (
        Edge("input", "into"),
        Edge("into", "reservoir"),
        Edge("reservoir", "again"),
        Edge("again", "reservoir", 1),
        Edge("reservoir", "read"),
        Edge("read", "sum"),
        Edge("sum", "output"),
    )
    return Graph(nodes, edges, dt=dt, integrator="euler")
