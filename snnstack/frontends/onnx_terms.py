"""`Terms`: what a tensor of a spiking step is, as a sum of products of known things.

However an exporter wrote a neuron (thresholds of 1 folded away, shared constants, left-over
casts), its tensors are polynomials in the states, the layers' results and 0/1 comparisons; equal
neurons have equal polynomials.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from snnstack.ir.nodes import Array, Compare, Shape

Kind = Literal["input", "state", "fires", "layer", "positive", "unknown"]


@dataclass(frozen=True, order=True)
class Atom:
    """Something that is not taken apart; `name` is its tensor's, a node's if unknown."""

    kind: Kind
    name: str


Product = frozenset[Atom]
ONE: Product = frozenset()


@dataclass(frozen=True, eq=False)
class Terms:
    """Sum of `parts`: {product of atoms: factor}; `shape` with the batch axis (1) in front.

    Factors are float64 and spread over `shape`; a product that is 0 everywhere is left out.
    """

    shape: Shape
    parts: Mapping[Product, Array]

    @property
    def atoms(self) -> set[Atom]:
        """All atoms in it."""
        return {atom for product in self.parts for atom in product}

    def key(self) -> str:
        """Equal for equal polynomials of one shape."""
        found = hashlib.sha256(str(self.shape).encode())
        for product in sorted(self.parts, key=sorted):
            found.update(str(sorted(product)).encode())
            found.update(np.ascontiguousarray(self.factor(product)).tobytes())
        return found.hexdigest()

    def factor(self, *atoms: Any) -> Array:
        """What a product is multiplied by, for every element."""
        product = atoms[0] if len(atoms) == 1 and isinstance(atoms[0], frozenset) else atoms
        found = self.parts.get(frozenset(product), np.zeros(()))
        return np.array(np.broadcast_to(found, self.shape)) + 0.0

    def put(self, atom: Atom, value: int) -> Terms:
        """With the 0/1 atom known."""
        parts: list[tuple[Product, Array]] = []
        for product, factor in self.parts.items():
            if atom not in product:
                parts.append((product, factor))
            elif value:
                parts.append((product - {atom}, factor))
        return _collected(self.shape, parts)

    def without(self, *atoms: Atom) -> Terms:
        """Without the terms that are one of `atoms` alone."""
        left = {p: f for p, f in self.parts.items() if p not in [frozenset((a,)) for a in atoms]}
        return Terms(self.shape, left)

    def constant(self) -> Array | None:
        """Its value where it has no atoms, else None."""
        return self.factor(ONE) if set(self.parts) <= {ONE} else None

    def only(self) -> Atom | None:
        """The atom that it is, else None."""
        if len(self.parts) != 1:
            return None
        ((product, factor),) = self.parts.items()
        return next(iter(product)) if len(product) == 1 and np.all(factor == 1.0) else None


def _collected(shape: Shape, parts: Any) -> Terms:
    found: dict[Product, Array] = {}
    for product, factor in parts:
        found[product] = found[product] + factor if product in found else factor
    return Terms(shape, {p: f for p, f in found.items() if np.any(f)})


def constant(values: Any) -> Terms:
    """A constant of the file."""
    array = np.asarray(values, dtype=np.float64)
    return _collected(array.shape, [(ONE, array)])


def single(atom: Atom, shape: Shape) -> Terms:
    """An atom by itself."""
    return Terms(shape, {frozenset((atom,)): np.ones(())})


def add(left: Terms, right: Terms, sign: float = 1.0) -> Terms:
    """`left + sign * right`."""
    shape = np.broadcast_shapes(left.shape, right.shape)
    return _collected(
        shape, [*left.parts.items(), *((p, sign * f) for p, f in right.parts.items())]
    )


def times(left: Terms, right: Terms) -> Terms | None:
    """Their product; None if something that is not 0/1 would be multiplied by another one."""
    shape = np.broadcast_shapes(left.shape, right.shape)
    parts = []
    for p, f in left.parts.items():
        for q, g in right.parts.items():
            if sum(a.kind != "fires" for a in p) + sum(a.kind != "fires" for a in q) > 1:
                return None
            parts.append((_reduced(p | q), f * g))
    return _collected(shape, parts)


def _reduced(product: Product) -> Product:
    """Without `ge` comparisons where the `gt` one of the same terms is a factor too."""
    sure = {"ge " + a.name[3:] for a in product if a.kind == "fires" and a.name[:3] == "gt "}
    return frozenset(a for a in product if a.kind != "fires" or a.name not in sure)


def is_switch(terms: Terms) -> bool:
    """Whether it is made of comparisons alone."""
    return all(atom.kind == "fires" for atom in terms.atoms)


def near(left: Any, right: Any) -> bool:
    """Equal but for the rounding of how the factors were worked out."""
    return bool(np.allclose(left, right, rtol=1e-9, atol=1e-12))


def alike(left: Terms, right: Terms) -> bool:
    """Equal polynomials but for rounding."""
    shape = np.broadcast_shapes(left.shape, right.shape)
    wide = (Terms(shape, left.parts), Terms(shape, right.parts))
    products: Iterator[Product] = iter({*left.parts, *right.parts})
    return all(near(wide[0].factor(p), wide[1].factor(p)) for p in products)


@dataclass(frozen=True, eq=False)
class Firing:
    """A comparison: 1 where `terms` is above 0 (`compare` "ge": or 0)."""

    terms: Terms
    compare: Compare
    node: str
