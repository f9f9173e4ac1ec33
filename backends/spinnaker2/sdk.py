"""A program as a stand-alone Python program for py-spinnaker2, with its data beside it.

Facts about that package: `snn.Population(size, neuron_model, params, name, record)`,
`snn.Projection(pre, post, connections=[[pre, post, weight, delay]])`, `snn.Conv2DProjection(pre,
post, weights [C_in, C_out, K_y, K_x], params)`, `hardware.SpiNNaker2Chip(eth_ip)`,
`hardware.SpiNNcloud48NodeBoard(stm_ip)` (spinnaker2.gitlab.io/py-spinnaker2).
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

import numpy as np

from snnstack.backends.spinnaker2.limits import limits_of
from snnstack.backends.spinnaker2.network import ChipNetwork, ChipPopulation, Connection
from snnstack.backends.spinnaker2.program import Program
from snnstack.ir.matrix import matrix, pool_matrix
from snnstack.ir.nodes import Array
from snnstack.ir.step import Conv, size
from snnstack.templates import environment

FOLDER = "py_spinnaker2"
NEVER = np.float32(3e38)
"""Threshold of a population that does not fire: the package has no other way to say it."""
TICK_S = 1e-3
"""Seconds of a step on the machine, unless its user says otherwise."""
RESETS = {"v_reset": "reset_to_v_reset", "subtract": "reset_by_subtraction"}


def sdk_files(program: Program) -> dict[str, bytes]:
    """`network.py` and `network.npz`: {path: content}."""
    arrays: dict[str, Array] = {}
    populations = [
        _population(program, p, k, arrays) for k, p in enumerate(program.network.populations)
    ]
    names = [p["name"] for p in populations]
    models = {p["name"]: p["model"] for p in populations}
    projections = [
        _projection(program.network, c, k, names, models, arrays)
        for k, c in enumerate(program.network.connections)
    ]
    template = environment("snnstack.backends.spinnaker2").get_template("network.py.j2")
    text = template.render(
        _machine(program) | {"populations": populations, "projections": projections}
    )
    return {f"{FOLDER}/network.py": text.encode(), f"{FOLDER}/network.npz": _npz(arrays)}


def _machine(program: Program) -> dict[str, Any]:
    single = limits_of(program.board).count == 1
    network = program.network
    return {
        "name": program.name,
        "version": metadata.version("snnstack"),
        "machine": "a single chip" if single else "a 48-chip board",
        "machine_class": "SpiNNaker2Chip" if single else "SpiNNcloud48NodeBoard",
        "address_name": "eth_ip" if single else "stm_ip",
        "inputs": size(network.input.shape),
        "input_name": network.input.name,
        "drain": program.drain,
        "tick": TICK_S,
    }


def _population(
    program: Program, p: ChipPopulation, number: int, arrays: dict[str, Array]
) -> dict[str, Any]:
    never = np.full(p.n, NEVER)
    values = {
        "threshold": never if p.threshold is None else p.threshold,
        "alpha_decay": p.alpha,
        "i_offset": p.i_offset,
        "v_init": np.zeros(p.n) if p.v_init is None else p.v_init,
        "v_reset": p.v_reset,
    }
    if p.exc_decay is not None and p.inh_decay is not None:
        values |= {"exc_decay": p.exc_decay, "inh_decay": p.inh_decay}
    for name, value in values.items():
        arrays[f"{number}_{name}"] = np.asarray(value, dtype=np.float32)
    return {
        "number": number,
        "name": p.name,
        "size": p.n,
        "model": _model(program.network, p),
        "arrays": list(values),
        "reset": RESETS[p.reset],
        "record": ["spikes"] if p.threshold is not None else [],
        "atoms": max(e.n for e in program.elements if e.population == p.name),
    }


def _model(network: ChipNetwork, p: ChipPopulation) -> str:
    """Its application; lists of synapses instead of kernels that the package cannot express."""
    if p.application != "lif_conv2d" or all(_kernel(c) for c in network.into(p.name)):
        return p.application
    return "lif_no_delay"


def _projection(
    network: ChipNetwork,
    c: Connection,
    number: int,
    names: Sequence[str],
    models: Mapping[str, str],
    arrays: dict[str, Array],
) -> dict[str, Any]:
    kernel = _kernel(c) if models[c.target] == "lif_conv2d" else None
    if kernel is not None:
        assert isinstance(c.synapses, Conv)
        arrays[f"c{number}"] = np.ascontiguousarray(c.synapses.weight.swapaxes(0, 1), np.int8)
    else:
        arrays[f"c{number}"] = listed(c, network.population(c.target).n)
    pre = "stimulus" if c.source not in names else f"population_{names.index(c.source)}"
    return {
        "number": number,
        "source": c.source,
        "target": c.target,
        "pre": pre,
        "post": f"population_{names.index(c.target)}",
        "kernel": kernel,
    }


def _kernel(c: Connection) -> dict[str, int] | None:
    """Parameters of a `Conv2DProjection`; None where it could not say, or not clearly, the same.

    Which axis its two strides belong to is not documented: they must be equal.
    """
    conv = c.synapses
    if not isinstance(conv, Conv) or c.pool is not None or c.delay:
        return None
    (_, height, width), (_, out_height, out_width) = conv.in_shape, conv.out_shape
    whole = [
        (length + 2 * conv.padding[a] - conv.weight.shape[2 + a]) // conv.stride[a] + 1
        for a, length in enumerate((height, width))
    ]
    plain = conv.groups == 1 and conv.dilation == (1, 1) and conv.stride[0] == conv.stride[1]
    if not plain or whole != [out_height, out_width]:
        return None
    return {
        "in_height": height,
        "in_width": width,
        "stride_x": conv.stride[1],
        "stride_y": conv.stride[0],
        "pool_x": 1,
        "pool_y": 1,
        "pad_top": conv.padding[0],
        "pad_bottom": conv.padding[0],
        "pad_left": conv.padding[1],
        "pad_right": conv.padding[1],
    }


def listed(c: Connection, targets: int) -> Array:
    """int64 [synapses, 4]: source, target, weight, delay; overlapping windows stay apart."""
    table = matrix(c.synapses, targets).tocoo()
    target, seen, weight = table.row, table.col, table.data
    if c.pool is not None:
        window = pool_matrix(c.pool).tocsr()
        width = np.diff(window.indptr)[seen]
        first = window.indptr[:-1][seen]
        ahead = np.arange(width.sum()) - np.repeat(np.cumsum(width) - width, width)
        seen = window.indices[np.repeat(first, width) + ahead]
        target, weight = np.repeat(target, width), np.repeat(weight, width)
    used = weight != 0
    columns = (seen[used], target[used], weight[used], np.full(used.sum(), c.delay))
    found = np.stack(columns, axis=1).astype(np.int64).reshape(-1, 4)
    return np.asarray(found[np.lexsort((found[:, 1], found[:, 0]))])


def _npz(arrays: Mapping[str, Array]) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()
