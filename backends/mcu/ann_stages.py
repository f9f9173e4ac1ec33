"""The layers of the opponent: the program's tables as plain int8 matrices and kernels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from snnstack.backends.mcu.program import ConvTable, Layer, Program, Route, SparseTable
from snnstack.errors import Problem, TargetError, raise_if_any
from snnstack.ir.step import Pool

Kind = Literal["dense", "conv", "pool"]


@dataclass(frozen=True, eq=False)
class Stage:
    """One step of the opponent, on activations in memory order (maps: channel last).

    `weight` int8: dense [outputs, inputs]; conv [outputs, K_y, K_x, inputs / groups]; a pool has
    none. `table`, `pool`: the geometry. `shift`: right shift of the sums; `least`: 0 for ReLU.
    """

    kind: Kind
    inputs: int
    outputs: int
    weight: NDArray[np.int8] | None
    table: ConvTable | None
    pool: Pool | None
    shift: int
    least: int

    @property
    def macs(self) -> int:
        """Multiplications of one inference."""
        if self.weight is None:
            return 0
        places = 1 if self.table is None else self.table.out_shape[1] * self.table.out_shape[2]
        return int(self.weight.size) * places


def check_chain(program: Program) -> None:
    """`TargetError` with everything that an opponent of the same shape cannot have."""
    raise_if_any(TargetError, _unlike(program))


def _unlike(program: Program) -> Iterator[Problem]:
    before = program.input.name
    for layer in program.layers:
        sources = [f"{r.source} ({r.delay} steps later)" for r in layer.routes]
        chained = len(layer.routes) == 1 and layer.routes[0].source == before
        if not chained or layer.routes[0].delay:
            what = (
                f"reads {', '.join(sources) or 'nothing'}; a network without spikes needs a chain"
            )
            hint = "only feed-forward networks have an opponent of the same shape"
            yield Problem(layer.name, what, hint)
        before = layer.name


def stages(program: Program) -> tuple[Stage, ...]:
    """All stages in order; `TargetError` if the program is no chain."""
    check_chain(program)
    found: list[Stage] = []
    inputs = int(np.prod(program.input.shape))
    for layer in program.layers:
        route = layer.routes[0]
        if route.pool is not None:
            outputs = int(np.prod(route.pool.out_shape))
            found.append(Stage("pool", inputs, outputs, None, None, route.pool, 0, 0))
            inputs = outputs
        found.append(_stage(layer, route, inputs, last=layer is program.layers[-1]))
        inputs = layer.n
    return tuple(found)


def _stage(layer: Layer, route: Route, inputs: int, *, last: bool) -> Stage:
    table = route.table
    least = -128 if last else 0
    if isinstance(table, ConvTable):
        weight = _kernel(table)
        shift = _shift(weight.reshape(len(weight), -1))
        return Stage("conv", inputs, layer.n, weight, table, None, shift, least)
    dense = _matrix(table, inputs, layer.n) if isinstance(table, SparseTable) else table.weight
    weight = np.ascontiguousarray(np.asarray(dense, dtype=np.int8).T)
    return Stage("dense", inputs, layer.n, weight, None, None, _shift(weight), least)


def _kernel(table: ConvTable) -> NDArray[np.int8]:
    """[C_in, K_y, K_x, C_out / g] by group to [C_out, K_y, K_x, C_in / g]."""
    w, g = table.weight, table.groups
    grouped = w.reshape(g, w.shape[0] // g, *w.shape[1:])
    turned = np.moveaxis(grouped, (4, 1), (1, 4))
    return np.ascontiguousarray(turned.reshape(g * w.shape[3], *turned.shape[2:]), dtype=np.int8)


def _matrix(table: SparseTable, inputs: int, outputs: int) -> NDArray[np.int8]:
    """[source, target], with zeros where there is no synapse."""
    found = np.zeros((inputs, outputs), dtype=np.int8)
    rows = np.repeat(np.arange(inputs), np.diff(table.indptr))
    found[rows, table.target] = table.weight
    return found


def _shift(weight: NDArray[np.int8]) -> int:
    """So that sums of random inputs use the int8 range without leaving it often."""
    spread = 40 * float(np.sqrt((weight.astype(np.float64) ** 2).sum(axis=1)).max(initial=1.0))
    return max(0, int(np.ceil(np.log2(max(spread, 1.0) * 3 / 127))))
