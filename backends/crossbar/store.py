"""A program's directory: the programming file, the program itself and a manifest; and back."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from snnstack.backends.crossbar.check import saved_problems
from snnstack.backends.crossbar.coding import Coding
from snnstack.backends.crossbar.program import Block, Cell, Converter, Program, Route
from snnstack.backends.crossbar.programming import programming_files
from snnstack.ir.step import Pool, StepInput
from snnstack.program import with_manifest
from snnstack.quant.network import QuantizedPopulation
from snnstack.saved_networks import opened
from snnstack.serial import to_files

FORMAT = 1
STEM = "program"
KINDS = (Program, Block, Cell, Coding, Converter, Route, Pool, StepInput, QuantizedPopulation)


def emit(program: Program) -> dict[str, bytes]:
    """The programming file, the program's data and the manifest: {relative path: content}."""
    files = programming_files(program) | to_files(program, STEM)
    return with_manifest(program, files, FORMAT)


def load(files: Mapping[str, bytes]) -> Program:
    """The program in the files that `emit` made."""
    program: Program = opened(files, STEM, KINDS, saved_problems)
    return program


def utilization(program: Program) -> dict[str, tuple[int, int]]:
    """{"arrays" | "rows" | "cells" | "neurons": (used, available)}.

    Rows and cells are those of the arrays in use: what is left free in them is not lost to
    other networks, but to this one.
    """
    capacity = program.board.capacity
    rows, columns = int(capacity["rows"].value), int(capacity["columns"].value)
    blocks = [tile.block for tile in program.tiles]
    used = int(np.sum([b.rows * b.columns for b in blocks], dtype=np.int64))
    arrays = max(program.arrays, 1)
    found = {
        "arrays": (program.arrays, int(capacity["arrays"].value)),
        "rows": (sum(b.rows for b in blocks), rows * arrays),
        "cells": (used, rows * columns * arrays),
    }
    if "neurons" in capacity:
        neurons = sum(p.n for p in program.populations)
        found["neurons"] = (neurons, int(capacity["neurons"].value))
    return found
