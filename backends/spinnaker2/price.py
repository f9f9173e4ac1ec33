"""Energy and latency on SpiNNaker 2: counted events, elements and time times coefficients.

E = synaptic events (software, MAC array) + updates + packets + hops
    + (chips P_chip + elements P_element) T
T = steps max(tick, time of the busiest element)
"""

from __future__ import annotations

from types import MappingProxyType

from snnstack.backends.spinnaker2.program import Program
from snnstack.backends.spinnaker2.timing import busiest, measured, overruns, tick_s
from snnstack.energy.model import Band, Component, Energy
from snnstack.energy.performance import Performance
from snnstack.energy.price import factor
from snnstack.energy.price import price as priced
from snnstack.errors import TargetError, fail
from snnstack.trace import Trace

EVENTS = (
    ("synapses (software)", "words", "synop_software_pj"),
    ("synapses (MAC array)", "macs", "synop_mac_pj"),
    ("neurons", "updates", "update_pj"),
    ("packets", "packets", "packet_pj"),
    ("hops between chips", "hops", "hop_pj"),
)
"""Component, what is counted, coefficient."""


def price(program: Program, trace: Trace, period_s: float | None = None) -> Performance:
    """Of one inference, from the counts of an emulation.

    `period_s`: an inference comes every so many seconds, the chips stay on in between; None:
    one after the other. Raises TargetError if `trace` holds no counts of elements.
    """
    if f"element {len(program.elements) - 1}" not in trace.counts:
        what = "the trace holds no event counts"
        raise fail(TargetError, program.name, what, "price the trace of an emulation")
    counts, loads = _per_inference(program, trace), measured(program, trace)
    load, busy = busiest(program, loads)
    tick, steps = tick_s(program), counts["steps"]
    latency = Band(*(steps * max(tick, part) for part in busy))
    counts["busiest_element"] = float(load.number)
    counts["busy_us_of_busiest_element"] = busy.typical * 1e6
    window = latency.typical if period_s is None else max(period_s, latency.typical)
    notes = list(overruns(program, loads))
    if period_s is not None and latency.typical > period_s:
        late = f"one inference takes {latency.typical * 1e3:.4g} ms, more than its "
        notes.append(f"{late}{period_s * 1e3:.4g} ms")
    samples = len(next(iter(trace.counts.values())).updates)
    return Performance(
        latency=latency,
        energy=Energy((*_dynamic(program, counts), *_static(program, window)), tuple(notes)),
        basis=f"events counted by the emulator over {samples} samples",
        counts=MappingProxyType(counts),
    )


def _per_inference(program: Program, trace: Trace) -> dict[str, float]:
    """Mean number of events of one sample, over all elements."""
    found = dict.fromkeys(("words", "macs", "updates", "packets", "hops", "lookups"), 0.0)
    steps = 0.0
    for e in program.elements:
        counts = trace.counts[f"element {e.number}"]
        macs = float(counts.other["macs"].mean())
        found["words"] += float(counts.synops.mean()) - macs
        found["macs"] += macs
        found["updates"] += float(counts.updates.mean())
        for key in ("packets", "hops", "lookups"):
            found[key] += float(counts.other[key].mean())
        if e.n and counts.updates.any():
            steps = float(counts.updates.mean()) / e.n
    return found | {"steps": steps}


def _dynamic(program: Program, counts: dict[str, float]) -> list[Component]:
    return [
        priced(name, "dynamic", counts[key], factor(program.board, coefficient))
        for name, key, coefficient in EVENTS
        if counts[key] or key in ("words", "updates", "packets")
    ]


def _static(program: Program, seconds: float) -> list[Component]:
    """The chips and the elements that are used; the others are off."""
    used = len({e.chip for e in program.elements})
    return [
        priced("chips", "static", used * seconds, factor(program.board, "chip_mw")),
        priced(
            "elements", "static", len(program.elements) * seconds,
            factor(program.board, "element_mw"),
        ),
    ]  # fmt: skip
