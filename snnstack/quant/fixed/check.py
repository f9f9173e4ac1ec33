"""What an integer model does on data: values of nodes, saturations, errors of tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack.dynamics.expr import E, ordered
from snnstack.dynamics.ops import OPS
from snnstack.dynamics.run_numpy import Definition, evaluated
from snnstack.dynamics.spans import Span
from snnstack.dynamics.trace import traced
from snnstack.quant.fixed.integer import Fix
from snnstack.quant.fixed.record import Fixed

POINTS = 4001


def exact(root: E, given: Mapping[int, NDArray[Any]]) -> NDArray[Any]:
    """The value of `root` in int64; `given`: what stands for some of the nodes, by identity."""
    done: dict[int, Any] = dict(given)
    for e in ordered([root]):
        if id(e) in done:
            continue
        if e.op == "const":
            done[id(e)] = np.int64(e.value)
        elif all(id(a) in done for a in e.args) and e.op in OPS:
            args = [done[id(a)] for a in e.args]
            done[id(e)] = OPS[e.op].exact(*([e.value, *args] if e.value is not None else args))
    return np.asarray(done[id(root)])


def table_error(at: Callable[[float], float], domain: Span, x: Fix, found: Fix) -> float:
    """The largest difference of `found`, an expression of `x`, from the function, in `domain`."""
    integers = (np.linspace(domain[0], domain[1], POINTS) * 2.0**x.bits).astype(np.int64)
    integers = integers[(integers >= x.low) & (integers <= x.high)]
    if not integers.size:
        return 0.0
    real = np.array([at(float(k)) for k in integers / 2.0**x.bits])
    values = exact(found.e, {id(x.e): integers}) / 2.0**found.bits
    return float(np.abs(np.broadcast_to(values, real.shape) - real).max())


def _limit(fixed: Fixed, end: int | E) -> Any:
    return fixed.neurons.value(end.value) if isinstance(end, E) else end


def saturations(fixed: Fixed, inputs: Mapping[str, NDArray[Any]]) -> dict[str, int]:
    """How often each place that may saturate does, on integer sums [step, batch, n] by port."""
    first = next(iter(inputs.values()))
    step = traced(fixed.neurons)
    places = {f"clip {k}": clip.before for k, clip in enumerate(fixed.clips)}
    watched = replace(step, roots={**step.roots, **places})
    state = dict(Definition(fixed.neurons, first.shape[1]).state)
    counts = {clip.place: 0 for clip in fixed.clips}
    for t in range(len(first)):
        given = {name: np.asarray(x[t], dtype=np.int64) for name, x in inputs.items()}
        values = evaluated(watched, state, given, np.dtype(np.int64))
        for k, clip in enumerate(fixed.clips):
            value = np.broadcast_to(values[f"clip {k}"], first.shape[1:])
            low, high = (_limit(fixed, end) for end in (clip.low, clip.high))
            counts[clip.place] += int(((value < low) | (value > high)).sum())
        state |= {name: np.broadcast_to(values[f"state {name}"], first.shape[1:])
                  for name in step.of("state")}  # fmt: skip
    return counts
