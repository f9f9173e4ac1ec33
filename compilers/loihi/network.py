"""From the integer network to chip units: registers, connections by sign, delays and lags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from snnstack.backends.loihi.formats import Format, parts
from snnstack.backends.loihi.limits import Limits
from snnstack.backends.loihi.network import ChipInput, ChipNetwork, Connection, Cuba
from snnstack.backends.loihi.registers import DECAY_ONE
from snnstack.compilers.loihi.constants import NAME, free_name, needs_current, sources
from snnstack.compilers.loihi.lead import Constant, begin_late
from snnstack.compilers.loihi.programmed import programmed
from snnstack.ir.nodes import Array
from snnstack.ir.step import Dense, Projection, Sparse, Synapses
from snnstack.mapping.retime import Timing, retime
from snnstack.quant.network import QuantizedNetwork, QuantizedPopulation


def chip_network(network: QuantizedNetwork, limits: Limits) -> ChipNetwork:
    """`network` in chip units; its rules hold. Settings say which loops come later than meant."""
    port = network.inputs[0]
    timing = _timing(network)
    connections = [
        c
        for p, delay in zip(network.projections, timing.delay, strict=False)
        for c in _connections(p, delay)
    ]
    plain = {p.name: _cuba(p) for p in network.populations if p.is_lif}
    begun = {name: _begun(p, timing.lag[name]) for name, p in plain.items()}
    populations = tuple(
        _with_constant(plain[p.name], begun[p.name])
        if p.is_lif
        else programmed(p, timing.lag[p.name])
        for p in network.populations
    )
    extra = sources(network, begun, timing.lag)
    return ChipNetwork(
        generation=limits.generation,
        input=ChipInput(port.name, port.shape, port.events == "value"),
        populations=(*extra.populations, *populations),
        connections=(*connections, *extra.connections),
        outputs=network.outputs,
        lag={**{p.name: 0 for p in extra.populations}, **timing.lag},
        settings={**_late(network, timing), **_moved(begun)},
    )


def _timing(network: QuantizedNetwork) -> Timing:
    """Of all projections, and of a constant into every current, which takes a hop as well."""
    names, port = [p.name for p in network.populations], network.inputs[0].name
    constant, nothing = free_name(NAME, {port, *names}), Dense(np.zeros((0, 0)))
    currents = [p.name for p in network.populations if needs_current(p)]
    driven = [Projection(constant, name, nothing) for name in currents]
    return retime([port, constant], names, [*network.projections, *driven])


def _begun(p: Cuba, lag: int) -> Constant:
    return begin_late(p.bias, DECAY_ONE - p.v_decay, DECAY_ONE - p.i_decay, p.threshold, lag)


def _with_constant(p: Cuba, constant: Constant) -> Cuba:
    v_init = constant.v_init if constant.v_init.any() else None
    return replace(p, bias=constant.bias, v_init=v_init)


def _moved(begun: Mapping[str, Constant]) -> dict[str, Any]:
    """How many neurons get their membrane constant through synapses; those not bit for bit."""
    by_synapse = {k: int(np.count_nonzero(c.every | c.first)) for k, c in begun.items()}
    inexact = {k: int(np.count_nonzero(~c.exact)) for k, c in begun.items()}
    found = {"constants_by_synapse": by_synapse, "constants_rounded": inexact}
    kept = {key: {k: n for k, n in counts.items() if n} for key, counts in found.items()}
    return {key: counts for key, counts in kept.items() if counts}


def _late(network: QuantizedNetwork, timing: Timing) -> dict[str, Any]:
    late = {
        str(p): steps for p, steps in zip(network.projections, timing.late, strict=False) if steps
    }
    return {"late_steps": late} if late else {}


def _cuba(p: QuantizedPopulation) -> Cuba:
    """A population without synaptic current forgets it within the step: i_decay is 4096."""
    beta = np.zeros(p.n, dtype=np.int64) if p.beta is None else p.beta
    threshold = p.threshold
    if threshold is not None and p.compare == "ge":
        threshold = threshold - 1
    return Cuba(
        name=p.name,
        shape=p.shape,
        i_decay=DECAY_ONE - beta,
        v_decay=DECAY_ONE - p.alpha,
        bias=p.leak + (p.bias if p.beta is None else 0),
        threshold=threshold,
        reset="subtract" if p.reset == "subtract" else "zero",
        refractory=p.refractory + 1,
    )


def _connections(projection: Projection, delay: int) -> list[Connection]:
    found = parts(projection.synapses.weight)
    assert found is not None  # rules: weights_fit_a_format
    return [_connection(projection, delay, weight, format) for weight, format in found]


def _connection(projection: Projection, delay: int, weight: Array, format: Format) -> Connection:
    return Connection(
        source=projection.source,
        target=projection.target,
        synapses=_with(projection.synapses, weight),
        delay=delay,
        pool=projection.pool,
        exponent=format.exponent,
        signs=format.signs,
        port=projection.port,
    )


def _with(synapses: Synapses, weight: Array) -> Synapses:
    """The synapses with other weights; of a list, those that are not zero."""
    if not isinstance(synapses, Sparse):
        return replace(synapses, weight=weight)
    kept = weight != 0
    before = np.concatenate([[0], np.cumsum(kept)])
    return Sparse(before[synapses.indptr], synapses.target[kept], weight[kept])
