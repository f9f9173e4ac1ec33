"""Models that a target's own tools have brought into its units: nothing is left to quantise.

A backend that reads such files has `MODELS` (endings of their names), `read_model(path)` and
`as_graph(model, name, dt)`; its compiler has `compile_model(model, board, name, dt)`. Boards of
that target get the file's integers; others, and whatever looks at a graph, the same equations.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from snnstack.board import Board
from snnstack.errors import ModelError, Problem, raise_if_any
from snnstack.ir.graph import Graph
from snnstack.passes.options import Options
from snnstack.program import Program
from snnstack.target import backend, compiler, target_names

DT = 1e-3
"""Seconds of a step where nobody says it: such files count steps."""
USUAL = (".nir", ".h5", ".hdf5", ".onnx")
"""Endings of files that no target claims; looking at the targets takes a moment."""


def native_target(model: Any) -> str | None:
    """The target in whose units the file `model` is, by its name; None: of no target."""
    if not isinstance(model, str | Path) or Path(model).suffix in ("", *USUAL):
        return None
    suffix = Path(model).suffix
    claims = (t for t in target_names() if suffix in getattr(backend(t), "MODELS", ()))
    return next(claims, None)


def native_graph(path: Path, target: str, options: Options) -> Graph:
    """The file's network as a graph; ModelError where a graph has no word for it."""
    machine: Any = backend(target)
    graph = machine.as_graph(machine.read_model(path), path.stem, options.dt or DT)
    assert isinstance(graph, Graph)
    return graph


def native_program(
    model: Any, board: Board, options: Options | None, calibrated: bool = False
) -> Program | None:
    """The program with exactly the file's integers, on a board of the file's own target.

    None for every other model or board. ModelError for what would change the integers.
    """
    if native_target(model) != board.target:
        return None
    path, options = Path(model), options or Options()
    raise_if_any(ModelError, _fixed(path, options, calibrated))
    machine: Any = backend(board.target)
    made = compiler(board.target).compile_model(  # type: ignore[attr-defined]
        machine.read_model(path), board, path.stem, options.dt or DT
    )
    program: Program = made
    return program


def _fixed(path: Path, options: Options, calibrated: bool) -> list[Problem]:
    """Options for a network that leaves no choice."""
    given = [name for name in ("integrator", "reset", "compare") if getattr(options, name)]
    given += ["calibrate"] if calibrated else []
    hint = "leave the option out"
    return [Problem(str(path), f"has its registers; --{name} cannot change them", hint)
            for name in given]  # fmt: skip
