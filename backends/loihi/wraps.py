"""Currents that wrap in a run: counted where no proof says that they cannot.

u is a register of 24 bits. From what it was, what arrived and what it is the number of times it
was wrapped follows, since what was lost is a multiple of 2^24.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack.backends.loihi.network import ChipNetwork, Cuba
from snnstack.backends.loihi.program import Program
from snnstack.backends.loihi.registers import WEIGHT_SHIFT
from snnstack.ir.matrix import matrix, pool_matrix
from snnstack.report.clipping import Clipped
from snnstack.trace import Spikes

KEY, UPDATES = "current_wraps", "current_updates"
"""Of a population's counts: updates of u that wrapped, and all of them."""
REMEDY = "--calibrate on data as busy as this, so that the scale leaves room"
SLOTS = 2**24
"""(sample, step, neuron) slots that are looked at a time."""


def unproven(program: Program) -> tuple[str, ...]:
    """The populations whose registers say that a wrap is only not expected."""
    if program.input_count is None:
        return ()
    registers = program.settings.get("registers", {})
    fit = {p.name for p in program.network.populations if isinstance(p, Cuba)}
    return tuple(n for n, r in registers.items() if n in fit and r.get(KEY) == "not expected")


def wraps(
    network: ChipNetwork, name: str, sent: Mapping[str, Spikes], u: NDArray[Any]
) -> NDArray[np.int64]:
    """[sample]: updates of `name` that wrapped, from its `u` [sample, step, n] and all spikes."""
    batch, steps, n = u.shape
    found = np.zeros(batch, dtype=np.int64)
    if not u.size:
        return found
    kept = 4096 - network.population(name).i_decay  # type: ignore[union-attr]
    size = max(1, SLOTS // (steps * n))
    weights = [_weights(c, n) for c in network.into(name)]
    for first in range(0, batch, size):
        own = u[first : first + size].astype(np.float64)
        expected = np.zeros_like(own)
        expected[:, 1:] = np.trunc(own[:, :-1] * kept / 4096)
        for c, weight in zip(network.into(name), weights, strict=True):
            late = 1 + c.delay
            if late < steps:
                arrived = _events(sent[c.source].samples(first, first + len(own))) @ weight
                shaped = np.asarray(arrived).reshape(len(own), steps, n)
                expected[:, late:] += shaped[:, : steps - late]
        lost = np.rint((expected - own) / 2**24)
        found[first : first + len(own)] = np.count_nonzero(lost, axis=(1, 2))
    return found


def _weights(connection: Any, n: int) -> NDArray[np.float64]:
    """[source, target] as it reaches u."""
    found = matrix(connection.synapses, n)
    if connection.pool is not None:
        found = found @ pool_matrix(connection.pool)
    return np.asarray(found.T.toarray(), dtype=np.float64) * (1 << WEIGHT_SHIFT)


def _events(spikes: Spikes) -> Any:
    """[sample times step, element], sparse."""
    from scipy.sparse import csr_array

    counts = np.ones(len(spikes.indices)) if spikes.counts is None else spikes.counts
    rows = spikes.batch * spikes.steps
    content = (np.asarray(counts, np.float64), spikes.indices, spikes.indptr)
    return csr_array(content, shape=(rows, spikes.n))


def clipped(program: Program, rows: Mapping[str, Mapping[str, int]]) -> Iterator[Clipped]:
    """Every population of which a current wrapped, from sums of a run's counts."""
    for name, row in rows.items():
        if row.get(KEY):
            where = f"{name}: current"
            yield Clipped(where, row[KEY], row[UPDATES], REMEDY, "updates wrapped at 24 bits", 0.0)
