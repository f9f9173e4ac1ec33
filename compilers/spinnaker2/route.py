"""Route: one tree of links for the packets of every element, and the table entries it needs.

From the chip where it is sent a packet goes along the diagonal as far as that helps, then
straight. All paths from one chip form a tree, so no chip is reached twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from snnstack.backends.spinnaker2.element_route import STEPS
from snnstack.compilers.spinnaker2.place import Places, hops
from snnstack.ir.nodes import Array

WORDS = 3
"""64-bit words that hold one bit for each processing element of a chip."""
LOCAL = 255
"""In place of the link by which a packet came: it was sent on this chip."""
LINKS = {step: link for link, step in enumerate(STEPS)}


@dataclass(frozen=True, eq=False)
class Passing:
    """The packets that pass a chip: per sending element, ascending, where they go.

    `element` int64, `links` uint8, `elements` uint64 [.., 3] and `came` uint8, the link over
    which they arrive (its number on the chip before), or `LOCAL`.
    """

    element: Array
    links: Array
    elements: Array
    came: Array


@dataclass(frozen=True, eq=False)
class Routes:
    """`passing` by chip; per element how many copies, links and look-ups one spike becomes."""

    passing: dict[tuple[int, int], Passing]
    packets: Array
    hops: Array
    lookups: Array


def route(places: Places, sends: Any) -> Routes:
    """The trees of all elements; `sends` [element, element] bool, in the order of `places`."""
    count = len(places.piece)
    totals = np.zeros((3, count), dtype=np.int64)
    found: dict[tuple[int, int], list[Passing]] = {}
    for chip in range(len(places.chips)):
        own = np.flatnonzero(places.chip == chip)
        for at, part in _from_chip(chip, own, places, sends).items():
            found.setdefault(at, []).append(part)
            totals[0, part.element] += _ones(part.elements)
            totals[1, part.element] += _ones(part.links)
            totals[2, part.element] += (part.links != 0) | part.elements.any(axis=1)
    passing = {at: _joined(parts) for at, parts in sorted(found.items())}
    return Routes(passing, *totals)


def _ones(values: Array) -> Array:
    """Number of bits that are set in each row: int64 [rows]."""
    octets = np.ascontiguousarray(values).view(np.uint8).reshape(len(values), -1)
    return np.asarray(np.unpackbits(octets, axis=1).sum(axis=1, dtype=np.int64))


def _joined(parts: list[Passing]) -> Passing:
    element = np.concatenate([p.element for p in parts])
    order = np.argsort(element)
    return Passing(
        element[order],
        np.concatenate([p.links for p in parts])[order],
        np.concatenate([p.elements for p in parts])[order],
        np.concatenate([p.came for p in parts])[order],
    )


def _from_chip(chip: int, own: Array, places: Places, sends: Any) -> dict[tuple[int, int], Passing]:
    """What the elements `own` of one chip send, by the chip that it passes."""
    here = (int(places.chips[chip, 0]), int(places.chips[chip, 1]))
    reached, delivered = _delivered(own, places, sends)
    there = {
        (int(places.chips[c, 0]), int(places.chips[c, 1])): delivered[:, k]
        for k, c in enumerate(reached)
    }
    passes: dict[tuple[int, int], Array] = {
        at: np.asarray(bits.any(axis=1)) for at, bits in there.items()
    }
    links: dict[tuple[int, int], Array] = {}
    came = {here: LOCAL}
    ahead = sorted(there, key=lambda at: (-_apart(here, at), at))
    by_distance: dict[int, list[tuple[int, int]]] = {}
    for at in ahead:
        by_distance.setdefault(_apart(here, at), []).append(at)
    for distance in range(max(by_distance, default=0), 0, -1):
        for at in by_distance.get(distance, []):
            before, link = _before(here, at)
            came[at] = link
            if before not in passes:
                passes[before] = np.zeros(len(own), dtype=bool)
                by_distance.setdefault(distance - 1, []).append(before)
            passes[before] |= passes[at]
            out = links.setdefault(before, np.zeros(len(own), dtype=np.uint8))
            out[passes[at]] |= np.uint8(1 << link)
    passes[here] = np.ones(len(own), dtype=bool)
    none = np.zeros((len(own), WORDS), dtype=np.uint64)
    silent = np.zeros(len(own), dtype=np.uint8)
    return {
        at: Passing(
            own[used],
            links.get(at, silent)[used],
            there.get(at, none)[used],
            np.full(int(used.sum()), came[at], dtype=np.uint8),
        )
        for at, used in passes.items()
    }


def _delivered(own: Array, places: Places, sends: Any) -> tuple[Array, Array]:
    """(chips that are reached, bits of the elements reached there [own, chip, word])."""
    part = sends[own]
    target = part.indices
    row = np.repeat(np.arange(len(own)), np.diff(part.indptr))
    chip, pe = places.chip[target], places.pe[target]
    reached = np.flatnonzero(np.bincount(chip, minlength=1))
    place = np.zeros(len(places.chips), dtype=np.int64)
    place[reached] = np.arange(len(reached))
    index = place[chip]
    bits = np.zeros(len(own) * len(reached) * WORDS, dtype=np.uint64)
    if len(target):
        key = (row * len(reached) + index) * WORDS + (pe >> 6)
        first = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]]))
        one = np.uint64(1) << (pe & 63).astype(np.uint64)
        bits[key[first]] = np.bitwise_or.reduceat(one, first)
    return reached, bits.reshape(len(own), len(reached), WORDS)


def _apart(here: tuple[int, int], at: tuple[int, int]) -> int:
    return int(hops(np.array([at[0] - here[0], at[1] - here[1]])))


def _before(here: tuple[int, int], at: tuple[int, int]) -> tuple[tuple[int, int], int]:
    """The chip from which a packet sent on `here` comes to `at`, and the link it takes there."""
    x, y = at[0] - here[0], at[1] - here[1]
    if x * y > 0 and abs(x) == abs(y):
        step = (int(np.sign(x)), int(np.sign(y)))
    elif x * y > 0:
        step = (int(np.sign(x)), 0) if abs(x) > abs(y) else (0, int(np.sign(y)))
    else:
        step = (int(np.sign(x)), 0) if x else (0, int(np.sign(y)))
    return (at[0] - step[0], at[1] - step[1]), LINKS[step]
