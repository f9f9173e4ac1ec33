"""The memory of one element, byte for byte: what the firmware reads and keeps its sums in.

Two parts, little-endian: the tables of `snnstack.backends.spinnaker2.memory`, in the order of
`ORDER`, and the host's interface: a header that says where every table is, what every kernel is,
and the boxes for packets. The C has the same structures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from snnstack.backends.spinnaker2.memory import table_bytes
from snnstack.backends.spinnaker2.network import ChipNetwork, ChipPopulation
from snnstack.backends.spinnaker2.program import INDEX_BITS, Element, Kernel, Program
from snnstack.backends.spinnaker2.words import slots
from snnstack.ir.nodes import Array
from snnstack.ir.step import Conv

ORDER = ("neurons", "inputs", "keys", "sources", "starts", "words", "kernels")
"""Tables from the first address up; no padding is needed in this order."""
HEADER = (
    "kind", "key", "n", "flags", "slots",
    "rows", "keys", "starts", "words",
    "kernel_count", "kernel_table",
    "neurons", "inputs", "inbox", "outbox",
)  # fmt: skip
"""Words of the header; the names of tables stand for their addresses."""
KINDS = ("source", "lif", "lif_curr_exp")
FIRES, SUBTRACT, WIDE, DELAYS = 1, 2, 4, 8
"""Bits of `flags`."""
LIF = ("v", "alpha", "i_offset", "threshold", "v_reset")
CURR_EXP = (*LIF, "ie", "ii", "exc_decay", "inh_decay")
"""Float32 words of a neuron, state and parameters."""
KERNEL = (
    "weights", "sources", "source_table",
    "c0", "c1", "y0", "y1", "x0", "x1",
    "group_in", "group_out", "ky", "kx", "sy", "sx", "py", "px", "dy", "dx", "height", "width",
    "pooled", "pool_ky", "pool_kx", "pool_sy", "pool_sx", "pool_py", "pool_px",
)  # fmt: skip
"""Int32 words of a kernel: `height`, `width` of the map that it reads, after the pool."""
SOURCE = np.dtype([("key", "<u4"), ("corner", "<u2", 3), ("size", "<u2", 3)])
"""A source of a kernel: the key of its first neuron, and the box that its neurons fill."""
BOX = 256
"""Packets that the inbox holds at once, and neurons that can fire: 32-bit words."""


@dataclass(frozen=True, eq=False)
class Image:
    """`parts`: {address: bytes} to load; `at`: addresses of tables; `neuron`: words of one.

    `tables`: bytes of the tables.
    """

    parts: Mapping[int, bytes]
    at: Mapping[str, int]
    neuron: tuple[str, ...]
    tables: int


def kind_of(network: ChipNetwork, population: str) -> str:
    """Which of `KINDS` an element of `population` runs."""
    if population == network.input.name:
        return "source"
    p = network.population(population)
    return "lif" if p.exc_decay is None else "lif_curr_exp"


def neuron_words(kind: str) -> tuple[str, ...]:
    """Names of the words of one neuron."""
    return {"source": (), "lif": LIF, "lif_curr_exp": CURR_EXP}[kind]


def element_bytes(network: ChipNetwork, element: Element) -> dict[str, int]:
    """Bytes of every table of `element`, by the sizes of what it holds; sources have none."""
    if element.population == network.input.name:
        return {}
    return table_bytes(
        network.population(element.population).application,
        element.wide,
        element.n,
        rows=len(element.rows.keys),
        words=len(element.rows.words),
        weights=sum(k.weight.size for k in element.kernels),
        boxes=sum(len(k.sources) for k in element.kernels),
    )


def image(program: Program, element: Element, interface: int, base: int) -> Image:
    """The memory of `element` at rest: the interface loaded at one address, tables at `base`."""
    network = program.network
    kind = kind_of(network, element.population)
    at, end = _addresses(network, element, base)
    places = {"header": interface, "inbox": interface + 4 * len(HEADER)}
    places["outbox"] = places["inbox"] + 4 * (BOX + 1)
    places["kernel_table"] = places["outbox"] + 4 * (BOX + 1)
    at |= places
    parts = {at["header"]: _header(network, element, kind, at).tobytes()}
    for name, values in _tables(network, element, kind).items():
        if name in at:
            parts[at[name]] = values.tobytes()
    rows = _kernels(network, element, at)
    if len(rows):
        parts[at["kernel_table"]] = rows.tobytes()
    return Image(parts, at, neuron_words(kind), end - base)


def _addresses(network: ChipNetwork, element: Element, base: int) -> tuple[dict[str, int], int]:
    """{table: address} from `base` up, and the address after the last."""
    sizes, at, end = element_bytes(network, element), {}, base
    for name in ORDER:
        if sizes.get(name):
            at[name], end = end, end + sizes[name]
    return at, end


def _header(network: ChipNetwork, element: Element, kind: str, at: Mapping[str, int]) -> Array:
    values = {name: at.get(name, 0) for name in HEADER}
    values |= {"kind": KINDS.index(kind), "key": element.key, "n": element.n, "slots": 1}
    if kind != "source":
        p = network.population(element.population)
        steps = slots(p.application)
        flags = FIRES * (p.threshold is not None) | SUBTRACT * (p.reset == "subtract")
        values["flags"] = flags | WIDE * element.wide | DELAYS * (steps > 1)
        values["slots"] = steps
        values["rows"], values["kernel_count"] = len(element.rows.keys), len(element.kernels)
    return np.array([values[name] for name in HEADER], dtype="<u4")


def _tables(network: ChipNetwork, element: Element, kind: str) -> dict[str, Array]:
    """What the tables hold at first; the sums of `inputs` are 0 in a memory that is cleared."""
    if kind == "source":
        return {}
    rows, kernels = element.rows, element.kernels
    p = network.population(element.population)
    return {
        "neurons": _neurons(p, neuron_words(kind), element.neurons),
        "inputs": np.zeros(element_bytes(network, element)["inputs"], dtype=np.uint8),
        "keys": rows.keys.astype("<u4"),
        "starts": rows.starts.astype("<u2"),
        "words": rows.words.astype("<u2"),
        "kernels": np.concatenate(
            [k.weight.astype(np.int8).reshape(-1) for k in kernels] or [np.zeros(0, np.int8)]
        ),
        "sources": np.concatenate([_sources(k) for k in kernels] or [np.zeros(0, SOURCE)]),
    }


def _neurons(p: ChipPopulation, words: tuple[str, ...], chosen: Array) -> Array:
    table = np.zeros((len(chosen), len(words)), dtype="<f4")
    for k, name in enumerate(words):
        values = getattr(p, name, None)
        if values is not None:
            table[:, k] = np.asarray(values, dtype=np.float32)[chosen]
    return table


def _sources(kernel: Kernel) -> Array:
    found = np.zeros(len(kernel.sources), dtype=SOURCE)
    found["key"] = kernel.sources.astype(np.uint32) << INDEX_BITS
    found["corner"] = kernel.boxes[:, :, 0]
    found["size"] = kernel.boxes[:, :, 1] - kernel.boxes[:, :, 0]
    return found


def _kernels(network: ChipNetwork, element: Element, at: Mapping[str, int]) -> Array:
    """The structures of the element's kernels: weights and sources stand one after the other."""
    rows, weights, sources = [], at.get("kernels", 0), at.get("sources", 0)
    for kernel in element.kernels:
        place = {"weights": weights, "source_table": sources}
        rows.append(_kernel(network, kernel, place))
        weights += kernel.weight.size
        sources += SOURCE.itemsize * len(kernel.sources)
    return np.array(rows, dtype="<i4")


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
