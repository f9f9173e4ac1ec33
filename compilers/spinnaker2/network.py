"""From the quantised network to chip units: applications, delays and lags."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from snnstack.backends.spinnaker2.network import (
    Application,
    ChipInput,
    ChipNetwork,
    ChipPopulation,
    Connection,
)
from snnstack.backends.spinnaker2.words import weight_limit
from snnstack.ir.matrix import from_matrix, matrix
from snnstack.ir.nodes import Array
from snnstack.ir.step import Conv, Dense, Projection, Sparse
from snnstack.mapping.retime import Timing, retime
from snnstack.quant.network import QuantizedNetwork, QuantizedPopulation

LEAST_MEMORY = 1e-3
"""Below it nothing of where v started is left when input arrives."""
LEAST_LOSS = 1e-12
"""A current that never decays has no value to settle at."""
BELOW = 0.9
"""Of the threshold: v never starts closer to it."""


def chip_network(network: QuantizedNetwork) -> ChipNetwork:
    """`network` in chip units; its rules hold. Settings say which loops come later than meant."""
    port = network.inputs[0]
    names = [p.name for p in network.populations]
    timing = retime([port.name], names, network.projections)
    limits = network.settings.get("largest_weight")
    connections = tuple(
        c
        for p, delay in zip(network.projections, timing.delay, strict=True)
        for c in _connections(p, delay, limits[p.target] if isinstance(limits, Mapping) else None)
    )
    fitted = network.settings.get("granularity") != "import"
    populations = tuple(
        _population(
            p,
            application(p, [c for c in connections if c.target == p.name]),
            start_of(p, timing.lag[p.name]) if fitted else None,
        )
        for p in network.populations
    )
    return ChipNetwork(
        input=ChipInput(port.name, port.shape),
        populations=populations,
        connections=connections,
        outputs=network.outputs,
        lag=timing.lag,
        settings=_late(network.projections, timing),
    )


def _connections(p: Projection, delay: int, most: int | None) -> Iterator[Connection]:
    """One connection, or several whose weights, none above `most`, add up to the projection's."""
    synapses, wide = p.synapses, weight_limit("lif_no_delay")
    most = wide if most is None or most > weight_limit("lif") else most
    while int(np.abs(synapses.weight).max(initial=0)) > most:
        now = np.clip(synapses.weight, -most, most)
        yield Connection(p.source, p.target, replace(synapses, weight=now), delay, p.pool)
        rest = replace(synapses, weight=synapses.weight - now)
        synapses = rest if isinstance(rest, Conv) else from_matrix(matrix(rest, _targets(rest)))
    yield Connection(p.source, p.target, synapses, delay, p.pool)


def _targets(synapses: Dense | Sparse) -> int:
    if isinstance(synapses, Dense):
        return len(synapses.weight)
    return int(synapses.target.max(initial=-1)) + 1


def application(p: QuantizedPopulation, into: Sequence[Connection]) -> Application:
    """The neuron application for a population with these connections.

    With delays only where one is needed and 4-bit weights hold everything: otherwise relays
    make the delays. Kernels are shared where py-spinnaker2's convolution can do it.
    """
    largest = max((int(np.abs(c.synapses.weight).max(initial=0)) for c in into), default=0)
    field = any(c.delay for c in into) and largest <= weight_limit("lif")
    if p.beta is not None:
        return "lif_curr_exp" if field else "lif_curr_exp_no_delay"
    if into and all(_is_kernel(c) for c in into):
        return "lif_conv2d"
    return "lif" if field else "lif_no_delay"


def _is_kernel(c: Connection) -> bool:
    """Whether a `Conv2DProjection` can say it: no delay, groups or dilation, pools side by side."""
    conv, pool = c.synapses, c.pool
    if not isinstance(conv, Conv) or c.delay:
        return False
    plain = conv.groups == 1 and conv.dilation == (1, 1)
    return plain and (pool is None or (pool.kernel == pool.stride and pool.padding == (0, 0)))


def settled(p: QuantizedPopulation) -> Array:
    """What constant input adds to v in every step, once a current has taken it up: float64."""
    if p.beta is None:
        return np.asarray(p.bias + p.leak)
    return np.asarray(p.leak + p.bias / np.maximum(1.0 - p.beta, LEAST_LOSS))


def start_of(p: QuantizedPopulation, lag: int) -> Array | None:
    """What v starts with so that constant input acts as if it began with the first spikes.

    The chip's `i_offset` acts from the first step on, but input reaches the population `lag`
    steps later; and it acts on v at once, where the model's bias first has to build up the
    current. v starts at the value from which it comes, `lag` steps later, to that of least
    squared error: 0, or behind a current -b beta / (alpha (1 - alpha beta)), b = bias / (1 - beta).
    """
    alpha, offset = p.alpha, settled(p)
    if not offset.any():
        return None
    held = alpha**lag
    keeps = held > LEAST_MEMORY
    one = np.where(alpha < 1, alpha, 0.0)
    gathered = np.where(alpha < 1, offset * (1 - one**lag) / (1 - one), offset * lag)
    beta = np.zeros(p.n) if p.beta is None else p.beta
    meant = -(offset - p.leak) * beta / np.maximum(alpha * (1 - alpha * beta), LEAST_MEMORY)
    start = np.where(keeps, (meant - gathered) / np.where(keeps, held, 1.0), 0.0)
    if p.threshold is not None:
        start = np.minimum(start, BELOW * p.threshold)
    return start.astype(np.float32)


def _population(
    p: QuantizedPopulation, application: Application, start: Array | None
) -> ChipPopulation:
    return ChipPopulation(
        name=p.name,
        shape=p.shape,
        application=application,
        alpha=p.alpha.astype(np.float32),
        i_offset=settled(p).astype(np.float32),
        threshold=None if p.threshold is None else p.threshold.astype(np.float32),
        v_reset=p.v_reset.astype(np.float32),
        exc_decay=None if p.beta is None else p.beta.astype(np.float32),
        inh_decay=None if p.beta is None else p.beta.astype(np.float32),
        reset="subtract" if p.reset == "subtract" else "v_reset",
        v_init=start,
    )


def _late(projections: Sequence[Projection], timing: Timing) -> dict[str, Any]:
    late = {str(p): k for p, k in zip(projections, timing.late, strict=True) if k}
    return {"late_steps": late} if late else {}
