"""Programs for SpiNNaker 2 without the compiler: elements in a row on one chip."""

from __future__ import annotations

from typing import Any

import numpy as np

from snnstack.backends.spinnaker2.image import element_bytes
from snnstack.backends.spinnaker2.network import ChipNetwork, Connection
from snnstack.backends.spinnaker2.program import Element, Kernel, Program, RoutingTable, Rows
from snnstack.backends.spinnaker2.words import encode
from snnstack.board import load_board
from snnstack.ir.matrix import matrix, pool_matrix
from snnstack.ir.step import Conv, size

NO_ROWS = Rows(np.zeros(0, np.uint32), np.zeros(1, np.uint16), np.zeros(0, np.uint16))


def program(network: ChipNetwork, most: int = 50, scattered: int | None = None) -> Program:
    """At most `most` neurons an element; `scattered`: seed of a random order of the neurons."""
    elements: list[Element] = []
    shapes = {network.input.name: network.input.shape}
    shapes |= {p.name: p.shape for p in network.populations}
    for name, shape in shapes.items():
        convs = [c for c in network.connections if isinstance(c.synapses, Conv)]
        planes = any(name in (c.source, c.target) for c in convs)
        order = np.arange(size(shape))
        if scattered is not None and not planes:
            order = np.random.default_rng(scattered).permutation(order)
        step = most if not planes else size(shape[1:])
        for start in range(0, size(shape), step):
            chosen = order[start : start + step].astype(np.int32)
            elements.append(
                Element(len(elements), (0, 0), len(elements), name, chosen, chosen[:0], NO_ROWS,
                        (), wide=True, used={})
            )  # fmt: skip
    elements = [_filled(network, shapes, elements, e) for e in elements]
    table = _table(elements)
    return Program("handmade", load_board("spinnaker2-chip"), network, tuple(elements), (table,),
                   1e-3, {p.name: np.ones(p.n) for p in network.populations}, "count")  # fmt: skip


def _filled(network: ChipNetwork, shapes: Any, elements: list[Element], e: Element) -> Element:
    entering = network.into(e.population) if e.population != network.input.name else ()
    keys: dict[int, list[int]] = {}
    kernels = []
    for c in entering:
        senders = [s for s in elements if s.population == c.source]
        if isinstance(c.synapses, Conv):
            kernels.append(_kernel(network, shapes, c, e, senders))
            continue
        whole = np.asarray(_dense(c, shapes))[e.neurons]
        application = network.population(e.population).application
        for s in senders:
            for position, neuron in enumerate(s.neurons):
                index = np.flatnonzero(whole[:, neuron])
                words = encode(application, whole[index, neuron], c.delay, index)
                keys.setdefault(s.key + position, []).extend(words.tolist())
    keys = {k: w for k, w in keys.items() if w}
    listed = sorted(keys)
    starts = np.concatenate([[0], np.cumsum([len(keys[k]) for k in listed])])
    rows = Rows(np.array(listed, np.uint32), starts.astype(np.uint16),
                np.array([w for k in listed for w in keys[k]], np.uint16))  # fmt: skip
    sources = [s.number for s in elements if any(c.source == s.population for c in entering)]
    made = Element(e.number, e.chip, e.pe, e.population, e.neurons, np.array(sources, np.int32),
                   rows, tuple(kernels), wide=e.number % 2 == 0, used={})  # fmt: skip
    return Element(**{**vars(made), "used": element_bytes(network, made)})


def _dense(c: Connection, shapes: Any) -> Any:
    """[target, source] integers, the pool multiplied in."""
    whole = matrix(c.synapses, size(shapes[c.target]))
    whole = whole if c.pool is None else whole @ pool_matrix(c.pool)
    return whole.toarray().astype(np.int64)


def _kernel(network: ChipNetwork, shapes: Any, c: Connection, e: Element, senders: Any) -> Kernel:
    boxes = [_box(s.neurons, shapes[c.source]) for s in senders]
    box = _box(e.neurons, shapes[c.target])
    assert isinstance(c.synapses, Conv)
    weight = c.synapses.weight[box[0][0] : box[0][1]].astype(np.int8)
    return Kernel(network.connections.index(c), weight, np.array(box, np.int32),
                  np.array([s.number for s in senders], np.int32),
                  np.array(boxes, np.int32))  # fmt: skip


def _box(neurons: Any, shape: Any) -> list[list[int]]:
    place = np.array(np.unravel_index(neurons, shape))
    box = [[int(low), int(high) + 1] for low, high in zip(place.min(1), place.max(1), strict=True)]
    assert np.prod([high - low for low, high in box]) == len(neurons)
    return box


def _table(elements: list[Element]) -> RoutingTable:
    reached = {s.number: [e.pe for e in elements if s.number in e.sources] for s in elements}
    words = np.zeros((len(elements), 3), np.uint64)
    for number, pes in reached.items():
        for pe in pes:
            words[number, pe // 64] |= np.uint64(1 << (pe % 64))
    keys = np.array([e.key for e in elements], np.uint32)
    masks = np.full(len(elements), 0xFFFFFF00, np.uint32)
    return RoutingTable((0, 0), keys, masks, np.zeros(len(elements), np.uint8), words)
