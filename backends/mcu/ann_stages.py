"""The layers of the opponent in memory order: plain int8 matrices and kernels.

They are those of a trained network (`stages_of`), or of a program's own tables (`stages`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from snnstack.backends.mcu.program import ConvTable, Layer, Program, Route, SparseTable
from snnstack.errors import Problem, TargetError, raise_if_any
from snnstack.ir.step import Conv, Pool
from snnstack.quant.opponent import Layer as Trained
from snnstack.quant.opponent import Opponent
from snnstack.quant.opponent_int8 import Int8Opponent

Kind = Literal["dense", "conv", "pool"]


@dataclass(frozen=True, eq=False)
class Stage:
    """One step of the opponent, on activations in memory order (maps: channel last).

    `weight` int8: dense [outputs, inputs]; conv [outputs, K_y, K_x, inputs / groups]; a pool has
    none. `table`, `pool`: the geometry. `shift`: right shift of the sums; `least`: 0 for ReLU.
    `bias` int32: one per row of `weight`; None: zeros.
    """

    kind: Kind
    inputs: int
    outputs: int
    weight: NDArray[np.int8] | None
    table: ConvTable | None
    pool: Pool | None
    shift: int
    least: int
    bias: NDArray[np.int32] | None = None

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


def stages_of(opponent: Int8Opponent) -> tuple[Stage, ...]:
    """All stages of a network in C order, its weights and biases in memory order."""
    found: list[Stage] = []
    layers = opponent.net.layers
    inputs = opponent.net.inputs
    for k, layer in enumerate(layers):
        if layer.pool is not None:
            outputs = int(np.prod(layer.pool.out_shape))
            found.append(Stage("pool", inputs, outputs, None, None, layer.pool, 0, 0))
            inputs = outputs
        least = -128 if k + 1 == len(layers) else 0
        found.append(_trained(opponent.net, k, inputs, opponent.shifts[k], least))
        inputs = layer.n
    return tuple(found)


def _trained(net: Opponent, k: int, inputs: int, shift: int, least: int) -> Stage:
    layer = net.layers[k]
    bias = layer.bias.astype(np.int32)
    weight = layer.synapses.weight.astype(np.int8)
    if isinstance(layer.synapses, Conv):
        c = layer.synapses
        table = ConvTable(np.moveaxis(weight, 0, -1), c.in_shape, c.out_shape, c.stride,
                          c.padding, c.dilation, c.groups)  # fmt: skip
        turned = np.ascontiguousarray(np.moveaxis(weight, 1, -1))
        return Stage("conv", inputs, layer.n, turned, table, None, shift, least, bias)
    rows = permutation(net, k + 1)
    columns = permutation(net, k) if layer.pool is None else _channel_last(layer.pool.out_shape)
    dense = np.ascontiguousarray(weight[np.ix_(rows, columns)])
    return Stage("dense", inputs, layer.n, dense, None, None, shift, least, bias[rows])


def permutation(net: Opponent, k: int) -> NDArray[np.int64]:
    """What enters layer `k` (for the last one more: the result), as C-order numbers by place.

    Maps that a convolution or a pool reads or writes are held channel last.
    """
    layers = net.layers
    if k < len(layers):
        shape = _map(layers[k])
        if shape is not None:
            return _channel_last(shape)
    before = layers[k - 1].synapses if k else None
    if isinstance(before, Conv):
        return _channel_last(before.out_shape)
    return np.arange(layers[k - 1].n if k else net.inputs)


def _map(layer: Trained) -> tuple[int, int, int] | None:
    """The map that a layer reads, None where it reads a plain list."""
    if layer.pool is not None:
        return layer.pool.in_shape
    return layer.synapses.in_shape if isinstance(layer.synapses, Conv) else None


def _channel_last(shape: tuple[int, int, int]) -> NDArray[np.int64]:
    return np.arange(int(np.prod(shape))).reshape(shape[0], -1).T.ravel()
