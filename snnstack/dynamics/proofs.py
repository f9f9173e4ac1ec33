"""Intervals that the states of a layer never leave, whatever arrives within given limits."""

from __future__ import annotations

from collections.abc import Mapping

from snnstack.dynamics.expr import E
from snnstack.dynamics.reduced import WHOLE, Known, conditions, known
from snnstack.dynamics.spans import Span
from snnstack.dynamics.trace import Step

DEEPEST = 4
"""So many conditions are told apart."""
NARROWINGS = 24


def proven(step: Step, inputs: Mapping[str, Span]) -> dict[str, Span]:
    """{state: interval} that a step from within never leaves, for sums within `inputs`.

    Found by widening to powers of two until a step stays inside, then by narrowing: an interval
    that holds, not the least. A state of which nothing is proven has the whole of 32 bits.
    """
    spans: dict[str, Span] = {}
    for name in step.neurons.model.states:
        start = step.neurons.start(name)
        spans[name] = (min(0, int(start.min(initial=0))), max(0, int(start.max(initial=0))))
    held = dict(spans)
    while True:
        reached = _image(step, {**inputs, **spans})
        wider = {name: _wider(spans[name], reached.get(name, spans[name])) for name in spans}
        if wider == spans:
            break
        spans = wider
    for _ in range(NARROWINGS):
        reached = _image(step, {**inputs, **spans})
        less = {name: _hull(held[name], reached.get(name, held[name])) for name in spans}
        less = {name: _within(less[name], spans[name]) for name in spans}
        if less == spans:
            break
        spans = less
    return spans


def _image(step: Step, bounds: Mapping[str, Span]) -> dict[str, Span]:
    """What the states reach from `bounds`, every case by itself."""
    start = known(step, bounds)
    states = step.of("state")
    found: dict[str, Span] = {}
    for name, span in _reached(start, start.reduced(states), DEEPEST):
        found[name] = _hull(found[name], span) if name in found else span
    return found


def _reached(case: Known, roots: Mapping[str, E], depth: int) -> list[tuple[str, Span]]:
    asked = conditions(roots.values()) if depth else []
    if not asked:
        return [(name, case.span(e)) for name, e in roots.items()]
    each = (case.assuming(asked[0], holds) for holds in (False, True))
    return [x for part in each for x in _reached(part, part.reduced(roots), depth - 1)]


def _wider(span: Span, reached: Span) -> Span:
    low, high = span
    while low > max(reached[0], WHOLE[0]):
        low = max(2 * low - 1, WHOLE[0])
    while high < min(reached[1], WHOLE[1]):
        high = min(2 * high + 1, WHOLE[1])
    return low, high


def _hull(a: Span, b: Span) -> Span:
    return min(a[0], b[0]), max(a[1], b[1])


def _within(a: Span, b: Span) -> Span:
    return max(a[0], b[0]), min(a[1], b[1])
