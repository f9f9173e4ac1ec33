"""A program as its machine would run it, in plain numpy: what stands in its tables, no more.

Reads keys, synapse words, kernels, routing tables and neuron parameters. Much like the firmware,
but without a compiler or a processor: for tests of the compiler.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from snnstack.backends.spinnaker2.delivery import deliver
from snnstack.backends.spinnaker2.network import ChipNetwork, ChipPopulation
from snnstack.backends.spinnaker2.program import INDEX_BITS, Element, Kernel, Program
from snnstack.backends.spinnaker2.words import decode, slots
from snnstack.ir.nodes import Array
from snnstack.ir.step import Conv
from snnstack.trace import Spikes, Trace

F = np.float32


@dataclass(eq=False)
class Core:
    """The state of one element: sums [slot, sign, n] of arriving weights, and its neurons."""

    element: Element
    population: ChipPopulation
    sums: Array = field(init=False)
    state: dict[str, Array] = field(init=False)

    def __post_init__(self) -> None:
        n = self.element.n
        self.sums = np.zeros((slots(self.population.application), 2, n), dtype=np.int64)
        self.state = {name: np.zeros(n, dtype=F) for name in ("v", "ie", "ii")}
        if self.population.v_init is not None:
            self.state["v"] += self.population.v_init[self.element.neurons]

    def receive(self, step: int, key: int, network: ChipNetwork) -> None:
        """A packet of `step`: its weights go to the sums of the steps in which they arrive."""
        rows = self.element.rows
        row = int(np.searchsorted(rows.keys, key))
        if row < len(rows.keys) and rows.keys[row] == key:
            words = rows.words[int(rows.starts[row]) : int(rows.starts[row + 1])]
            self._add(step, *decode(self.population.application, words))
        for kernel in self.element.kernels:
            at = int(np.searchsorted(kernel.sources, key >> INDEX_BITS))
            if at < len(kernel.sources) and kernel.sources[at] == key >> INDEX_BITS:
                self._convolve(step, kernel, kernel.boxes[at], key & 2**INDEX_BITS - 1, network)

    def _add(self, step: int, weight: Array, delay: Array, index: Array) -> None:
        slot = (step + 1 + delay) % len(self.sums)
        np.add.at(self.sums, (slot, (weight < 0).astype(np.int64), index), weight)

    def _convolve(
        self, step: int, kernel: Kernel, box: Array, position: int, network: ChipNetwork
    ) -> None:
        """The taps that the neuron at `position` of the source's `box` meets."""
        c = network.connections[kernel.connection]
        conv = c.synapses
        assert isinstance(conv, Conv)
        at = np.unravel_index(position, tuple(box[:, 1] - box[:, 0]))
        channel, y, x = (int(a + b) for a, b in zip(at, box[:, 0], strict=True))
        if c.pool is None:
            windows = [(y, x)]
        else:
            (k_y, k_x), (s_y, s_x), (p_y, p_x) = c.pool.kernel, c.pool.stride, c.pool.padding
            windows = [
                (v, u)
                for v in range(c.pool.out_shape[1])
                for u in range(c.pool.out_shape[2])
                if 0 <= y + p_y - v * s_y < k_y and 0 <= x + p_x - u * s_x < k_x
            ]
        for v, u in windows:
            self._taps(step, kernel, conv, channel, v, u)

    def _taps(self, step: int, kernel: Kernel, conv: Conv, channel: int, y: int, x: int) -> None:
        (c0, c1), (y0, y1), (x0, x1) = kernel.box.tolist()
        outs = np.arange(c0, c1)
        per_in, per_out = conv.weight.shape[1], conv.weight.shape[0] // conv.groups
        outs = outs[outs // per_out == channel // per_in]
        for k_y in range(conv.weight.shape[2]):
            o_y, rest_y = divmod(y + conv.padding[0] - k_y * conv.dilation[0], conv.stride[0])
            if rest_y or not y0 <= o_y < y1:
                continue
            for k_x in range(conv.weight.shape[3]):
                o_x, rest_x = divmod(x + conv.padding[1] - k_x * conv.dilation[1], conv.stride[1])
                if rest_x or not x0 <= o_x < x1:
                    continue
                weight = kernel.weight[outs - c0, channel % per_in, k_y, k_x].astype(np.int64)
                index = ((outs - c0) * (y1 - y0) + o_y - y0) * (x1 - x0) + o_x - x0
                self._add(step, weight, np.zeros_like(weight), index)

    def update(self, step: int) -> Array:
        """One step of all neurons; positions of those that fire."""
        up, down = (part.astype(F) for part in self.sums[step % len(self.sums)])
        self.sums[step % len(self.sums)] = 0
        p, own, state = self.population, self.element.neurons, self.state
        v = p.alpha[own] * state["v"]
        if p.exc_decay is None or p.inh_decay is None:
            v = v + (up + down) + p.i_offset[own]
        else:
            state["ie"] = state["ie"] * p.exc_decay[own] + up
            state["ii"] = state["ii"] * p.inh_decay[own] + down
            v = v + state["ie"] + state["ii"] + p.i_offset[own]
        fired = np.zeros(len(own), bool) if p.threshold is None else v >= p.threshold[own]
        if p.threshold is not None:
            after = v - p.threshold[own] if p.reset == "subtract" else p.v_reset[own]
            v = np.where(fired, after, v)
        state["v"] = v
        return np.flatnonzero(fired)


def destinations(program: Program) -> dict[int, list[int]]:
    """The numbers of the elements to which the routing tables deliver each key."""
    keys = np.concatenate([e.key + np.arange(e.n) for e in program.elements]).astype(np.uint32)
    starts = [e.chip for e in program.elements for _ in range(e.n)]
    arrived = deliver(program.tables, keys, starts)
    number = {(e.chip, e.pe): e.number for e in program.elements}
    found: dict[int, list[int]] = {int(key): [] for key in keys}
    for where, keys_there in arrived.items():
        for key in keys_there:
            found[int(key)].append(number[where])
    return found


def run_sample(
    program: Program, given: Array, to: Mapping[int, list[int]], probes: list[tuple[str, str]]
) -> tuple[dict[str, Array], dict[tuple[str, str], Array]]:
    """One sample, [step, n] counts of the input: spikes [step, n] and states [step, n].

    `to`: what `destinations` found.
    """
    network, steps = program.network, len(given)
    cores = {
        e.number: Core(e, network.population(e.population))
        for e in program.elements
        if e.population != network.input.name
    }
    players = [e for e in program.elements if e.population == network.input.name]
    sizes = {p.name: p.n for p in network.populations}
    spikes = {name: np.zeros((steps, n), dtype=np.uint8) for name, n in sizes.items()}
    states = {probe: np.zeros((steps, sizes[probe[0]]), dtype=F) for probe in probes}
    for t in range(steps):
        sent: list[int] = []
        for e in players:
            counts = given[t, e.neurons]
            sent += np.repeat(e.key + np.arange(e.n), counts).tolist()
        for core in cores.values():
            fired = core.update(t)
            own = core.element.neurons
            spikes[core.population.name][t, own[fired]] = 1
            sent += (core.element.key + fired).tolist()
            for name, variable in probes:
                if name == core.population.name:
                    states[name, variable][t, own] = core.state[variable]
        for key in sent:
            for number in to[key]:
                cores[number].receive(t, key, network)
    return spikes, states


def interpret(program: Program, spikes: Spikes, *, probes: Sequence[tuple[str, str]] = ()) -> Trace:
    """What the program's tables make of `spikes`, drained as every run is."""
    longer = spikes.window(0, spikes.steps + program.drain)
    given = longer.dense().reshape(longer.batch, longer.steps, longer.n)
    to = destinations(program)
    found = [run_sample(program, sample, to, list(probes)) for sample in given]
    fired, shapes = {}, {p.name: p.shape for p in program.network.populations}
    for name, fires in program.fires.items():
        if fires:
            dense = np.stack([sent[name] for sent, _ in found])
            fired[name] = Spikes.from_dense(dense.reshape(*dense.shape[:2], *shapes[name]))
    states = {probe: np.stack([seen[probe] for _, seen in found]) for probe in probes}
    return Trace(fired, states, lag=dict(program.lag))
