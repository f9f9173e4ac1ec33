"""A program's directory: network, placement and a manifest; and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from snnstack.backends.loihi.check import program_problems
from snnstack.backends.loihi.lava_text import TEXTS, process_files
from snnstack.backends.loihi.limits import limits_of
from snnstack.backends.loihi.program import KINDS, Program
from snnstack.errors import Problem, TargetError, raise_if_any
from snnstack.program import with_manifest
from snnstack.saved_networks import opened
from snnstack.serial import to_files

FORMAT = 1
STEM = "program"


def emit(program: Program) -> dict[str, bytes]:
    """The program's data, its neurons as Lava processes, the manifest: {path: content}."""
    files = to_files(program, STEM) | process_files(program.network)
    return with_manifest(program, files, FORMAT, **_about(program))


def load(files: Mapping[str, bytes]) -> Program:
    """The program in the files that `emit` made. TargetError for data or text that was changed."""
    program: Program = opened(files, STEM, KINDS, program_problems)
    raise_if_any(TargetError, _text_problems(program, files))
    return program


def _text_problems(program: Program, files: Mapping[str, bytes]) -> Iterator[Problem]:
    """Text of a process that is not what the program's data gives. None of it is ever run."""
    made = process_files(program.network)
    for name, text in files.items():
        if name.startswith(TEXTS) and made.get(name) != text:
            yield Problem(name, "is not the text of this program's neurons", "compile it again")


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
