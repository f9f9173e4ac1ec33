"""A program's directory: the C project, the program itself and a manifest; and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from snnstack.backends.mcu.emit import emit as emit_project
from snnstack.backends.mcu.hardware import data_region
from snnstack.backends.mcu.packaging import package_files
from snnstack.backends.mcu.program import (
    ConvTable,
    DenseTable,
    Golden,
    InputPort,
    Layer,
    Program,
    Route,
    SparseTable,
)
from snnstack.ir.step import Pool
from snnstack.program import MANIFEST, digest
from snnstack.serial import from_files, to_files

FORMAT = 1
STEM = "program"
KINDS = (Program, Golden, InputPort, Layer, Route, DenseTable, SparseTable, ConvTable, Pool)


def emit(program: Program) -> dict[str, bytes]:
    """The C99 project, the program's data and the manifest: {relative path: content}."""
    project = emit_project(program)
    files = project | package_files(program, project) | to_files(program, STEM)
    return files | {MANIFEST: _json(_manifest(program, files))}


def load(files: Mapping[str, bytes]) -> Program:
    """The program in the files that `emit` made."""
    program: Program = from_files(files, STEM, KINDS)
    return program


def utilization(program: Program) -> dict[str, tuple[int, int]]:
    """{"flash" | "ram": (bytes used, bytes available in the memory that was chosen)}."""
    capacity = program.board.capacity
    region = data_region(program.board, program.memory["ram"])
    return {
        "flash": (program.memory["flash"], int(capacity["flash_bytes"].value)),
        "ram": (program.memory["ram"], region.bytes),
    }


def _manifest(program: Program, files: Mapping[str, bytes]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "target": program.target,
        "name": program.name,
        "board": program.board.name,
        "digest": digest(files),
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
        "files": {name: digest({name: content}) for name, content in sorted(files.items())},
    }


def _layer(layer: Layer) -> dict[str, Any]:
    return {
        "name": layer.name,
        "shape": layer.shape,
        "order": layer.order,
        "reset": layer.reset if layer.threshold is not None else None,
        "reset_time": layer.reset_time if layer.threshold is not None else None,
        "compare": layer.compare if layer.threshold is not None else None,
        "accumulator_bits": layer.accumulator_bits,
        "saturates": layer.saturate_v or layer.saturate_i,
        "from": [f"{route.source} ({route.delay} steps later)" for route in layer.routes],
        "form": [route.form for route in layer.routes],
    }


def _json(value: Mapping[str, Any]) -> bytes:
    text = json.dumps(value, indent=2, sort_keys=True, default=_plain)
    return f"{text}\n".encode()


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value.tolist()
