"""Comparisons as 0/1 atoms in one form, however a file spells them, and functions of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np

from snnstack.frontends.onnx_terms import (
    Atom,
    Firing,
    Terms,
    add,
    constant,
    is_switch,
    single,
    times,
)
from snnstack.frontends.onnx_values import Walk
from snnstack.ir.nodes import Compare, Shape

MOST = 4
"""Comparisons of which every combination is looked at."""
OTHER: dict[Compare, Compare] = {"gt": "ge", "ge": "gt"}


def above(walk: Walk, found: Terms, compare: Compare, node: str) -> Terms | None:
    """1 where `found` is above 0 ("ge": or 0).

    Spikes written as `v < threshold` are those that are not `v >= threshold`: a comparison is
    kept in the form in which the membrane is added.
    """
    atom = found.only()
    if atom is not None and atom.kind == "positive" and compare == "gt":
        return above(walk, walk.positive[atom], "gt", node)
    if is_switch(found):
        limit = np.greater if compare == "gt" else np.greater_equal
        return tabled(found.shape, [found], lambda v: limit(v, 0.0).astype(np.float64))
    turned = add(constant(0.0), found, -1.0)
    if _is_subtracted(found) or _name(OTHER[compare], turned) in walk.firings:
        return add(constant(1.0), _fires(walk, turned, OTHER[compare], node), -1.0)
    return _fires(walk, found, compare, node)


def _name(compare: Compare, terms: Terms) -> Atom:
    return Atom("fires", f"{compare} {terms.key()}")


def _fires(walk: Walk, found: Terms, compare: Compare, node: str) -> Terms:
    atom = _name(compare, found)
    walk.firings.setdefault(atom, Firing(found, compare, node))
    return single(atom, found.shape)


def _is_subtracted(found: Terms) -> bool:
    """Whether the states in it are subtracted."""
    factors = [
        factor
        for parts, factor in found.parts.items()
        if len(parts) == 1 and next(iter(parts)).kind == "state"
    ]
    return bool(factors) and all(np.all(np.asarray(f) <= 0.0) for f in factors)


def tabled(shape: Shape, given: Sequence[Terms], function: Callable[..., Any]) -> Terms | None:
    """`function` of values made of comparisons, from what it is for each of their combinations."""
    atoms = sorted({atom for terms in given for atom in terms.atoms})
    if len(atoms) > MOST:
        return None
    total = constant(np.zeros(shape))
    for values in product((0, 1), repeat=len(atoms)):
        known = dict(zip(atoms, values, strict=True))
        if any(known[a] > known.get(_weaker(a), 1) for a in atoms):
            continue  # above, and yet not at least
        at = _with(given, known)
        if any(value is None for value in at):
            return None
        here: Terms | None = constant(np.broadcast_to(np.asarray(function(*at), float), shape))
        for atom, value in known.items():
            one = single(atom, shape)
            factor = one if value else add(constant(1.0), one, -1.0)
            here = None if here is None else times(here, factor)
        if here is None:
            return None
        total = add(total, here)
    return total


def _weaker(atom: Atom) -> Atom:
    """The comparison that holds whenever this one does."""
    return Atom(atom.kind, atom.name.replace("gt ", "ge ", 1)) if atom.name[:3] == "gt " else atom


def _with(given: Sequence[Terms], known: dict[Atom, int]) -> list[Any]:
    found = []
    for terms in given:
        for atom, value in known.items():
            terms = terms.put(atom, value)
        found.append(terms.constant())
    return found
