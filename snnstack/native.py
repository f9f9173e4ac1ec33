"""Models that a target's own tools have brought into its units: nothing is left to quantise.

A backend that reads such files has `MODELS` (endings of their names), `read_model(path)` and
`as_graph(model, name, dt)`; its compiler has `compile_model(model, board, name, dt)`. Boards of
that target get the file's integers; others, and whatever looks at a graph, the same equations.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from snnstack.board import Board
from snnstack.errors import CapacityError, ModelError, Problem, raise_if_any
from snnstack.ir.graph import Graph
from snnstack.passes.options import READOUT, Options
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
    model: Any, board: Board, options: Options | None = None, fixed: Mapping[str, Any] | None = None
) -> Program | None:
    """The program with exactly the file's integers, on a board of the file's own target.

    None for every other model or board. ModelError for what would change the integers: some
    `options`, and whatever in `fixed` is not None.
    """
    target = native_target(model)
    if target is None or target != board.target:
        return None
    path, chosen = Path(model), options or Options()
    said = {name: getattr(chosen, name) for name in ("integrator", "reset", "compare")}
    raise_if_any(ModelError, _told(path, {**said, **(fixed or {})}))
    machine: Any = backend(target)
    maker: Any = compiler(target)
    model = machine.read_model(path)
    made: Any = maker.compile_model(model, board, path.stem, chosen.dt or DT)
    if chosen.readout is not None:
        made = replace(made, settings={**made.settings, READOUT: chosen.readout})
    program: Program = made
    return program


def native_programs(
    model: Any, boards: Sequence[Board], options: Options | None
) -> dict[str, Program]:
    """`native_program` by the name of every board for which there is one.

    Raises CapacityError with the problems of all boards that are too small.
    """
    found: dict[str, Program] = {}
    problems: list[Problem] = []
    for board in boards:
        try:
            program = native_program(model, board, options)
        except CapacityError as error:
            problems += error.problems
            continue
        if program is not None:
            found[board.name] = program
    raise_if_any(CapacityError, problems)
    return found


def _told(path: Path, given: Mapping[str, Any]) -> Iterator[Problem]:
    """What was asked of a network that leaves no choice."""
    for name, value in given.items():
        if value is not None:
            what = f"holds its registers, --{name} cannot change them"
            yield Problem(str(path), what, "leave the option out, or compile for another target")
