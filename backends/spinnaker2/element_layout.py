"""What one processing element holds in its data SRAM: a header, tables and state, as bytes.

The firmware of an element is one binary for each neuron application; everything about a network
stands in this image, as on the chip, where the host writes a data specification to every element.
Offsets are bytes from the start of the image; all words are little endian.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from snnstack.backends.spinnaker2.element_synapses import (
    Block,
    ConvTable,
    Rows,
    conv_table,
    kernel_fits,
    rows_from,
)
from snnstack.backends.spinnaker2.network import (
    MAX_DELAY,
    Application,
    ChipNetwork,
    ChipPopulation,
    Connection,
)
from snnstack.errors import CapacityError, ModelError, Problem, raise_if_any
from snnstack.ir.nodes import Array, node
from snnstack.ir.step import size

INDEXED = 256
"""Neurons that the 8-bit index of a synapse word can tell apart."""
MAX_NEURONS = 250
"""Neurons the chip's applications take on one element."""
DATA_BYTES = 96 * 1024
"""SRAM of an element that is left for data, of 128 kB."""
PACKETS = 256
"""Packets an element takes at a time."""
SLOTS = MAX_DELAY + 1
NO_ROWS = 0xFFFF_FFFF
SUBTRACT, FIRES = 1, 2

HEADER = (
    "n", "key", "flags", "slot", "stride", "unexpected", "events", "source_count",
    "packets", "sent", "alpha", "i_offset", "threshold", "v_reset", "exc_decay", "inh_decay",
    "v", "ie", "ii", "sums", "sources", "convs", "rows", "words", "kernels",
)  # fmt: skip
"""Words at the start of an image, from "packets" on offsets; the C structure has the same."""


@node
class Image:
    """The data SRAM of one element before the first step; `offsets` by name as in `HEADER`.

    `heard`: the blocks whose packets it needs. `tables`: bytes by table, for the report.
    """

    block: Block
    heard: tuple[Block, ...]
    application: Application
    data: bytes
    offsets: dict[str, int]
    tables: dict[str, int]


def has_delays(application: Application) -> bool:
    """Do the application's synapse words hold a delay?"""
    return application in ("lif", "lif_curr_exp")


def has_currents(application: Application) -> bool:
    """Does the application keep synaptic currents?"""
    return application.startswith("lif_curr_exp")


def max_weight(application: Application) -> int:
    """The largest magnitude of a weight: 4 bits beside a delay, else 7."""
    return 15 if has_delays(application) else 127


def split(network: ChipNetwork, largest: int = MAX_NEURONS) -> tuple[tuple[Block, ...], ...]:
    """(input blocks, population blocks) of at most `largest` neurons, keys in ascending order.

    A cut without regard for memory, for networks that no compiler has placed. Maps of a
    convolution are cut between channels where a channel has at most `largest` neurons.
    """
    entry, made, key = network.input, list[Block](), 0
    for name, shape in ((entry.name, entry.shape), *((p.name, p.shape) for p in network.populations)):
        n, plane = size(shape), size(shape[1:])
        step = largest // plane * plane if len(shape) == 3 and plane <= largest else largest
        for start in range(0, n, step):
            made.append(Block(name, np.arange(start, min(start + step, n)), key))
            key += 1 << (step - 1).bit_length()
    return (
        tuple(b for b in made if b.source == entry.name),
        tuple(b for b in made if b.source != entry.name),
    )


def images(
    network: ChipNetwork, inputs: Sequence[Block], elements: Sequence[Block]
) -> tuple[Image, ...]:
    """One image for each of `elements`, which receive from `inputs` and from each other.

    Raises `ModelError` for synapses the applications cannot hold and `CapacityError` for
    elements whose image exceeds `DATA_BYTES`; both name all of them.
    """
    raise_if_any(ModelError, synapse_problems(network))
    sources = (*inputs, *elements)
    made: dict[int, Image] = {}
    for name in dict.fromkeys(e.source for e in elements):
        own = [e for e in elements if e.source == name]
        parts = _population_images(network, network.population(name), sources, own)
        made |= {image.block.key: image for image in parts}
    ordered = tuple(made[e.key] for e in elements)
    raise_if_any(CapacityError, _capacity_problems(ordered))
    return ordered


def synapse_problems(network: ChipNetwork) -> Iterator[Problem]:
    """Weights and delays that the synapse words of the applications cannot hold."""
    for p in network.populations:
        limit = max_weight(p.application)
        for c in network.into(p.name):
            where = f"{c.source} -> {c.target}"
            largest = int(np.abs(c.synapses.weight).max(initial=0))
            if largest > limit:
                yield Problem(where, f"weight {largest}, {p.application} takes {limit} at most")
            longest = MAX_DELAY if has_delays(p.application) else 0
            if not 0 <= c.delay <= longest:
                yield Problem(where, f"delay {c.delay}, {p.application} takes {longest} at most")


def _capacity_problems(made: Iterable[Image]) -> Iterator[Problem]:
    for image in made:
        if len(image.data) > DATA_BYTES:
            parts = ", ".join(f"{name} {count}" for name, count in image.tables.items() if count)
            what = f"needs {len(image.data)} bytes of {DATA_BYTES} ({parts})"
            yield Problem(str(image.block), what, "put fewer neurons on an element")
        indexed = has_delays(image.application) or image.tables["words"]
        if indexed and image.block.n > INDEXED:
            what = f"{image.block.n} neurons, the index of a synapse word counts {INDEXED}"
            yield Problem(str(image.block), what, "put fewer neurons on an element")


def _population_images(
    network: ChipNetwork, p: ChipPopulation, sources: Sequence[Block], own: Sequence[Block]
) -> Iterator[Image]:
    """The images of a population's elements; unrolled synapses are made once for all of them."""
    kernels: list[Connection] = []
    listed: list[Connection] = []
    for c in network.into(p.name):
        plain = p.application == "lif_conv2d" and kernel_fits(c, sources, own)
        (kernels if plain else listed).append(c)
    rows = rows_from(listed, p.n)
    names = {c.source for c in (*kernels, *listed)}
    heard = sorted((s for s in sources if s.source in names), key=lambda s: s.key)
    for element in own:
        places = element.places(p.n)
        yield _image(p, element, heard, {s: r.onto(places) for s, r in rows.items()}, kernels)


def _image(
    p: ChipPopulation,
    element: Block,
    heard: Sequence[Block],
    rows: dict[str, Rows],
    kernels: Sequence[Connection],
) -> Image:
    stride = max(INDEXED, 1 << (element.n - 1).bit_length())
    delays, parts = has_delays(p.application), _Parts()
    parts.add("packets", np.zeros(PACKETS, dtype=np.uint32))
    parts.add("sent", np.zeros(element.n + 1, dtype=np.uint32))
    _add_parameters(parts, p, element)
    parts.add("sums", np.zeros((SLOTS if delays else 1) * 2 * stride, dtype=np.uint32))
    tables = [[conv_table(c, b, element) for c in kernels if c.source == b.source] for b in heard]
    _add_sources(parts, heard, rows, tables)
    _add_kernels(parts, [table for some in tables for table in some])
    limit = max_weight(p.application)
    _add_rows(parts, [rows[b.source].words(b, delays, limit) for b in heard if b.source in rows])
    flags = SUBTRACT * (p.reset == "subtract") + FIRES * (p.threshold is not None)
    settings = [element.n, element.key, flags, 0, stride, 0, 0, len(heard)]
    data, offsets, sizes = parts.joined(settings)
    return Image(element, tuple(heard), p.application, data, offsets, sizes)


def _add_parameters(parts: _Parts, p: ChipPopulation, element: Block) -> None:
    for name in ("alpha", "i_offset", "threshold", "v_reset", "exc_decay", "inh_decay"):
        values = getattr(p, name)
        kept = np.zeros(0) if values is None else np.asarray(values)[element.neurons]
        parts.add(name, kept.astype(np.float32))
    for name in ("v", "ie", "ii"):
        used = name == "v" or has_currents(p.application)
        parts.add(name, np.zeros(element.n if used else 0, dtype=np.float32))


def _add_sources(
    parts: _Parts,
    heard: Sequence[Block],
    rows: dict[str, Rows],
    tables: Sequence[Sequence[ConvTable]],
) -> None:
    """Per source block: first key, neurons, first row, first and last kernel."""
    lines, row, kernel = [], 0, 0
    for block, mine in zip(heard, tables, strict=True):
        listed = block.source in rows
        lines.append([block.key, block.n, row if listed else NO_ROWS, kernel, kernel + len(mine)])
        row += block.n if listed else 0
        kernel += len(mine)
    parts.add("sources", np.array(lines, dtype=np.uint32).ravel())


def _add_kernels(parts: _Parts, tables: Sequence[ConvTable]) -> None:
    """Kernels that several source blocks share are kept once."""
    place: dict[bytes, int] = {}
    total, geometry = 0, []
    for table in tables:
        content = table.weight.tobytes()
        if content not in place:
            place[content] = total
            total += len(content)
        geometry.append([*table.geometry, place[content]])
    parts.add("convs", np.array(geometry, dtype=np.int32).ravel())
    parts.add("kernels", np.frombuffer(b"".join(place), dtype=np.int8))


def _add_rows(parts: _Parts, found: Sequence[tuple[Array, Array]]) -> None:
    """Where each row begins, and the end; then the words of all rows."""
    lengths = np.concatenate([[0], *(lengths for _, lengths in found)])
    parts.add("rows", np.cumsum(lengths).astype(np.uint32))
    parts.add("words", np.concatenate([np.zeros(0, np.uint16), *(words for words, _ in found)]))


class _Parts:
    """The parts of an image, each from a multiple of four bytes on."""

    def __init__(self) -> None:
        self._parts: dict[str, bytes] = {}

    def add(self, name: str, values: Array) -> None:
        data = values.tobytes()
        self._parts[name] = data + bytes(-len(data) % 4)

    def joined(self, settings: Sequence[int]) -> tuple[bytes, dict[str, int], dict[str, int]]:
        """Header (`settings`, then offsets) and parts; offsets by name; sizes by name."""
        sizes = {name: len(data) for name, data in self._parts.items()}
        offsets, at = {}, 4 * len(HEADER)
        for name in sizes:
            offsets[name] = at
            at += sizes[name]
        words: list[Any] = [*settings, *(offsets[name] for name in HEADER[len(settings) :])]
        data = np.array(words, dtype=np.uint32).tobytes() + b"".join(self._parts.values())
        return data, offsets, {"header": 4 * len(HEADER), **sizes}
