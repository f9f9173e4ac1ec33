"""Hand-made layers, and a dense numpy model of their arithmetic to hold firmware against.

The model knows nothing of events, tables or C: it multiplies dense matrices made from the
mathematical definition of each connection.
"""

from __future__ import annotations

import shutil
from dataclasses import fields, replace
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from snnstack.backends.mcu.events import memory_order
from snnstack.backends.mcu.numerics import NUMERICS
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
from snnstack.board import load_board
from snnstack.dynamics.model import Neurons
from snnstack.ir.lif import CHOICES, family
from snnstack.ir.step import Pool
from snnstack.quant.neurons import held
from snnstack.trace import Spikes

_GCC = ("arm-none-eabi-gcc", "riscv64-unknown-elf-gcc")
needs_gcc = pytest.mark.skipif(
    not all(map(shutil.which, _GCC)),
    reason="apt-get install gcc-arm-none-eabi gcc-riscv64-unknown-elf",
)

V_MAX, I_MAX = 2**30 - 1, 2**29 - 1


def layer(name: str, shape: tuple[int, ...], *routes: Route, **changes: Any) -> Layer:
    """A LIF layer with int32 accumulators; parameters may be numbers."""
    n = int(np.prod(shape))
    values: dict[str, Any] = {
        "alpha": 60000, "beta": None, "shift": 6, "bias": 0, "leak": 0, "threshold": 3000,
        "v_reset": 0, "reset": "set", "compare": "gt", "refractory": 0, "order": "c",
        "accumulator_bits": 32, "saturate_v": False, "saturate_i": False, "history": 1,
    } | changes  # fmt: skip
    for key in ("alpha", "beta", "bias", "leak", "threshold", "v_reset"):
        if values[key] is not None:
            values[key] = np.broadcast_to(np.asarray(values[key], np.int32), (n,)).copy()
    own = {f.name for f in fields(Layer)}
    numbers = {k: values.pop(k) for k in [*values] if k not in own}
    choices = {k: numbers.pop(k) for k in [*numbers] if k in (*CHOICES, "refractory")}
    neurons = held(Neurons(n=n, number="int32", **family(numbers, choices)), NUMERICS)
    return Layer(name=name, shape=shape, routes=routes, neurons=neurons, **values)


def program(
    board: str, layers: tuple[Layer, ...], port: InputPort, golden: Golden | None = None
) -> Program:
    """A program called "net" whose last layer is the output."""
    return Program(
        name="net", board=load_board(board), input=port, layers=layers,
        outputs=(layers[-1].name,), dt=1e-3, memory={"flash": 0, "ram": 0, "stack": 1024},
        scales={}, golden=golden,
    )  # fmt: skip


def port(shape: tuple[int, ...], **changes: Any) -> InputPort:
    """A binary input in C order."""
    base = InputPort(name="input", shape=shape, order="c", max_count=1, history=1)
    return replace(base, **changes)


def spikes(shape: tuple[int, ...], rate: float, *, batch: int = 2, steps: int = 12,
           most: int = 1, seed: int = 0) -> Spikes:  # fmt: skip
    """Random events, up to `most` per element."""
    rng = np.random.default_rng(seed)
    dense = (rng.random((batch, steps, *shape)) < rate) * rng.integers(
        1, most + 1, (batch, steps, *shape)
    )
    return Spikes.from_dense(dense.astype(np.uint8))


def without_regions(net: Program, **capacity: int) -> Program:
    """The network on the same board with nothing but its flash and RAM, `capacity` replaced."""
    board = net.board
    fields = {name: getattr(board, name) for name in board.__struct_fields__}
    fields["hardware"] = {**board.hardware, "regions": []}
    fields["capacity"] = dict(board.capacity) | {
        name: msgspec.structs.replace(board.capacity[name], value=value)
        for name, value in capacity.items()
    }
    return replace(net, board=type(board)(**fields))


def weights(*shape: int, seed: int = 1) -> NDArray[np.int8]:
    """Random int8."""
    return np.random.default_rng(seed).integers(-127, 128, shape).astype(np.int8)


def sparse(source: int, target: int, density: float = 0.3, seed: int = 2) -> SparseTable:
    """Random synapses; some rows are empty."""
    rng = np.random.default_rng(seed)
    mask = rng.random((source, target)) < density
    mask[::4] = False
    indptr = np.concatenate([[0], np.cumsum(mask.sum(axis=1))])
    return SparseTable(
        indptr=indptr, target=np.nonzero(mask)[1].astype(np.int32),
        weight=weights(int(mask.sum()), seed=seed),
    )  # fmt: skip


def conv(channels: int, out: int, in_hw: tuple[int, int], kernel: tuple[int, int],
         stride: tuple[int, int] = (1, 1), padding: tuple[int, int] = (0, 0),
         dilation: tuple[int, int] = (1, 1), groups: int = 1) -> ConvTable:  # fmt: skip
    """Random weights; the output shape follows from the rest."""
    out_hw = [
        (in_hw[k] + 2 * padding[k] - dilation[k] * (kernel[k] - 1) - 1) // stride[k] + 1
        for k in (0, 1)
    ]
    return ConvTable(
        weight=weights(channels, *kernel, out // groups, seed=5),
        in_shape=(channels, *in_hw), out_shape=(out, out_hw[0], out_hw[1]),
        stride=stride, padding=padding, dilation=dilation, groups=groups,
    )  # fmt: skip


def matrix(route: Route, n_in: int, n_out: int) -> NDArray[np.int64]:
    """[source, target] in memory order, from the definition of the connection."""
    table = route.table
    if isinstance(table, DenseTable):
        found = table.weight.astype(np.int64)
    elif isinstance(table, SparseTable):
        found = np.zeros((len(table.indptr) - 1, n_out), dtype=np.int64)
        for s in range(len(table.indptr) - 1):
            for k in range(table.indptr[s], table.indptr[s + 1]):
                found[s, table.target[k]] += table.weight[k]
    else:
        found = _conv_matrix(table)
    return found if route.pool is None else _pool_matrix(route.pool) @ found


def _conv_matrix(t: ConvTable) -> NDArray[np.int64]:
    """Cross-correlation: output (oy, ox) reads input (oy s - p + k d)."""
    (channels, height, width), (outs, out_y, out_x) = t.in_shape, t.out_shape
    found = np.zeros((height, width, channels, out_y, out_x, outs), dtype=np.int64)
    per_in, per_out = channels // t.groups, outs // t.groups
    for oy, ox, ky, kx in np.ndindex(out_y, out_x, t.weight.shape[1], t.weight.shape[2]):
        y = oy * t.stride[0] - t.padding[0] + ky * t.dilation[0]
        x = ox * t.stride[1] - t.padding[1] + kx * t.dilation[1]
        if 0 <= y < height and 0 <= x < width:
            for c in range(channels):
                g = c // per_in
                part = slice(g * per_out, (g + 1) * per_out)
                found[y, x, c, oy, ox, part] += t.weight[c, ky, kx]
    return found.reshape(height * width * channels, -1)


def _pool_matrix(pool: Pool) -> NDArray[np.int64]:
    (channels, height, width), (_, out_y, out_x) = pool.in_shape, pool.out_shape
    found = np.zeros((height, width, channels, out_y, out_x, channels), dtype=np.int64)
    for oy, ox, ky, kx in np.ndindex(out_y, out_x, *pool.kernel):
        y = oy * pool.stride[0] - pool.padding[0] + ky
        x = ox * pool.stride[1] - pool.padding[1] + kx
        if 0 <= y < height and 0 <= x < width:
            for c in range(channels):
                found[y, x, c, oy, ox, c] += 1
    return found.reshape(height * width * channels, -1)


def simulate(net: Program, given: Spikes) -> dict[tuple[str, str], NDArray[np.int64]]:
    """{(layer, "s" | "v" | "i"): [batch, steps, n]}, all in C order."""
    entry = given.dense().reshape(given.batch, given.steps, -1).astype(np.int64)
    past = {net.input.name: entry[:, :, memory_order(net.input.shape, net.input.order)]}
    state: dict[str, NDArray[np.int64]] = {}
    found: dict[tuple[str, str], NDArray[np.int64]] = {}
    matrices = {}
    for x in net.layers:
        for k, route in enumerate(x.routes):
            n_in = past[route.source].shape[2] if route.source in past else 0
            matrices[x.name, k] = matrix(route, n_in, x.n)
        past[x.name] = np.zeros((given.batch, given.steps, x.n), dtype=np.int64)
        for key in ("v", "i", "wait"):
            state[x.name + key] = np.zeros((given.batch, x.n), dtype=np.int64)
        for key in ("s", "v", "i"):
            found[x.name, key] = np.zeros((given.batch, given.steps, x.n), dtype=np.int64)
    for t in range(given.steps):
        for x in net.layers:
            acc = np.zeros((given.batch, x.n), dtype=np.int64)
            for k, route in enumerate(x.routes):
                if t >= route.delay:
                    acc += past[route.source][:, t - route.delay] @ matrices[x.name, k]
            past[x.name][:, t] = _update(x, acc, state)
            back = np.argsort(memory_order(x.shape, x.order))
            found[x.name, "s"][:, t] = past[x.name][:, t][:, back]
            for key in ("v", "i"):
                found[x.name, key][:, t] = state[x.name + key][:, back]
    return found


def _update(x: Layer, acc: NDArray[Any], state: dict[str, NDArray[Any]]) -> NDArray[Any]:
    drive = acc * 2**x.shift + x.bias
    if x.beta is not None:
        current = (state[x.name + "i"] * x.beta.astype(np.int64)) // 65536 + drive
        drive = state[x.name + "i"] = np.clip(current, -I_MAX, I_MAX)
    v, wait = state[x.name + "v"], state[x.name + "wait"]
    new = (v * x.alpha.astype(np.int64)) // 65536 + drive + x.leak
    if x.reset_time != "now":
        return _late(x, new, state)
    new = np.clip(new, -V_MAX, V_MAX)
    awake = wait == 0
    fired = np.zeros_like(awake)
    if x.threshold is not None:
        fired = awake & (new > x.threshold if x.compare == "gt" else new >= x.threshold)
        after = new - x.threshold if x.reset == "subtract" else x.v_reset
        new = new if x.reset == "none" else np.where(fired, after, new)
    state[x.name + "v"] = np.where(awake, new, v)
    state[x.name + "wait"] = np.where(fired, x.refractory, np.maximum(wait - 1, 0))
    return fired.astype(np.int64)


def _late(x: Layer, new: NDArray[Any], state: dict[str, NDArray[Any]]) -> NDArray[Any]:
    """A subtraction that the membrane of the step before asks for."""
    above = np.greater if x.compare == "gt" else np.greater_equal
    asked = above(state[x.name + "v"], x.threshold) * x.threshold.astype(np.int64)
    if x.reset_time == "next":
        state[x.name + "v"] = np.clip(new - asked, -V_MAX, V_MAX)
        return above(state[x.name + "v"], x.threshold).astype(np.int64)
    new = np.clip(new, -V_MAX, V_MAX)
    fired = above(new - asked, x.threshold).astype(np.int64)
    state[x.name + "v"] = new - fired * x.threshold
    return fired
