"""What a framework's neurons are, for those who read them: the form of a description."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from snnstack.frontends.torch_layers import Nodes
from snnstack.ir.nodes import Leaf, Shape


@dataclass(frozen=True)
class Kind:
    """How one framework's neurons are read.

    `states`: names of what forward takes after the input; `variables`: of what it returns after
    the spikes. `problems(module)`: pairs (what, hint) that make it impossible. `neuron(module,
    shape, dt, fires)`: the IR node. `recurrent(module)`: connections of the neuron to itself
    one step later. `clear(module)`: back to the start. `sequence(module)`: takes all steps at
    once. `factor(module)`: what a spike is worth, or None for 1. `late`: its input acts one step
    later. `membrane(module)`: that of the step it has just done, or None. `silent(module)`: it
    takes all steps, and returns membranes, one tensor a step or what `decode` makes of them.
    """

    states: tuple[str, ...]
    variables: tuple[str, ...]
    problems: Callable[[Any], Iterator[tuple[str, str]]]
    neuron: Callable[[Any, Shape, float, bool], Leaf]
    clear: Callable[[Any], None]
    recurrent: Callable[[Any], Nodes] = lambda module: []
    sequence: Callable[[Any], bool] = lambda module: False
    factor: Callable[[Any], Any] = lambda module: None
    late: bool = False
    membrane: Callable[[Any], Any] = lambda module: getattr(module, "mem", None)
    silent: Callable[[Any], bool] = lambda module: False

    def graded(self, module: Any) -> bool:
        """Whether its spikes are worth something else than 1."""
        return self.factor(module) is not None


def fires_at(surrogate: Any) -> str | None:
    """How a spike function compares: "gt", "ge", or None if it is no step from 0 to 1."""
    import torch

    below, above = [-3.0, -1e-3, -1e-30], [1e-30, 1e-3, 3.0]
    with torch.no_grad():
        found = [surrogate(torch.tensor([*below, 0.0, *above])).tolist() for _ in range(3)]
    first = found[0]
    if any(one != first for one in found) or first[:3] != [0.0] * 3 or first[4:] != [1.0] * 3:
        return None
    return {0.0: "gt", 1.0: "ge"}.get(first[3])
