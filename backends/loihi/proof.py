"""Whether a current can leave its 24 bits: what was proven, and for which input.

A compiled program says how many spikes of an input element and step its scales were chosen for.
Input with more is taken where the proof holds for it as well, and refused where it does not: a
current that wraps is another network. Programs whose integers are the user's own (netx, networks
in chip units) wrap as the chip does; that is their definition.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from snnstack.backends.loihi.network import ChipNetwork, Cuba
from snnstack.backends.loihi.program import Program
from snnstack.backends.loihi.registers import STATE_MAX, WEIGHT_SHIFT
from snnstack.engine.check import port_problems
from snnstack.errors import DataError, Problem, raise_if_any
from snnstack.ir.step import Projection, StepInput
from snnstack.quant.bounds import input_bounds
from snnstack.trace import Spikes


def may_wrap(network: ChipNetwork, count: int) -> dict[str, int]:
    """{population: largest |u|} of those whose u is not proven to fit, -1 for one without bound.

    Every neuron sends in every step, every input element `count` spikes: with a largest input a
    step and the decay d, |u| stays below a 4096 / d.
    """
    found = {}
    for p in network.populations:
        if not isinstance(p, Cuba):
            continue
        into = tuple(
            Projection(c.source, p.name, c.synapses, 0, c.pool) for c in network.into(p.name)
        )
        bounds = input_bounds(into, p.n, {network.input.name: (0, count)})
        step = np.maximum(-bounds.low, bounds.high).astype(np.float64) * (1 << WEIGHT_SHIFT)
        with np.errstate(divide="ignore", invalid="ignore"):
            reach = np.where(step > 0, step * 4096 / p.i_decay, 0.0)
        most = float(reach.max(initial=0.0))
        if most > STATE_MAX:
            found[p.name] = -1 if np.isinf(most) else int(most)
    return found


def check_input(program: Program, spikes: Spikes | Any) -> None:
    """DataError for input that `program` was not compiled for."""
    raise_if_any(DataError, _problems(program, spikes))


def _problems(program: Program, spikes: Spikes | Any) -> Iterator[Problem]:
    if program.input_count is None:
        return
    port = program.port
    if program.events == "value":
        yield from _value_problems(port, spikes)
        return
    if not isinstance(spikes, Spikes):
        what = "takes spikes, not an array of values"
        yield Problem(port.name, what, 'give {"x": ...} or Spikes')
        return
    yield from port_problems(port.name, port.shape, port.max_count, spikes)
    count = 0 if spikes.counts is None else int(spikes.counts.max(initial=0))
    if program.input_count < count <= port.max_count:
        yield from _unproven(program, count)


def _value_problems(port: StepInput, spikes: Any) -> Iterator[Problem]:
    if not isinstance(spikes, Spikes):
        yield Problem(port.name, "takes events that carry values, not an array", "give Spikes")
        return
    yield from port_problems(port.name, port.shape, port.max_count, spikes, values=True)


def _unproven(program: Program, count: int) -> Iterator[Problem]:
    hint = "compile with --calibrate DATA that holds as many, so that the scales leave room"
    if program.network.input.name in program.settings.get("relays", {}):
        what = (
            f"an element has {count} spikes in one step, its relays pass {program.input_count} on"
        )
        yield Problem(program.port.name, what, "compile with --calibrate DATA that holds as many")
    for name, reach in may_wrap(program.network, count).items():
        far = "grow without end" if reach < 0 else f"reach {reach}"
        what = (
            f"an element of {program.port.name} has {count} spikes in one step, the program is "
            f"for {program.input_count}: the current of {name} may {far}, it wraps at {STATE_MAX}"
        )
        yield Problem(name, what, hint)
