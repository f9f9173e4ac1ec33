"""From the integer network to chip units: applications, delays by relays, folded pools."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from snnstack.backends.spinnaker2.network import (
    MAX_DELAY,
    Application,
    ChipInput,
    ChipNetwork,
    ChipPopulation,
    Connection,
)
from snnstack.backends.spinnaker2.rules import convolves, needs_delays
from snnstack.ir.matrix import diagonal, from_matrix, matrix, pool_matrix
from snnstack.ir.nodes import Array, Shape
from snnstack.ir.step import Conv, Dense, Projection, Sparse, Synapses, size
from snnstack.mapping.retime import Timing, retime
from snnstack.quant.network import QuantizedNetwork, QuantizedPopulation

HOP = MAX_DELAY + 1
"""Steps that one relay can hold a spike: the delay field's most, and the hop itself."""


def chip_network(network: QuantizedNetwork) -> ChipNetwork:
    """`network` in chip units; its rules hold.

    Settings: "relays" {name: neurons}, and "late_steps" of loops that cannot be kept.
    """
    port = network.inputs[0]
    names = [p.name for p in network.populations]
    timing = retime([port.name], names, network.projections)
    delayed = needs_delays(network)
    shapes = {port.name: port.shape, **{p.name: p.shape for p in network.populations}}
    relays = _Relays(shapes, {port.name: 0, **timing.lag})
    connections = []
    for p, delay in zip(network.projections, timing.delay, strict=True):
        kept = delay % HOP if p.target in delayed else 0
        source = relays.after(p.source, delay - kept)
        connections.append(_connection(network, p, source, kept))
    return ChipNetwork(
        input=ChipInput(port.name, port.shape),
        populations=(
            *relays.populations,
            *(_population(network, p, p.name in delayed) for p in network.populations),
        ),
        connections=(*relays.connections, *connections),
        outputs=network.outputs,
        lag={p.name: relays.lag[p.name] for p in (*relays.populations, *network.populations)},
        settings=_settings(network, timing, relays.populations),
    )


def _settings(
    network: QuantizedNetwork, timing: Timing, relays: Iterable[ChipPopulation]
) -> dict[str, Any]:
    late = {
        str(p): steps for p, steps in zip(network.projections, timing.late, strict=True) if steps
    }
    found: dict[str, Any] = {"relays": {p.name: p.n for p in relays}, "late_steps": late}
    return {name: values for name, values in found.items() if values}


class _Relays:
    """Copies of sources some steps later, made once each: a chain of at most 8 steps a link."""

    def __init__(self, shapes: Mapping[str, Shape], lag: Mapping[str, int]) -> None:
        self.shapes = dict(shapes)
        self.lag = dict(lag)
        self.populations: list[ChipPopulation] = []
        self.connections: list[Connection] = []

    def after(self, source: str, steps: int) -> str:
        """The name of the population that repeats `source` `steps` later."""
        if steps == 0:
            return source
        name = f"{source}_after_{steps}"
        if name not in self.shapes:
            before = (steps - 1) // HOP * HOP
            previous = self.after(source, before)
            self._make(name, previous, steps - before - 1, self.shapes[source])
            self.lag[name] = self.lag[source] + steps
        return name

    def _make(self, name: str, source: str, delay: int, shape: Shape) -> None:
        """Neurons that fire whenever their one synapse, of weight 1, brings a spike."""
        n = size(shape)
        zeros, ones = np.zeros(n, dtype=np.float32), np.ones(n, dtype=np.float32)
        self.shapes[name] = shape
        application: Application = "lif" if delay else "lif_no_delay"
        self.populations.append(ChipPopulation(name, shape, application, zeros, zeros, ones, zeros))
        synapses = diagonal(np.ones(n, dtype=np.int64))
        self.connections.append(Connection(source, name, synapses, delay))


def _population(network: QuantizedNetwork, p: QuantizedPopulation, delayed: bool) -> ChipPopulation:
    decay = None if p.beta is None else p.beta.astype(np.float32)
    return ChipPopulation(
        name=p.name,
        shape=p.shape,
        application=_application(network, p, delayed),
        alpha=p.alpha.astype(np.float32),
        i_offset=p.leak.astype(np.float32),
        threshold=None if p.threshold is None else p.threshold.astype(np.float32),
        v_reset=p.v_reset.astype(np.float32),
        exc_decay=decay,
        inh_decay=decay,
        reset="subtract" if p.reset == "subtract" else "v_reset",
    )


def _application(network: QuantizedNetwork, p: QuantizedPopulation, delayed: bool) -> Application:
    if convolves(network, p.name):
        return "lif_conv2d"
    if p.beta is None:
        return "lif" if delayed else "lif_no_delay"
    return "lif_curr_exp" if delayed else "lif_curr_exp_no_delay"


def _connection(network: QuantizedNetwork, p: Projection, source: str, delay: int) -> Connection:
    target = network.population(p.target)
    if convolves(network, p.target):
        assert isinstance(p.synapses, Conv)
        return Connection(source, p.target, ungrouped(p.synapses), delay, p.pool)
    return Connection(source, p.target, _listed(p, target.n), delay)


def _listed(p: Projection, targets: int) -> Synapses:
    """Synapses before the pool, without those of weight 0: a spike takes time for each."""
    weights = p.synapses
    if p.pool is None and isinstance(weights, Dense) and weights.weight.all():
        return weights
    if p.pool is None and isinstance(weights, Sparse) and weights.weight.all():
        return weights
    product = matrix(weights, targets)
    if p.pool is not None:
        product = product @ pool_matrix(p.pool).astype(np.int64)
    return from_matrix(product.astype(np.int64))


def ungrouped(conv: Conv) -> Conv:
    """The same convolution with one group and no dilation, which is all the chip's program has.

    Kernels are filled with zeros where nothing was.
    """
    if conv.groups == 1 and conv.dilation == (1, 1):
        return conv
    c_out, c_in, ky, kx = conv.weight.shape
    (dy, dx), per_group = conv.dilation, c_out // conv.groups
    tall, wide = (ky - 1) * dy + 1, (kx - 1) * dx + 1
    weight: Array = np.zeros((c_out, c_in * conv.groups, tall, wide), dtype=conv.weight.dtype)
    for g in range(conv.groups):
        rows, columns = slice(g * per_group, (g + 1) * per_group), slice(g * c_in, (g + 1) * c_in)
        weight[rows, columns, ::dy, ::dx] = conv.weight[rows]
    return replace(conv, weight=weight, dilation=(1, 1), groups=1)
