"""A program's directory: the C project, the program itself and a manifest; and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snnstack.backends.mcu.check import program_problems
from snnstack.backends.mcu.emit import emit as emit_project
from snnstack.backends.mcu.hardware import data_region
from snnstack.backends.mcu.packaging import package_files
from snnstack.backends.mcu.program import KINDS, Layer, Program
from snnstack.program import with_manifest
from snnstack.saved_networks import opened
from snnstack.serial import to_files

FORMAT = 1
STEM = "program"


def emit(program: Program) -> dict[str, bytes]:
    """The C99 project, the program's data and the manifest: {relative path: content}."""
    project = emit_project(program)
    files = project | package_files(program, project) | to_files(program, STEM)
    return with_manifest(program, files, FORMAT, **_about(program))


def load(files: Mapping[str, bytes]) -> Program:
    """The program in the files that `emit` made."""
    program: Program = opened(files, STEM, KINDS, program_problems)
    return program


def utilization(program: Program) -> dict[str, tuple[int, int]]:
    """{"flash" | "ram": (bytes used, bytes available in the memory that was chosen)}."""
    capacity = program.board.capacity
    region = data_region(program.board, program.memory["ram"])
    return {
        "flash": (program.memory["flash"], int(capacity["flash_bytes"].value)),
        "ram": (program.memory["ram"], region.bytes),
    }


def _about(program: Program) -> dict[str, Any]:
    return {
        "dt_s": program.dt,
        "settings": program.settings,
        "input": {
            "name": program.input.name,
            "shape": program.input.shape,
            "order": program.input.order,
            "max_count": program.input.max_count,
        },
        "layers": [_layer(layer) for layer in program.layers],
        "outputs": program.outputs,
        "memory_bytes": program.memory,
        "memory_region": data_region(program.board, program.memory["ram"]).name,
        "memory_basis": program.memory_basis or "code and stack are upper bounds",
    }


def _lif(layer: Layer) -> dict[str, Any]:
    return {
        "reset": layer.reset if layer.fires else None,
        "reset_time": layer.reset_time if layer.fires else None,
        "compare": layer.compare if layer.fires else None,
    }


def _layer(layer: Layer) -> dict[str, Any]:
    return {
        "name": layer.name,
        "shape": layer.shape,
        "order": layer.order,
        **(_lif(layer) if layer.is_lif else {"model": layer.model.name}),
        "accumulator_bits": layer.accumulator_bits,
        "saturates": layer.saturate_v or layer.saturate_i,
        "from": [f"{route.source} ({route.delay} steps later)" for route in layer.routes],
        "form": [route.form for route in layer.routes],
    }
