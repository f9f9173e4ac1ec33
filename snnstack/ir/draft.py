"""A network in a target's own units while it is collected: its names, shapes and faults so far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from snnstack.errors import ModelError, Problem, raise_if_any
from snnstack.ir.given import Pair, as_conv, as_matrix, pair, pooling
from snnstack.ir.nodes import Shape
from snnstack.ir.step import Conv, Pool, Synapses, size


class Geometry(NamedTuple):
    """Stride, padding and dilation of a convolution: one for y and x, or (y, x)."""

    stride: int | Pair
    padding: int | Pair
    dilation: int | Pair


class Draft:
    """What builders share: every method notes what is wrong, `check` raises all of it at once."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._inputs: dict[str, Shape] = {}
        self._populations: dict[str, Shape] = {}

    def note(self, where: str, what: str, hint: str = "") -> None:
        """Remember one fault."""
        self.problems.append(Problem(where, what, hint))

    def input(self, name: str, shape: int | Shape) -> Shape:
        """A new input; its shape as a tuple."""
        return self._new(self._inputs, name, shape)

    def population(self, name: str, shape: int | Shape) -> Shape:
        """A new population; its shape as a tuple."""
        return self._new(self._populations, name, shape)

    def sizes(self, source: str, target: str) -> Pair | None:
        """Neurons of both ends; None if one of them is not there yet."""
        missing = [name for name in (source, target) if self._shape(name) is None]
        for name in missing:
            hint = "add populations before connections"
            self.note(f"{source} -> {target}", f"there is no '{name}' yet", hint)
        return None if missing else (size(self._known(source)), size(self._known(target)))

    def matrix(
        self, source: str, target: str, weight: Any, pool: int | Pair | None
    ) -> tuple[Synapses, Pool | None] | None:
        """Synapses from `weight` [target, source], after the pool; None if they cannot be."""
        sizes = self.sizes(source, target)
        if sizes is None:
            return None
        where, pooled = f"{source} -> {target}", self._pool(source, target, pool)
        n_source = sizes[0] if pooled is None else size(pooled.out_shape)
        found = as_matrix(where, weight, (sizes[1], n_source), self.problems)
        return None if found is None else (found, pooled)

    def convolution(
        self,
        source: str,
        target: str,
        weight: Any,
        geometry: Geometry,
        groups: int,
        pool: int | Pair | None,
    ) -> tuple[Conv, Pool | None] | None:
        """Synapses from `weight` [C_out, C_in / groups, K_y, K_x]; None if they cannot be."""
        if self.sizes(source, target) is None:
            return None
        where, pooled = f"{source} -> {target}", self._pool(source, target, pool)
        shapes = pooled.out_shape if pooled else self._known(source), self._known(target)
        pairs = pair(geometry.stride), pair(geometry.padding), pair(geometry.dilation)
        found = as_conv(where, weight, shapes, pairs, groups, self.problems)
        return None if found is None else (found, pooled)

    def check(self, outputs: Sequence[str]) -> None:
        """Raise ModelError with every fault; there must be one input, and a population."""
        problems, populations = list(self.problems), self._populations
        if len(self._inputs) != 1:
            problems.append(Problem("network", f"it has {len(self._inputs)} inputs, not one"))
        if not populations:
            problems.append(Problem("network", "it has no population"))
        problems += [
            Problem(name, "it is an output but not a population")
            for name in outputs
            if name not in populations
        ]
        raise_if_any(ModelError, problems)

    def _new(self, kind: dict[str, Shape], name: str, given: int | Shape) -> Shape:
        one = isinstance(given, (int, np.integer))
        shape: Shape = (int(given),) if one else tuple(map(int, given))  # type: ignore[arg-type]
        if self._shape(name) is not None:
            self.note(name, "there are two of this name", "rename one")
        kind.setdefault(name, shape)
        return shape

    def _shape(self, name: str) -> Shape | None:
        return self._inputs.get(name, self._populations.get(name))

    def _known(self, name: str) -> Shape:
        return (self._inputs | self._populations)[name]

    def _pool(self, source: str, target: str, given: int | Pair | None) -> Pool | None:
        if given is None:
            return None
        where = f"{source} -> {target}"
        return pooling(where, self._known(source), pair(given), self.problems)
