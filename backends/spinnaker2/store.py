"""A program's directory: network, elements, routing tables and a manifest; and back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from snnstack.backends.spinnaker2.check import program_problems
from snnstack.backends.spinnaker2.firmware import sources
from snnstack.backends.spinnaker2.limits import limits_of
from snnstack.backends.spinnaker2.program import KINDS, Program
from snnstack.backends.spinnaker2.sdk import sdk_files
from snnstack.backends.spinnaker2.timing import busiest, expected, tick_s
from snnstack.program import with_manifest
from snnstack.saved_networks import opened
from snnstack.serial import to_files

FORMAT = 1
STEM = "program"
SDK_CHIPS = 48
"""Chips of the largest machine that py-spinnaker2 drives."""


def emit(program: Program) -> dict[str, bytes]:
    """The program's data and the manifest: {relative path: content}.

    With the C of its elements, and for machines that py-spinnaker2 can drive its Python program.
    """
    files = to_files(program, STEM) | sources()
    if limits_of(program.board).count <= SDK_CHIPS:
        files |= sdk_files(program)
    return with_manifest(program, files, FORMAT, **_about(program))


def load(files: Mapping[str, bytes]) -> Program:
    """The program in the files that `emit` made."""
    program: Program = opened(files, STEM, KINDS, program_problems)
    return program


def utilization(program: Program) -> dict[str, tuple[int, int]]:
    """Chips and elements used and available; neurons, data memory and entries of the fullest."""
    limits = limits_of(program.board)
    elements, tables = program.elements, program.tables
    per_chip = Counter(e.chip for e in elements)
    _, busy = busiest(program, expected(program))
    chips = {"chips": (len(per_chip), limits.count)} if limits.count > 1 else {}
    return {
        **chips,
        "processing_elements": (len(elements), limits.count * limits.elements),
        "processing_elements_of_fullest_chip": (
            max(per_chip.values(), default=0),
            limits.elements,
        ),
        "neurons_of_fullest_element": (max((e.n for e in elements), default=0), limits.neurons),
        "data_bytes_of_fullest_element": (
            max((e.data_bytes for e in elements), default=0),
            limits.data_bytes,
        ),
        "routing_entries_of_fullest_chip": (
            max((len(t.key) for t in tables), default=0),
            limits.entries,
        ),
        "busy_ns_a_step_of_busiest_element": (
            round(busy.typical * 1e9),
            round(tick_s(program) * 1e9),
        ),
    }


def _about(program: Program) -> dict[str, Any]:
    network = program.network
    return {
        "dt_s": program.dt,
        "settings": program.settings,
        "input": {"name": network.input.name, "shape": network.input.shape},
        "populations": [
            {"name": p.name, "shape": p.shape, "application": p.application}
            for p in network.populations
        ],
        "outputs": program.outputs,
        "lag": dict(program.lag),
        "elements": len(program.elements),
    }
