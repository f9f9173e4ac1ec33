"""Run a program on emulated processing elements: the firmware itself, packet by packet.

Every element is a Cortex-M4F with its own memory; packets go through the routing tables, entry
by entry. Nothing is shared with the emulator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from snnstack.backends.spinnaker2 import core as cores
from snnstack.backends.spinnaker2 import firmware
from snnstack.backends.spinnaker2.core import Core
from snnstack.backends.spinnaker2.element_route import Router
from snnstack.backends.spinnaker2.firmware import DATA_BASE
from snnstack.backends.spinnaker2.image import image, kind_of, neuron_words
from snnstack.backends.spinnaker2.program import INDEX_BITS, Element, Program
from snnstack.errors import TargetError, ToolError, fail
from snnstack.ir.nodes import Array
from snnstack.trace import Spikes, Trace

Progress = Callable[[int, int], None]
Probes = Sequence[tuple[str, str]]
NOTHING = np.zeros(0, dtype=np.uint32)


def describe(program: Program) -> str:
    """What `run` executes on; ToolError without the processor emulator."""
    try:
        import unicorn
    except ImportError as error:
        hint = "pip install 'snnstack[spinnaker2]'"
        what = "is not installed: it executes the elements' code"
        raise fail(ToolError, "unicorn", what, hint) from error
    count = len(program.elements)
    text = f"{count} emulated Cortex-M4F processing elements"
    return f"{text} (unicorn {unicorn.__version__}, {firmware.version()})"


def run(
    program: Program,
    spikes: Spikes,
    *,
    probes: Probes = (),
    progress: Progress | None = None,
) -> Trace:
    """Execute the firmware of all elements, for `program.drain` steps after the input as well.

    Raises `ToolError` if the compiler or the processor emulator is missing.
    """
    machine = Machine(program)
    batch, steps = spikes.batch, spikes.steps + program.drain
    recorded = {
        (name, variable): np.zeros((batch, steps, machine.size(name)), dtype=np.float32)
        for name, variable in probes
    }
    fired: dict[str, list[Array]] = {name: [] for name, fires in program.fires.items() if fires}
    for sample in range(batch):
        machine.reset()
        for t in range(steps):
            machine.step(t, _due(spikes, sample, t))
            for name, found in fired.items():
                found.append(machine.fired(name))
            for probe, values in recorded.items():
                values[sample, t] = machine.state(*probe)
        if progress is not None:
            progress(sample + 1, batch)
    shapes = {p.name: p.shape for p in program.network.populations}
    sent = {name: _spikes(shapes[name], batch, steps, rows) for name, rows in fired.items()}
    return Trace(sent, recorded, lag=dict(program.lag))


def count_instructions(program: Program, spikes: Spikes) -> dict[int, Array]:
    """Instructions that every element executed: {its number: int64 [batch, step]}."""
    machine = Machine(program, counting=True)
    steps = spikes.steps + program.drain
    found = {e.number: np.zeros((spikes.batch, steps), dtype=np.int64) for e in program.elements}
    for sample in range(spikes.batch):
        machine.reset()
        for t in range(steps):
            before = machine.instructions()
            machine.step(t, _due(spikes, sample, t))
            for number, total in machine.instructions().items():
                found[number][sample, t] = total - before[number]
    return found


class Machine:
    """All elements of a program and the packets between them."""

    def __init__(self, program: Program, counting: bool = False) -> None:
        cores.require()
        code = firmware.build()
        self._program = program
        self._cores = {
            e.number: Core(e.number, code, image(program, e, DATA_BASE), counting)
            for e in program.elements
        }
        self._sources = [e for e in program.elements if self._kind(e) == "source"]
        self._others = [e for e in program.elements if self._kind(e) != "source"]
        self._router = Router(program.tables, program.elements)
        self._chips = {e.number: e.chip for e in program.elements}
        self._targets: dict[int, tuple[int, ...]] = {}
        self._by_population = {
            p.name: [e for e in self._others if e.population == p.name]
            for p in program.network.populations
        }
        self.reset()

    def reset(self) -> None:
        """All elements at rest, no packet under way."""
        self._waiting: dict[int, list[int]] = {}
        self._fired: dict[int, Array] = {}
        for core in self._cores.values():
            core.reset()

    def step(self, now: int, due: Array) -> None:
        """One time step; `due`: neurons of the input whose events are sent in it."""
        arriving, self._waiting = self._waiting, {}
        self._fired = {}
        for e in self._others:
            core = self._cores[e.number]
            core.receive(np.array(arriving.get(e.number, ()), dtype=np.uint32), now)
            self._send(e, core.update(now))
        for e in self._sources:
            positions = _positions(e, due)
            self._send(e, self._cores[e.number].play(positions, now))

    def fired(self, population: str) -> Array:
        """Neurons of `population` that fired in the last step, ascending."""
        parts = [
            e.neurons[self._fired[e.number] & ((1 << INDEX_BITS) - 1)]
            for e in self._by_population[population]
        ]
        return np.sort(np.concatenate(parts)) if parts else NOTHING

    def state(self, population: str, variable: str) -> Array:
        """A variable of all neurons of `population`, float32 [n]."""
        values = np.zeros(self.size(population), dtype=np.float32)
        for e in self._by_population[population]:
            words = neuron_words(self._kind(e))
            if variable not in words:
                what = f"has no variable {variable!r}; it has v, and ie and ii with a current"
                raise fail(TargetError, population, what)
            values[e.neurons] = self._cores[e.number].states()[:, words.index(variable)]
        return values

    def size(self, population: str) -> int:
        """Number of neurons."""
        return self._program.network.population(population).n

    def instructions(self) -> dict[int, int]:
        """Instructions executed so far, by element."""
        return {number: core.instructions for number, core in self._cores.items()}

    def _kind(self, e: Element) -> str:
        return kind_of(self._program.network, e.population)

    def _send(self, e: Element, packets: Array) -> None:
        self._fired[e.number] = packets
        for packet in packets.tolist():
            reached = self._targets.get(packet)
            if reached is None:
                reached = self._router.reached(packet, self._chips[e.number])
                self._targets[packet] = reached
            for number in reached:
                self._waiting.setdefault(number, []).append(packet)


def _positions(e: Element, due: Array) -> Array:
    """Where in the element the neurons `due` stand; those of other elements left out."""
    order = np.argsort(e.neurons)
    at = np.searchsorted(e.neurons, due, sorter=order)
    at = np.minimum(at, e.n - 1)
    found: Array = order[at][e.neurons[order[at]] == due]
    return found


def _due(spikes: Spikes, sample: int, t: int) -> Array:
    """The input's neurons with an event in step `t`, as often as they have one."""
    if t >= spikes.steps:
        return NOTHING
    row = sample * spikes.steps + t
    part = slice(int(spikes.indptr[row]), int(spikes.indptr[row + 1]))
    due: Array = spikes.indices[part]
    return due if spikes.counts is None else np.repeat(due, spikes.counts[part])


def _spikes(shape: Any, batch: int, steps: int, rows: list[Array]) -> Spikes:
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    indices = np.concatenate(rows).astype(np.int32) if rows else np.zeros(0, dtype=np.int32)
    return Spikes(tuple(shape), batch, steps, indptr, indices)
