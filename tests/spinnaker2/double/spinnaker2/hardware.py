"""Machines: the network they are given is put together again and run on the definition."""

from __future__ import annotations

import ipaddress
from typing import Any

import numpy as np

from snnstack.backends.spinnaker2.network import (
    ChipInput,
    ChipNetwork,
    ChipPopulation,
    Connection,
)
from snnstack.emulators.spinnaker2 import emulate_network
from snnstack.ir.matrix import from_matrix
from snnstack.ir.step import Conv
from snnstack.trace import Spikes
from spinnaker2.snn import Conv2DProjection, Network, Population


class _Machine:
    elements = 148

    def __init__(self, address: str) -> None:
        ipaddress.ip_address(address)

    def run(
        self, net: Network, timesteps: int, sys_tick_in_s: float = 1e-3, mapping_only: bool = False
    ) -> None:
        assert net.fresh, "the states of the last run are still there: net.reset()"
        assert timesteps > 0 and sys_tick_in_s > 0
        used = sum(-(-p.size // p.atoms) for p in net.populations)
        assert used <= self.elements, f"{used} processing elements"
        net.fresh = False
        (stimulus,) = [p for p in net.populations if p.neuron_model == "spike_list"]
        stimulus.check_list()
        network = _network(net, stimulus)
        dense = np.zeros((1, timesteps, stimulus.size), np.uint8)
        for neuron, times in stimulus.params.items():
            dense[0, [t for t in times if t < timesteps], neuron] = 1
        trace = emulate_network(network, Spikes.from_dense(dense), ())
        for number, population in enumerate(net.populations):
            if f"p{number}" in trace.spikes:
                fired = trace.spikes[f"p{number}"].dense()[0]
                population.spikes = {
                    int(n): np.flatnonzero(fired[:, n]).tolist()
                    for n in np.flatnonzero(fired.any(axis=0))
                }


class SpiNNaker2Chip(_Machine):
    def __init__(self, eth_ip: str) -> None:
        super().__init__(eth_ip)


class SpiNNcloud48NodeBoard(_Machine):
    elements = 48 * 148

    def __init__(self, stm_ip: str) -> None:
        super().__init__(stm_ip)


def _network(net: Network, stimulus: Population) -> ChipNetwork:
    names = {id(p): f"p{k}" for k, p in enumerate(net.populations)}
    populations = tuple(_population(p, names[id(p)]) for p in net.populations if p is not stimulus)
    connections = []
    for projection in net.projections:
        source, target = names[id(projection.pre)], names[id(projection.post)]
        if isinstance(projection, Conv2DProjection):
            connections.append(Connection(source, target, _conv(projection)))
            continue
        table = np.array(projection.connections, np.int64).reshape(-1, 4)
        for delay in np.unique(table[:, 3]):
            connections += _lists(source, target, projection, table[table[:, 3] == delay])
    first = ChipInput(names[id(stimulus)], (stimulus.size,))
    return ChipNetwork(first, populations, tuple(connections), (populations[-1].name,))


def _lists(source: str, target: str, projection: Any, table: Any) -> list[Connection]:
    """Synapses of one delay; of one sign each, so that no sum of two signs hides anything."""
    import scipy.sparse as sp

    found = []
    for sign in (1, -1):
        part = table[np.sign(table[:, 2]) == sign]
        if len(part):
            shape = (projection.post.size, projection.pre.size)
            weights = sp.coo_matrix((part[:, 2], (part[:, 1], part[:, 0])), shape=shape)
            found.append(Connection(source, target, from_matrix(weights), int(part[0, 3])))
    return found


def _population(p: Population, name: str) -> ChipPopulation:
    def value(key: str) -> Any:
        return np.broadcast_to(p.params[key], p.size).astype(np.float32)

    current = "exc_decay" in p.params
    return ChipPopulation(
        name,
        (p.size,),
        "lif_no_delay" if p.neuron_model == "lif_conv2d" else p.neuron_model,
        value("alpha_decay"),
        value("i_offset"),
        value("threshold"),
        value("v_reset"),
        value("exc_decay") if current else None,
        value("inh_decay") if current else None,
        "subtract" if p.params["reset"] == "reset_by_subtraction" else "v_reset",
        value("v_init"),
    )


def _conv(projection: Conv2DProjection) -> Any:
    """As a list of synapses: the shapes of the two populations are flat here."""
    from snnstack.ir.matrix import conv_matrix

    given, weight = projection.params, projection.weights.swapaxes(0, 1).astype(np.int64)
    assert (given["pool_x"], given["pool_y"]) == (1, 1)
    inside = (weight.shape[1], given["in_height"], given["in_width"])
    sides = (("in_height", "pad_top", "pad_bottom", "stride_y"),
             ("in_width", "pad_left", "pad_right", "stride_x"))  # fmt: skip
    out = [
        (given[length] + given[before] + given[after] - weight.shape[2 + a]) // given[stride] + 1
        for a, (length, before, after, stride) in enumerate(sides)
    ]
    shape = (weight.shape[0], out[0], out[1])
    assert projection.post.size == np.prod(shape)
    conv = Conv(weight, inside, shape, (given["stride_y"], given["stride_x"]),
                (given["pad_top"], given["pad_left"]), (1, 1), 1)  # fmt: skip
    return from_matrix(conv_matrix(conv))
