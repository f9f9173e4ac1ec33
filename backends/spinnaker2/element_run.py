"""Runs the emitted element firmware: every used element a core of its own, packets between them.

This is the second execution of a program, independent of the emulator: compiled C in float32 on
a Cortex-M4F, fed and read through its memory, packets delivered as the routing tables say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from snnstack.backends.spinnaker2.element_core import Core, build, require_tools
from snnstack.backends.spinnaker2.element_emit import emit_elements, source_file
from snnstack.backends.spinnaker2.element_layout import Image, has_currents, images, split
from snnstack.backends.spinnaker2.element_synapses import Block
from snnstack.backends.spinnaker2.network import ChipNetwork
from snnstack.errors import ModelError, Problem, raise_if_any
from snnstack.ir.nodes import Array
from snnstack.trace import Counts, Spikes, Trace

Probes = Sequence[tuple[str, str]]
Progress = Callable[[int, int], None]
Route = Callable[[int], Iterable[int]]
"""The elements (by number) that the routing tables lead a key to."""


def run_network(
    network: ChipNetwork,
    spikes: Spikes,
    probes: Probes = (),
    *,
    inputs: Sequence[Block] | None = None,
    elements: Sequence[Block] | None = None,
    route: Route | None = None,
    progress: Progress | None = None,
) -> Trace:
    """What the firmware computes for `spikes`, on exactly these steps.

    `inputs`, `elements`: who sends which keys; without them, blocks of 250 neurons. `route`
    None: packets go to the elements that need them. Input packets come from the host, an event
    with a count as that many packets. `progress(done, total)` in steps of all samples.

    States are float32 [batch, steps, n], as of `run_chip`. Counts by element ("element 3"):
    `synops` are synapse words and kernel taps, `other` holds "instructions", "peak" (the most
    in one step), "packets" received and "unexpected" (those no table knows), int64 [batch].
    Raises `ToolError` where a tool is missing, `ModelError` and `CapacityError` for what does
    not fit the elements.
    """
    if inputs is None or elements is None:
        inputs, elements = split(network)
    raise_if_any(ModelError, _probe_problems(network, probes))
    made = images(network, inputs, elements)
    require_tools()
    files = emit_elements(made)
    cores = [Core(image, build(files, source_file(image.application))) for image in made]
    machine = _Machine(network, inputs, cores, route or _direct(made), probes)
    return machine.run(spikes, progress)


def _probe_problems(network: ChipNetwork, probes: Probes) -> Iterable[Problem]:
    known = {p.name: p for p in network.populations}
    for name, variable in probes:
        currents = name in known and has_currents(known[name].application)
        if name not in known or variable not in (("v", "ie", "ii") if currents else ("v",)):
            hint = 'probes are (population, "v"), and "ie" and "ii" of lif_curr_exp'
            yield Problem(name, f"has no state {variable!r} to record", hint)


def _direct(made: Sequence[Image]) -> Route:
    """Every key to the elements whose tables hold it."""
    found: dict[int, list[int]] = {}
    for number, image in enumerate(made):
        for s in image.heard:
            for key in range(s.key, s.key + s.n):
                found.setdefault(key, []).append(number)
    return lambda key: found.get(key, ())


class _Machine:
    """Cores, the packets under way between them, and what has been recorded."""

    def __init__(
        self,
        network: ChipNetwork,
        inputs: Sequence[Block],
        cores: Sequence[Core],
        route: Route,
        probes: Probes,
    ) -> None:
        self.network, self.cores, self.route, self.probes = network, cores, route, probes
        self.reached: dict[int, tuple[int, ...]] = {}
        self.entry_keys = np.zeros(
            int(np.prod(network.input.shape, dtype=np.int64)), dtype=np.uint32
        )
        for s in inputs:
            self.entry_keys[s.neurons] = s.key + np.arange(s.n)

    def run(self, spikes: Spikes, progress: Progress | None) -> Trace:
        """All samples, one after the other."""
        batch, steps = spikes.batch, spikes.steps
        fired = {
            p.name: np.zeros((batch, steps, p.n), dtype=np.uint8)
            for p in self.network.populations
        }
        states = {
            (name, variable): np.zeros(fired[name].shape, dtype=np.float32)
            for name, variable in self.probes
        }
        counts = np.zeros((6, len(self.cores), batch), dtype=np.int64)
        for b in range(batch):
            for core in self.cores:
                core.restart()
            packets = np.zeros(0, dtype=np.uint32)
            for t in range(steps):
                sent = self._step(packets, fired, counts[:, :, b], (b, t))
                self._record(states, (b, t))
                packets = np.concatenate([self._entering(spikes, b * steps + t), *sent])
                if progress is not None:
                    progress(b * steps + t + 1, batch * steps)
            for k, core in enumerate(self.cores):
                counts[0, k, b] = core.setting("events")
                counts[5, k, b] = core.setting("unexpected")
        return self._trace(fired, states, counts, steps)

    def _entering(self, spikes: Spikes, row: int) -> Array:
        """The packets of one step's input."""
        here = slice(int(spikes.indptr[row]), int(spikes.indptr[row + 1]))
        keys = self.entry_keys[spikes.indices[here]]
        return keys if spikes.counts is None else np.repeat(keys, spikes.counts[here])

    def _step(
        self, packets: Array, fired: dict[str, Array], counts: Array, at: tuple[int, int]
    ) -> list[Array]:
        """Deliver, update every element, note its spikes; what it sent by element."""
        inbox = self._delivered(packets)
        sent = []
        for k, core in enumerate(self.cores):
            before, s = core.instructions, core.image.block
            if k in inbox:
                core.receive(np.array(inbox[k], dtype=np.uint32))
                counts[4, k] += len(inbox[k])
            keys = core.update()
            fired[s.source][at][s.neurons[keys.astype(np.int64) - s.key]] = 1
            sent.append(keys)
            counts[1, k] += len(keys)
            counts[2, k] += core.instructions - before
            counts[3, k] = max(counts[3, k], core.instructions - before)
        return sent

    def _delivered(self, packets: Array) -> dict[int, list[int]]:
        inbox: dict[int, list[int]] = {}
        for key in packets.tolist():
            if key not in self.reached:
                self.reached[key] = tuple(self.route(key))
            for element in self.reached[key]:
                inbox.setdefault(element, []).append(key)
        return inbox

    def _record(self, states: dict[tuple[str, str], Array], at: tuple[int, int]) -> None:
        for (name, variable), values in states.items():
            for core in self.cores:
                block = core.image.block
                if block.source == name:
                    values[at][block.neurons] = core.state(variable)

    def _trace(
        self, fired: dict[str, Array], states: dict[Any, Array], counts: Array, steps: int
    ) -> Trace:
        spikes = {
            p.name: Spikes.from_dense(fired[p.name].reshape(*fired[p.name].shape[:2], *p.shape))
            for p in self.network.populations
            if p.threshold is not None
        }
        by_element = {}
        for k, core in enumerate(self.cores):
            events, sent, total, peak, packets, lost = counts[:, k]
            updates = np.full(len(events), steps * core.image.block.n, dtype=np.int64)
            other = {"instructions": total, "peak": peak, "packets": packets, "unexpected": lost}
            by_element[f"element {k}"] = Counts(events, updates, sent, other)
        return Trace(spikes, states, by_element)
