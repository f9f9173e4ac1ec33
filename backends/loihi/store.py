"""A program's directory: network, placement and a manifest; and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snnstack.backends.loihi.check import program_problems
from snnstack.backends.loihi.limits import limits_of
from snnstack.backends.loihi.program import KINDS, Program
from snnstack.program import with_manifest
from snnstack.saved_networks import opened
from snnstack.serial import to_files

FORMAT = 1
STEM = "program"


def emit(program: Program) -> dict[str, bytes]:
    """The program's data and the manifest: {relative path: content}."""
    files = to_files(program, STEM)
    return with_manifest(program, files, FORMAT, **_about(program))


def load(files: Mapping[str, bytes]) -> Program:
    """The program in the files that `emit` made."""
    program: Program = opened(files, STEM, KINDS, program_problems)
    return program


def utilization(program: Program) -> dict[str, tuple[int, int]]:
    """Cores used and available; of every other resource, what the fullest core uses."""
    limits = limits_of(program.board)
    available = {
        "compartments": limits.compartments,
        "input_axons": limits.input_axons,
        "output_axons": limits.output_axons,
        "synaptic_memory_bytes": limits.synaptic_memory_bytes,
    }
    fullest = {
        f"{name}_of_fullest_core": (max((c.used[name] for c in program.cores), default=0), most)
        for name, most in available.items()
        if most is not None
    }
    return {"cores": (len(program.cores), limits.cores), **fullest}


def _about(program: Program) -> dict[str, Any]:
    network = program.network
    return {
        "generation": network.generation,
        "dt_s": program.dt,
        "settings": program.settings,
        "input": {"name": network.input.name, "shape": network.input.shape},
        "populations": [{"name": p.name, "shape": p.shape} for p in network.populations],
        "outputs": program.outputs,
        "lag": dict(program.lag),
        "cores": len(program.cores),
    }
