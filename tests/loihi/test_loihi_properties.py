"""The whole line on random graphs: to Loihi, onto cores, and emulated as the definition says."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from snnstack.backends.loihi import emit, load, reference
from snnstack.backends.loihi.proof import may_wrap
from snnstack.board import load_board
from snnstack.compilers.loihi import compile
from snnstack.emulators.loihi import emulate
from snnstack.errors import DataError, ModelError
from snnstack.integers import quantise_for
from snnstack.ir.graph import Graph
from snnstack.ir.matrix import matrix, pool_matrix
from snnstack.ir.step import size
from snnstack.reference import run_quantized
from snnstack.report.equality import compare
from snnstack.report.readout import aligned
from tests.conformance.networks import accepted, events, spiking_graphs, steps_of

BOARDS = [load_board("loihi1"), load_board("oheo-gulch")]
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


@settings(max_examples=30, suppress_health_check=SLOW)
@given(spiking_graphs(), st.integers(0, 99), st.sampled_from(BOARDS))
def test_the_emulator_equals_the_definition_from_graph_to_chip(
    graph: Graph, seed: int, board: Any
) -> None:
    steps = steps_of(accepted(graph, board))
    try:
        network = quantise_for(steps, board, None)
        program = load(emit(compile(network, board)))
    except ModelError:
        assume(False)
    spikes = events(steps.inputs[0], seed, batch=2, steps=12)
    try:
        trace = emulate(program, spikes, probes=program.variables)
    except DataError:
        assert spikes.counts is not None and program.input_count == 1
        assert may_wrap(program.network, int(spikes.counts.max()))
        return
    expected = reference(program, network, spikes, program.variables)
    assert compare(trace, expected, "definition").differences == ()
    check_counts(program, trace, spikes)
    # where the chip can do what the integer network does, it does: loops are long enough
    rounded = {"late_steps", "constants_rounded"} & set(program.settings)
    if not rounded:
        found = aligned(trace, spikes.steps)
        same = run_quantized(network, spikes)
        for name, fired in same.spikes.items():
            np.testing.assert_array_equal(found.spikes[name].dense(), fired.dense(), err_msg=name)


def check_counts(program: Any, trace: Any, spikes: Any) -> None:
    """Populations and cores, counted synapse by synapse and spike by spike."""
    network, steps = program.network, spikes.steps + program.drain
    sent = {name: s.per_neuron() for name, s in trace.spikes.items()}
    sent[network.input.name] = spikes.per_neuron()
    total: Counter[str] = Counter()
    for p in network.populations:
        core = program.placement[p.name].core
        for number in np.unique(core):
            total[f"core {number}", "updates"] += steps * int((core == number).sum())  # type: ignore[index]
        reached = np.zeros((spikes.batch, p.n), dtype=np.int64)
        for c in network.into(p.name):
            rows = (matrix(c.synapses, p.n) != 0).astype(np.int64)
            if c.pool is not None:
                rows = rows @ pool_matrix(c.pool).astype(np.int64)
            source = sent.get(c.source, np.zeros((spikes.batch, rows.shape[1]), dtype=np.int64))
            reached += (rows @ source.T).T
        counts = trace.counts[p.name]
        np.testing.assert_array_equal(counts.synops, reached.sum(axis=1), err_msg=p.name)
        for number in np.unique(core):
            total[f"core {number}", "synops"] += int(reached[:, core == number].sum())  # type: ignore[index]
        assert size(p.shape) * steps == counts.updates[0]
    for (name, key), value in total.items():
        found = getattr(trace.counts[name], key)
        assert int(found.sum() if key == "synops" else found[0]) == value, (name, key)
        assert (trace.counts[name].other["barrier_steps"] == steps).all()
