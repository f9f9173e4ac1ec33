"""Energy and latency on Loihi: counted events, hops and time steps times a board's coefficients.

E = synops + updates (active, inactive) + messages + hops + input + P_idle T + P_running T_active
T_active = steps (barrier + host) + time of the busiest core

An update of a neuron with a program of its own counts as many as it has instructions, in those of
the fixed compartment (`snnstack.backends.loihi.legal`, assumed).
"""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from snnstack.backends.loihi.network import Connection
from snnstack.backends.loihi.program import Program
from snnstack.backends.loihi.programmed import update_weights
from snnstack.energy.model import Band, Component, Energy, Factor, Term
from snnstack.energy.performance import Performance
from snnstack.energy.price import factor, microjoules
from snnstack.energy.price import price as priced
from snnstack.errors import TargetError, fail
from snnstack.ir.step import Conv, Dense
from snnstack.trace import Counts, Trace

KINDS = ("dense", "sparse", "conv")
CORE = "core "
"""How the counts of a core are called: "core 3"."""


def price(program: Program, trace: Trace, period_s: float | None = None) -> Performance:
    """Of one inference, from the counts of an emulation.

    `period_s`: an inference comes every so many seconds, the chips idle in between; None: one
    after the other. Raises TargetError if `trace` holds no counts.
    """
    counts = _per_inference(program, trace)
    chips = len({core.chip for core in program.cores})
    active = _active_terms(program, counts)
    busy = _seconds(active)
    parts = (*_events(program, counts), _running(program, chips, active))
    energy = Energy(
        (*parts, _idle(program, chips, active, period_s)),
        _notes(busy, period_s),
    )
    samples = len(next(iter(trace.counts.values())).updates)
    return Performance(
        latency=busy,
        energy=energy,
        basis=f"events counted by the emulator over {samples} samples",
        counts=MappingProxyType(counts),
    )


def _events(program: Program, counts: dict[str, float]) -> tuple[Component, ...]:
    """What is paid per event: the name of each component, its count and its coefficient."""
    table = [(f"synapses ({kind})", f"synops_{kind}", f"synop_{kind}_pj") for kind in KINDS]
    table = [row for row in table if counts[row[1]]]
    table += [
        ("active neurons", "active", "update_active_pj"),
        ("inactive neurons", "inactive", "update_inactive_pj"),
        ("messages", "messages", "spike_pj"),
        ("hops east-west", "hops_x", "hop_x_pj"),
        ("hops north-south", "hops_y", "hop_y_pj"),
    ]
    board = program.board
    dynamic = [priced(name, "dynamic", counts[key], factor(board, c)) for name, key, c in table]
    return (*dynamic, priced("input", "io", counts["input_messages"], factor(board, "input_nj")))


def _per_inference(program: Program, trace: Trace) -> dict[str, float]:
    """Mean number of events of one sample."""
    names = [p.name for p in program.network.populations]
    if not any(name in trace.counts for name in names):
        what = "the trace holds no event counts"
        raise fail(TargetError, program.name, what, "price the trace of an emulation")
    found = dict.fromkeys([f"synops_{kind}" for kind in KINDS], 0.0)
    found |= dict.fromkeys(("active", "inactive", "messages", "hops_x", "hops_y"), 0.0)
    weight = update_weights(program.network)
    for name in names:
        counts = trace.counts[name]
        found[f"synops_{_kind(program.network.into(name))}"] += float(counts.synops.mean())
        active = _other(counts, "active")
        found["active"] += active * weight[name]
        found["inactive"] += float(counts.updates.mean()) - active
    for name in (program.network.input.name, *names):
        for key in ("messages", "hops_x", "hops_y"):
            found[key] += _travelled(program, trace, name, key)
    found["input_messages"] = _travelled(program, trace, program.network.input.name, "messages")
    first = program.network.populations[0]
    found["steps"] = float(trace.counts[first.name].updates.mean()) / first.n
    found |= _busiest(program, trace, found)
    return found


def _kind(connections: tuple[Connection, ...]) -> str:
    """What most synapses into a population are."""
    size = dict.fromkeys(KINDS, 0)
    for c in connections:
        match c.synapses:
            case Dense():
                size["dense"] += int(c.synapses.weight.size)
            case Conv() as conv:
                size["conv"] += int(c.synapses.weight.size) * conv.out_shape[1] * conv.out_shape[2]
            case _:
                size["sparse"] += int(c.synapses.weight.size)
    return max(size, key=lambda kind: size[kind])


def _other(counts: Counts, key: str) -> float:
    return float(counts.other[key].mean()) if key in counts.other else 0.0


def _travelled(program: Program, trace: Trace, name: str, key: str) -> float:
    """Messages or hops of a source: as counted, else from its spikes and the placement."""
    counts = trace.counts.get(name)
    if counts is not None and key in counts.other:
        return float(counts.other[key].mean())
    if name not in trace.spikes:
        return 0.0
    each = getattr(program.placement[name], key)
    return float((trace.spikes[name].per_neuron() @ each.astype(np.int64)).mean())


def _busiest(program: Program, trace: Trace, total: dict[str, float]) -> dict[str, float]:
    """Events of the core that needs most time; of an average core, where none was counted."""
    typical = {k: factor(program.board, k).typical for k in ("synop_ns", "update_ns", "message_ns")}
    best: dict[str, float] = {}
    most, more = -1.0, _longer(program, total["steps"])
    for name, counts in trace.counts.items():
        if name.startswith(CORE):
            events = {
                "synop_ns": float(counts.synops.mean()),
                "update_ns": float(counts.updates.mean()) + more.get(name, 0.0),
                "message_ns": _other(counts, "messages") or float(counts.spikes.mean()),
            }
            time = sum(typical[k] * n for k, n in events.items())
            if time > most:
                best, most = events, time
    if not best:
        cores = max(len(program.cores), 1)
        synops = sum(total[f"synops_{kind}"] for kind in KINDS)
        best = {
            "synop_ns": synops / cores,
            "update_ns": (total["active"] + total["inactive"]) / cores,
            "message_ns": total["messages"] / cores,
        }
    return {f"busiest_core_{key.removesuffix('_ns')}s": value for key, value in best.items()}


def _longer(program: Program, steps: float) -> dict[str, float]:
    """By core, what longer programs take on it: in updates of the fixed compartment."""
    found: dict[str, float] = {}
    for name, weight in update_weights(program.network).items():
        if weight != 1.0:
            cores, n = np.unique(program.placement[name].core, return_counts=True)
            for core, neurons in zip(cores.tolist(), n.tolist(), strict=True):
                key = f"{CORE}{core}"
                found[key] = found.get(key, 0.0) + steps * neurons * (weight - 1.0)
    return found


def _active_terms(program: Program, counts: dict[str, float]) -> tuple[tuple[float, Factor], ...]:
    """Seconds as (scale, factor) pairs: they add up to the time that an inference takes."""
    board, steps = program.board, counts["steps"]
    return (
        (steps * 1e-6, factor(board, "barrier_us")),
        (steps * 1e-6, factor(board, "host_us")),
        (counts["busiest_core_synops"] * 1e-9, factor(board, "synop_ns")),
        (counts["busiest_core_updates"] * 1e-9, factor(board, "update_ns")),
        (counts["busiest_core_messages"] * 1e-9, factor(board, "message_ns")),
    )


def _seconds(terms: tuple[tuple[float, Factor], ...]) -> Band:
    low = sum(scale * f.low for scale, f in terms)
    typical = sum(scale * f.typical for scale, f in terms)
    return Band(low, typical, sum(scale * f.high for scale, f in terms))


def _running(program: Program, chips: int, active: tuple[tuple[float, Factor], ...]) -> Component:
    power = factor(program.board, "running_mw")
    unit = chips * microjoules(power)
    return Component("running", "static", tuple(Term(s * unit, (power, f)) for s, f in active))


def _idle(
    program: Program,
    chips: int,
    active: tuple[tuple[float, Factor], ...],
    period_s: float | None,
) -> Component:
    power = factor(program.board, "idle_mw")
    unit = chips * microjoules(power)
    if period_s is not None:
        return Component("idle", "static", (Term(period_s * unit, (power,)),))
    return Component("idle", "static", tuple(Term(s * unit, (power, f)) for s, f in active))


def _notes(busy: Band, period_s: float | None) -> tuple[str, ...]:
    if period_s is None or busy.typical <= period_s:
        return ()
    text = f"one inference takes {busy.typical * 1e3:.4g} ms, more than its {period_s * 1e3:.4g} ms"
    return (text,)
