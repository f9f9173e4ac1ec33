"""Stands for the maker's simulator: one sample, one step, one neuron at a time, plain integers."""

import numpy as np

from snnstack.ir.matrix import matrix, pool_matrix
from snnstack.trace import Counts, Spikes, Trace


def run(program, spikes, *, probes=(), progress=None):
    """Every neuron of every step of every sample, from the network's matrices."""
    network = program.network
    wires = {p.name: [_wire(w, p.n) for w in network.into(p.name)] for p in network.populations}
    shape = (spikes.batch, spikes.steps)
    seen = {network.inputs[0].name: spikes.dense().reshape(*shape, -1).astype(np.int64)}
    seen |= {p.name: np.zeros((*shape, p.n), np.int64) for p in network.populations}
    states = {probe: np.zeros_like(seen[probe[0]]) for probe in probes}
    for sample in range(spikes.batch):
        registers = {p.name: [[0, 0, 0] for _ in range(p.n)] for p in network.populations}
        for step in range(spikes.steps):
            for p in network.populations:
                total = np.zeros(p.n, np.int64)
                for source, delay, weight in wires[p.name]:
                    if step >= delay:
                        total += weight @ seen[source][sample, step - delay]
                for k, cell in enumerate(registers[p.name]):
                    fired = _update(p, network.numerics, k, cell, int(total[k]))
                    seen[p.name][sample, step, k] = fired
            for name, variable in probes:
                column = "vi".index(variable)
                states[name, variable][sample, step] = [c[column] for c in registers[name]]
        if progress is not None:
            progress(sample + 1, spikes.batch)
    fired = {
        p.name: Spikes.from_dense(seen[p.name].astype(np.uint8).reshape(*shape, *p.shape))
        for p in network.populations
        if p.threshold is not None
    }
    counts = {p.name: _counts(p, wires, seen, fired) for p in network.populations}
    return Trace(fired, states, counts)


def _wire(projection, n):
    weight = matrix(projection.synapses, n)
    if projection.pool is not None:
        weight = weight @ pool_matrix(projection.pool)
    return projection.source, projection.delay, weight.astype(np.int64)


def _update(p, numerics, k, cell, total):
    v, i, wait = cell
    x = total * 2**p.shift + int(p.bias[k])
    if p.beta is not None:
        x = i = _clip(_decay(i, int(p.beta[k]), numerics) + x, numerics.current_max)
    new = _clip(_decay(v, int(p.alpha[k]), numerics) + x + int(p.leak[k]), numerics.state_max)
    if p.threshold is None:
        cell[:] = new, i, 0
        return new
    if wait:
        cell[:] = v, i, wait - 1
        return 0
    threshold = int(p.threshold[k])
    fires = new > threshold or (new == threshold and p.compare == "ge")
    if fires:
        new = new - threshold if p.reset == "subtract" else int(p.v_reset[k])
    cell[:] = new, i, p.refractory if fires else 0
    return int(fires)


def _decay(value, factor, numerics):
    size = abs(value) * factor >> numerics.decay_bits
    return size if value >= 0 else -size


def _clip(value, limit):
    return max(-limit, min(limit, value))


def _counts(p, wires, seen, fired):
    batch, steps, _ = seen[p.name].shape
    synops = np.zeros(batch, np.int64)
    for source, delay, weight in wires[p.name]:
        fan_out = np.diff(weight.tocsc().indptr)
        synops += (seen[source][:, : max(steps - delay, 0)] @ fan_out).sum(axis=1)
    spikes = fired[p.name].per_neuron().sum(axis=1) if p.name in fired else np.zeros(batch, int)
    return Counts(synops, np.full(batch, p.n * steps), spikes)
