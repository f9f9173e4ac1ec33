"""A program's directory: network, placement and a manifest; and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snnstack.backends.loihi.check import program_problems
from snnstack.backends.loihi.limits import limits_of
from snnstack.backends.loihi.network import ChipInput, ChipNetwork, Connection, Cuba, SigmaDelta
from snnstack.backends.loihi.program import CoreImage, Placement, Program
from snnstack.errors import TargetError, raise_if_any
from snnstack.ir.step import Conv, Dense, Pool, Sparse
from snnstack.program import with_manifest
from snnstack.serial import from_files, to_files

FORMAT = 1
STEM = "program"
KINDS = (
    Program,
    Placement,
    CoreImage,
    ChipNetwork,
    ChipInput,
    Connection,
    Cuba,
    SigmaDelta,
    Dense,
    Sparse,
    Conv,
    Pool,
)


def emit(program: Program) -> dict[str, bytes]:
    """The program's data and the manifest: {relative path: content}."""
    files = to_files(program, STEM)
    return with_manifest(program, files, FORMAT, **_about(program))


def load(files: Mapping[str, bytes]) -> Program:
    """The program in the files that `emit` made."""
    program = from_files(files, STEM, KINDS)
    assert isinstance(program, Program)
    raise_if_any(TargetError, program_problems(program))
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
