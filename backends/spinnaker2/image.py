"""The data memory of one element, byte for byte: what the firmware reads and keeps its sums in.

All values little-endian, tables 4-byte aligned. A header of `HEADER` says where every table is;
`firmware/element.c` has the same structure in C. `table_bytes` is the only place that says how
large a table is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from snnstack.backends.spinnaker2.network import ChipNetwork, ChipPopulation
from snnstack.backends.spinnaker2.program import Element, Kernel, Program
from snnstack.backends.spinnaker2.words import slots
from snnstack.ir.nodes import Array
from snnstack.ir.step import Conv

HEADER = (
    "kind", "key", "n", "flags", "slots",
    "rows", "keys", "starts", "words",
    "kernels", "kernel_table",
    "neurons", "sums", "inbox", "outbox",
)  # fmt: skip
"""Words of the header; the names of tables stand for their addresses."""
KINDS = ("source", "lif", "lif_curr_exp")
FIRES, SUBTRACT, WIDE, DELAYS = 1, 2, 4, 8
"""Bits of `flags`."""
LIF = ("v", "alpha", "i_offset", "threshold", "v_reset")
CURR_EXP = ("v", "alpha", "i_offset", "threshold", "v_reset", "ie", "ii", "exc_decay", "inh_decay")
"""Float32 words of a neuron, state and parameters."""
KERNEL = (
    "weights", "sources", "source_table",
    "c0", "c1", "y0", "y1", "x0", "x1",
    "group_in", "group_out", "ky", "kx", "sy", "sx", "py", "px", "dy", "dx", "height", "width",
    "pooled", "pool_ky", "pool_kx", "pool_sy", "pool_sx", "pool_py", "pool_px",
)  # fmt: skip
"""Int32 words of a kernel: `height`, `width` of the map that it reads, after the pool."""
SOURCE_WORDS = 7
"""Int32 words of a kernel's source: element, then its box."""
SUM_STRIDE = 512
"""Sums of a step: one for each sign and index that a synapse word can name."""
BOX = 256
"""Packets that the inbox holds at once, and neurons that can fire: 32-bit words."""


@dataclass(frozen=True, eq=False)
class Image:
    """`data` as loaded at `base`; `at`: addresses by table; `neuron`: words of a neuron."""

    data: bytes
    at: Mapping[str, int]
    neuron: tuple[str, ...]


def kind_of(network: ChipNetwork, population: str) -> str:
    """Which of `KINDS` an element of `population` runs."""
    if population == network.input.name:
        return "source"
    p = network.population(population)
    return "lif" if p.exc_decay is None else "lif_curr_exp"


def neuron_words(kind: str) -> tuple[str, ...]:
    """Names of the words of one neuron."""
    return {"source": (), "lif": LIF, "lif_curr_exp": CURR_EXP}[kind]


def table_bytes(
    kind: str,
    n: int,
    steps: int,
    wide: bool,
    rows: int,
    words: int,
    kernels: tuple[tuple[int, int], ...] = (),
) -> dict[str, int]:
    """Bytes of every table of an element, 4-byte aligned.

    `steps`: slots of sums (see `words.slots`). `rows`, `words`: of the synapse table.
    `kernels`: (weights, sources) of every kernel.
    """
    if kind == "source":
        return {"header": 4 * len(HEADER), "inbox": 4 * (BOX + 1), "outbox": 4 * (BOX + 1)}
    found = {
        "header": 4 * len(HEADER),
        "keys": 4 * rows,
        "starts": _aligned(2 * (rows + 1)),
        "words": _aligned(2 * words),
        "kernel_table": 4 * len(KERNEL) * len(kernels),
        "source_table": sum(4 * SOURCE_WORDS * sources for _, sources in kernels),
        "weights": sum(_aligned(weights) for weights, _ in kernels),
        "neurons": 4 * len(neuron_words(kind)) * n,
        "sums": SUM_STRIDE * steps * (4 if wide else 2),
        "inbox": 4 * (BOX + 1),
        "outbox": 4 * (BOX + 1),
    }
    return {name: size for name, size in found.items() if size}


def element_bytes(network: ChipNetwork, element: Element) -> dict[str, int]:
    """Bytes of every table of `element`."""
    kind = kind_of(network, element.population)
    steps = 1 if kind == "source" else slots(network.population(element.population).application)
    kernels = tuple((k.weight.size, len(k.sources)) for k in element.kernels)
    rows = element.rows
    return table_bytes(
        kind, element.n, steps, element.wide, len(rows.keys), len(rows.words), kernels
    )


def image(program: Program, element: Element, base: int) -> Image:
    """The data memory of `element`, loaded at address `base`, at rest."""
    network = program.network
    kind = kind_of(network, element.population)
    sizes = element_bytes(network, element)
    at, end = {}, base
    for name, size in sizes.items():
        at[name], end = end, end + size
    filled = {"keys": element.rows.keys.astype("<u4"), "starts": element.rows.starts.astype("<u2"),
              "words": element.rows.words.astype("<u2")}  # fmt: skip
    filled |= _kernels(network, element, at)
    if kind != "source":
        p = network.population(element.population)
        filled["neurons"] = _neurons(p, neuron_words(kind), element.neurons)
    filled["header"] = _header(network, element, kind, at)
    data = bytearray(end - base)
    for name, values in filled.items():
        if name in at:
            raw = values.tobytes()
            data[at[name] - base : at[name] - base + len(raw)] = raw
    return Image(bytes(data), at, neuron_words(kind))


def _aligned(size: int) -> int:
    return -(-size // 4) * 4


def _header(network: ChipNetwork, element: Element, kind: str, at: Mapping[str, int]) -> Array:
    values = {name: at.get(name, 0) for name in HEADER}
    values |= {"kind": KINDS.index(kind), "key": element.key, "n": element.n, "slots": 1}
    if kind != "source":
        p = network.population(element.population)
        steps = slots(p.application)
        flags = FIRES * (p.threshold is not None) | SUBTRACT * (p.reset == "subtract")
        values["flags"] = flags | WIDE * element.wide | DELAYS * (steps > 1)
        values["slots"] = steps
        values["rows"], values["kernels"] = len(element.rows.keys), len(element.kernels)
    return np.array([values[name] for name in HEADER], dtype="<u4")


def _neurons(p: ChipPopulation, words: tuple[str, ...], chosen: Array) -> Array:
    table = np.zeros((len(chosen), len(words)), dtype="<f4")
    for k, name in enumerate(words):
        values = p.v_init if name == "v" else getattr(p, name, None)
        if values is not None:
            table[:, k] = np.asarray(values, dtype=np.float32)[chosen]
    return table


def _kernels(network: ChipNetwork, element: Element, at: Mapping[str, int]) -> dict[str, Array]:
    """The tables of the element's kernels: weights and sources one kernel after the other."""
    if not element.kernels:
        return {}
    rows: list[list[int]] = []
    sources: list[list[int]] = []
    weights = bytearray()
    for kernel in element.kernels:
        place = {
            "weights": at["weights"] + len(weights),
            "source_table": at["source_table"] + 4 * SOURCE_WORDS * len(sources),
        }
        rows.append(_kernel(network, kernel, place))
        sources += _sources(kernel)
        raw = kernel.weight.astype(np.int8).tobytes()
        weights += raw + bytes(_aligned(len(raw)) - len(raw))
    return {
        "kernel_table": np.array(rows, dtype="<i4"),
        "source_table": np.array(sources, dtype="<i4"),
        "weights": np.frombuffer(bytes(weights), dtype=np.int8),
    }


def _sources(kernel: Kernel) -> list[list[int]]:
    return [
        [int(number), *(int(edge) for edge in box.reshape(-1))]
        for number, box in zip(kernel.sources, kernel.boxes, strict=True)
    ]


def _kernel(network: ChipNetwork, kernel: Kernel, place: Mapping[str, int]) -> list[int]:
    connection = network.connections[kernel.connection]
    conv, pool = connection.synapses, connection.pool
    assert isinstance(conv, Conv)
    box = dict(zip(KERNEL[3:9], (int(edge) for edge in kernel.box.reshape(-1)), strict=True))
    values = dict.fromkeys(KERNEL, 0) | box | dict(place)
    values |= {
        "sources": len(kernel.sources),
        "group_in": conv.in_shape[0] // conv.groups,
        "group_out": conv.out_shape[0] // conv.groups,
        "height": conv.in_shape[1],
        "width": conv.in_shape[2],
    }
    values |= _pairs("k", (conv.weight.shape[2], conv.weight.shape[3]))
    values |= _pairs("s", conv.stride) | _pairs("p", conv.padding) | _pairs("d", conv.dilation)
    if pool is not None:
        values["pooled"] = 1
        values |= _pairs("pool_k", pool.kernel) | _pairs("pool_s", pool.stride)
        values |= _pairs("pool_p", pool.padding)
    return [values[name] for name in KERNEL]


def _pairs(name: str, pair: tuple[int, int]) -> dict[str, int]:
    return {f"{name}y": int(pair[0]), f"{name}x": int(pair[1])}
