"""Elements of a program from a file against the maps of their populations: neurons and kernels.

The firmware finds a neuron from the corners of its element's box, and a source from the corners
of the sender's; the emulator from the network. Both must speak of the same neurons.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from snnstack.backends.spinnaker2.program import Element, Kernel, Program
from snnstack.errors import Problem
from snnstack.ir.nodes import Array, Shape
from snnstack.ir.step import Conv, size
from snnstack.saved_tables import AGAIN, Range, array_problems, list_problems

WEIGHT = Range(-128, 127)


def share_problems(program: Program, shapes: Mapping[str, Shape]) -> Iterator[Problem]:
    """Populations whose neurons are not all held by one element each."""
    held: dict[str, list[Array]] = {name: [] for name in shapes}
    for e in program.elements:
        held[e.population].append(e.neurons)
    for name, shape in shapes.items():
        found = np.concatenate([np.zeros(0, np.int64), *held[name]])
        if len(found) != size(shape) or len(np.unique(found)) != len(found):
            yield Problem(name, "its neurons are not held by one element each", AGAIN)


def kernel_problems(where: str, program: Program, e: Element, kernel: Kernel) -> Iterator[Problem]:
    """A part of a convolution that is not that of the neurons of element `e`."""
    connections = program.network.connections
    known = 0 <= kernel.connection < len(connections)
    c = connections[kernel.connection] if known else None
    if c is None or c.target != e.population or not isinstance(c.synapses, Conv):
        yield Problem(where, f"connection {kernel.connection} is none that it computes", AGAIN)
        return
    conv = c.synapses
    wrong = [
        *list_problems(f"{where}, sources", kernel.sources, Range(0, len(program.elements) - 1)),
        *_place_problems(f"{where}, box", kernel.box, e, conv.out_shape),
    ]
    yield from wrong
    if wrong:
        return
    own = np.asarray(conv.weight)[kernel.box[0, 0] : kernel.box[0, 1]]
    wrong = list(array_problems(f"{where}, weights", kernel.weight, own.shape, WEIGHT))
    yield from wrong
    if not wrong and not np.array_equal(kernel.weight, own):
        yield Problem(where, f"its weights are not those of connection {kernel.connection}", AGAIN)
    count = (len(kernel.sources), 3, 2)
    wrong = list(array_problems(f"{where}, boxes", kernel.boxes, count, Range(0, 2**15)))
    yield from wrong
    for number, box in zip(kernel.sources, kernel.boxes, strict=True) if not wrong else ():
        source = program.elements[number]
        if source.population != c.source:
            what = f"element {number} holds {source.population}, not {c.source}"
            yield Problem(f"{where}, sources", what, AGAIN)
            continue
        map_ = conv.in_shape if c.pool is None else c.pool.in_shape
        yield from _place_problems(f"{where}, box of element {number}", box, source, map_)


def _place_problems(where: str, box: Array, e: Element, shape: Shape) -> Iterator[Problem]:
    """A `box` of `shape` that does not hold exactly the neurons of `e`, in C order."""
    wrong = list(array_problems(where, box, (3, 2), Range(0, 2**15)))
    yield from wrong
    if wrong:
        return
    ends = [(int(low), int(high)) for low, high in box]
    inside = all(0 <= low < high <= n for (low, high), n in zip(ends, shape, strict=True))
    sides = [high - low for low, high in ends]
    if not inside or size(tuple(sides)) != e.n:
        yield Problem(where, f"{ends} is none of {e.n} neurons of {list(shape)}", AGAIN)
        return
    axes = np.ix_(*(np.arange(low, high) for low, high in ends))
    if not np.array_equal(np.ravel_multi_index(axes, shape).ravel(), e.neurons):
        yield Problem(where, f"{ends} holds other neurons than element {e.number}", AGAIN)
