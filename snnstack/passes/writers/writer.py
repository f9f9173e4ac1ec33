"""What is known of a program that writes NIR files: one `Writer` each, in its own module."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from snnstack.ir.graph import Graph
from snnstack.ir.nodes import IF, LI, LIF, Array, CubaLI, CubaLIF, I, Threshold
from snnstack.ir.wellformed import malformed

CLOSE = 2e-5
"""Numbers in files are of single precision."""

Reading = tuple[Graph, tuple[str, ...]]


def _as_it_is(node: Any, dt: float) -> Any:
    return node


def _nothing(node: Any) -> Iterator[str]:
    return iter(())


def _unread(graph: Graph, dt: float | None) -> Reading:
    return graph, ()


def _untold(graph: Graph) -> float | None:
    return None


def v_leak(node: Any) -> Array | None:
    """Where the membranes of a node begin, if they begin at `v_leak`; None: at 0."""
    return getattr(node, "v_leak", None)


def at_zero(node: Any) -> Array | None:
    """Membranes begin at 0."""
    return None


@dataclass(frozen=True)
class Writer:
    """A program and what its files mean.

    `meant`: what a file does not say, as in `Options`. `fits`: whether the numbers of a graph
    are of the form that the program writes. `form`: a graph as the program would write it if it
    wrote what it computes, with notes, given the step that a user says; `told`: the time step in
    seconds that the numbers tell;
    `node`: a neuron with the gains of the program, for its own integrator and a time step;
    `begins`: where membranes begin. `left_out`: what the file does not hold and changes spikes,
    a phrase for each neuron. `late`: neurons answer one step after their input.
    """

    name: str
    meant: Mapping[str, Any]
    fits: Callable[[Graph], bool]
    form: Callable[[Graph, float | None], Reading] = _unread
    told: Callable[[Graph], float | None] = _untold
    node: Callable[[Any, float], Any] = _as_it_is
    begins: Callable[[Any], Array | None] = v_leak
    left_out: Callable[[Any], Iterator[str]] = _nothing
    late: bool = False


TIMED = IF | I | LI | LIF | CubaLI | CubaLIF


def neurons(graph: Graph) -> list[Any]:
    """The neurons of a graph and of the graphs in it, without thresholds."""
    found: list[Any] = []
    for node in graph.nodes.values():
        if isinstance(node, Graph):
            found += neurons(node)
        elif isinstance(node, TIMED) and not any(malformed(node)):
            found.append(node)
    return found


def each(graph: Graph, change: Callable[[str, Any], Any]) -> Graph:
    """The graph with every sound neuron changed, those of nested graphs too."""

    def one(name: str, node: Any) -> Any:
        if isinstance(node, Graph):
            return each(node, lambda inner, n: change(f"{name}.{inner}", n))
        sound = isinstance(node, (IF, I, LI, LIF, CubaLI, CubaLIF, Threshold))
        return change(name, node) if sound and not any(malformed(node)) else node

    return graph.with_(nodes={name: one(name, node) for name, node in graph.nodes.items()})


def near(values: Any, wanted: Any) -> bool:
    """Whether numbers are equal to single precision."""
    return bool(np.allclose(values, wanted, rtol=CLOSE, atol=0.0))


def zero(*values: Array) -> bool:
    """Whether all numbers are 0."""
    return not any(np.any(value) for value in values)


def agreed(steps: list[Array], any_number: bool = False) -> float | None:
    """The one time step that all of `steps` are, a round one or seen more than once; or None.

    Round: four digits, or a whole number of steps in a second. `any_number`: others will do too.
    """
    values = np.concatenate([np.ravel(s) for s in steps]) if steps else np.zeros(0)
    if not values.size or not np.isfinite(values).all() or values.min() <= 0:
        return None
    dt = float(np.median(values))
    if not near(values, dt) or 1.0 / dt == np.inf:
        return None
    digits = float(f"{dt:.4g}")
    rate = round(1.0 / dt)
    if near(dt, digits):
        return digits
    if 0 < rate < 10**4 and near(dt, 1.0 / rate):
        return 1.0 / rate
    return dt if any_number or len(set(values.tolist())) > 1 else None


def counted_from(node: Any, rest: Array) -> Any:
    """A neuron whose membranes are counted from `rest`: all its voltages are moved by it."""
    moved = [n for n in ("v_leak", "v_reset", "v_threshold") if hasattr(node, n)]
    return replace(node, **{n: getattr(node, n) - rest for n in moved})
