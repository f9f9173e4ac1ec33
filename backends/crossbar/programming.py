"""The programming file: what is written into a chip, complete, in plain JSON and arrays.

`programming.json` has the tile map, the converter settings and the digital settings;
`programming.npz` the conductance of every cell and all tables. `docs/targets/crossbar.md`
describes both; `snnstack.backends.crossbar.execute` runs from them alone.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from snnstack.backends.crossbar.coding import channels
from snnstack.backends.crossbar.device_file import device_of
from snnstack.backends.crossbar.hardware import hardware
from snnstack.backends.crossbar.instance import targets
from snnstack.backends.crossbar.program import Program, Tile
from snnstack.errors import TargetError, fail
from snnstack.ir.nodes import Array
from snnstack.npz import read_npz
from snnstack.quant.network import QuantizedPopulation
from snnstack.serial import DAMAGED

TEXT, ARRAYS = "programming.json", "programming.npz"
FORMAT = 1
NEURON = ("alpha", "beta", "bias", "leak", "threshold", "v_reset")
"""Arrays of a population; one that it lacks is left out."""


def programming_files(program: Program) -> dict[str, bytes]:
    """`programming.json` and `programming.npz`: {name: content}."""
    arrays: dict[str, Array] = {
        f"array_{k}_us": g * 1e6 for k, g in enumerate(targets(program))
    }  # fmt: skip
    for tile in program.tiles:
        arrays |= _tile_arrays(program, tile)
    for k, population in enumerate(program.populations):
        found = {name: getattr(population, name) for name in NEURON}
        arrays |= {f"population_{k}_{n}": v for n, v in found.items() if v is not None}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    text = json.dumps(_settings(program), indent=1, sort_keys=True)
    return {TEXT: f"{text}\n".encode(), ARRAYS: buffer.getvalue()}


def read_programming(files: Mapping[str, bytes]) -> tuple[dict[str, Any], dict[str, Array]]:
    """(settings, arrays) of the programming file; TargetError if it is missing or malformed."""
    for name in (TEXT, ARRAYS):
        if name not in files:
            raise fail(TargetError, name, "is missing", "the program's directory is incomplete")
    try:
        settings = json.loads(files[TEXT])
        return dict(settings), read_npz(files[ARRAYS])
    except DAMAGED as error:
        what = f"is malformed: {error or type(error).__name__}"
        raise fail(TargetError, ARRAYS, what, "compile the model again") from error


def _tile_arrays(program: Program, tile: Tile) -> dict[str, Array]:
    found, block = channels(program.coding, tile.block.scatter.shape[1]), tile.block
    parts = {
        "gather": block.gather,
        "scatter": block.scatter,
        "plus": found.plus,
        "minus": found.minus,
        "output": found.output,
        "coefficient": found.coefficient,
        "lowest": block.converter.lowest[found.slice],
        "gain": block.converter.gain[found.slice],
    }
    return {f"tile_{tile.number}_{name}": values for name, values in parts.items()}


def _settings(program: Program) -> dict[str, Any]:
    machine = hardware(program.board)
    return {
        "format": FORMAT,
        "name": program.name,
        "board": program.board.name,
        "device": device_of(program.board).name,
        "topology": machine.topology,
        "read_v": program.board.coefficients["read_v"].typical,
        "cell": {
            "g_min_us": program.cell.g_min_us,
            "step_us": program.cell.step_us,
            "levels": program.cell.levels,
        },
        "coding": {
            "mapping": program.coding.mapping,
            "subtraction": program.coding.subtraction,
            "slices": program.coding.slices,
            "cell_bits": program.coding.cell_bits,
        },
        "adc": {"kind": machine.adc_kind, "bits": machine.adc_bits,
                "columns_per_adc": machine.columns_per_adc},
        "arrays": program.arrays,
        "tiles": [_tile(tile) for tile in program.tiles],
        "input": {"name": program.input.name, "shape": list(program.input.shape)},
        "populations": [_population(p) for p in program.populations],
        "outputs": list(program.outputs),
        "dt_s": program.dt,
    }  # fmt: skip


def _tile(tile: Tile) -> dict[str, Any]:
    block, route = tile.block, tile.route
    pool = route.pool
    return {
        "tile": tile.number,
        "source": route.source,
        "target": route.target,
        "delay": route.delay,
        "phases": route.phases,
        "dac_bits": route.dac_bits,
        "top_digit": route.top,
        "array": block.array,
        "row": block.row,
        "rows": block.rows,
        "columns": block.columns,
        "reads_per_step": block.positions,
        "pool": None
        if pool is None
        else {
            name: list(getattr(pool, name))
            for name in ("in_shape", "out_shape", "kernel", "stride", "padding")
        },
    }


def _population(p: QuantizedPopulation) -> dict[str, Any]:
    return {
        "name": p.name,
        "shape": list(p.shape),
        "shift": p.shift,
        "reset": p.reset,
        "compare": p.compare,
        "refractory": p.refractory,
        "reset_time": p.reset_time,
        "alpha_bits": p.alpha_bits,
        "beta_bits": p.beta_bits,
    }
