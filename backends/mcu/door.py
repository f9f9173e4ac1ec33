"""What the firmware's door must watch so that no list of events, however wrong, wraps a sum.

Proofs of widths hold for lists in which no element stands more often than the model says. A list
that is shorter than `safe_events` keeps them whatever it repeats; longer ones are looked at.
"""

from __future__ import annotations

import numpy as np

from snnstack.backends.mcu.numerics import NUMERICS
from snnstack.backends.mcu.program import ConvTable, DenseTable, Layer, Program, Route


def most_events(program: Program) -> int:
    """Events that one step may bring: every element as often as the model says."""
    return int(np.prod(program.input.shape)) * program.input.max_count


def safe_events(program: Program) -> int:
    """The longest list of events that cannot wrap a sum even if all are of one element."""
    if program.input.values:  # an element that is listed again is dropped
        return most_events(program)
    found = [_safe(layer, program) for layer in program.layers]
    return min([most_events(program), *(n for n in found if n is not None)])


def counter_bits(program: Program) -> int:
    """Bits that count how often an element is listed, 0 if no list can wrap a sum."""
    if safe_events(program) >= most_events(program):
        return 0
    return next(bits for bits in (1, 2, 4, 8, 16, 32) if program.input.max_count < 2**bits)


def _safe(layer: Layer, program: Program) -> int | None:
    """The same for one layer; None if it does not read the input."""
    inputs = {port.name for port in program.inputs}
    weights = [_heaviest(r) for r in layer.routes if r.source in inputs]
    if not any(weights):
        return None
    sent = {name: max(span) for name, span in program.sent.items()}
    others = sum(sent[r.source] * _fan_in(r) for r in layer.routes if r.source not in inputs)
    return max(0, (room(layer) - others) // sum(weights))


def room(layer: Layer) -> int:
    """The largest sum of weights whose arithmetic does not wrap, here or in a later step.

    A model that is not of the LIF family is proven for every sum that an accumulator holds.
    """
    if not layer.is_lif:
        return (1 << layer.accumulator_bits - 1) - 1
    bias, leak = int(np.abs(layer.bias).max()), int(np.abs(layer.leak).max())
    x = NUMERICS.state_max - bias
    stays = 1.0
    for factors, bits in ((layer.alpha, layer.alpha_bits), (layer.beta, layer.beta_bits)):
        if factors is not None:
            stays *= ((1 << bits) - int(factors.max())) / (1 << bits)
    if stays > 0 and not layer.saturate_v:
        # A low-pass with factor a holds at most x / (1 - a); rounding down adds 1 to each x.
        x = min(x, int(NUMERICS.state_max * stays) - leak - bias - 2)
    top = (1 << layer.accumulator_bits - 1) - 1
    return max(0, min(top, x >> layer.shift))


def _heaviest(route: Route) -> int:
    """The most that one event can add to one neuron."""
    return _windows(route) * int(np.abs(route.table.weight.astype(np.int64)).max(initial=0))


def _fan_in(route: Route) -> int:
    """The most that all neurons of the source together can add to one neuron."""
    table, weight = route.table, np.abs(route.table.weight.astype(np.int64))
    if isinstance(table, DenseTable):
        total = weight.sum(axis=0).max(initial=0)
    elif isinstance(table, ConvTable):
        total = weight.sum(axis=(0, 1, 2)).max(initial=0)
    else:
        total = np.bincount(table.target, weights=weight).max(initial=0)
    return _windows(route) * int(total)


def _windows(route: Route) -> int:
    """How many windows of the pool hold one event."""
    if route.pool is None:
        return 1
    pairs = zip(route.pool.kernel, route.pool.stride, strict=True)
    return int(np.prod([-(-kernel // stride) for kernel, stride in pairs]))
