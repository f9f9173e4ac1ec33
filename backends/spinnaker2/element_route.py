"""Where a packet goes: walks the routing tables of the chips, entry by entry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from snnstack.backends.spinnaker2.program import Element, RoutingTable
from snnstack.errors import ModelError, fail

Chip = tuple[int, int]

STEPS = ((1, 0), (1, 1), (0, 1), (-1, 0), (-1, -1), (0, -1))
"""Columns and rows to the chip at the other end of a link: E, NE, N, W, SW, S."""


class Router:
    """Follows packets through `tables` between the chips that hold `elements`.

    As in the machine, the first entry that matches applies. Without one, a packet goes straight
    on; on the chip where it was sent it is dropped.
    """

    def __init__(self, tables: Iterable[RoutingTable], elements: Iterable[Element]) -> None:
        self._tables: Mapping[Chip, RoutingTable] = {table.chip: table for table in tables}
        self._elements = {(e.chip, e.pe): e.number for e in elements}

    def reached(self, key: int, chip: Chip) -> tuple[int, ...]:
        """Numbers of the elements to which a packet sent on `chip` is delivered, ascending.

        Raises `ModelError` if the tables lead it in a circle or to an element that is not used.
        """
        found: list[int] = []
        seen: set[Chip] = set()
        ahead: list[tuple[Chip, int | None]] = [(chip, None)]
        while ahead:
            here, came = ahead.pop()
            where = f"packet {key:#010x}"
            if here in seen:
                raise fail(ModelError, where, f"comes to chip {here[0]},{here[1]} twice")
            seen.add(here)
            links, elements = self._entry(key, here, came)
            for pe in elements:
                if (here, pe) not in self._elements:
                    what = f"is delivered to element {pe} of chip {here[0]},{here[1]}"
                    raise fail(ModelError, where, f"{what}, which is not used")
                found.append(self._elements[here, pe])
            for link in links:
                ahead.append(((here[0] + STEPS[link][0], here[1] + STEPS[link][1]), link))
        return tuple(sorted(found))

    def _entry(self, key: int, chip: Chip, came: int | None) -> tuple[list[int], list[int]]:
        """(links, processing elements) of the first matching entry."""
        straight = [] if came is None or chip not in self._tables else [came]
        if chip not in self._tables:
            return straight, []
        table = self._tables[chip]
        hits = np.flatnonzero((np.uint32(key) & table.mask) == table.key)
        if not len(hits):
            return straight, []
        entry = int(hits[0])
        links = [link for link in range(len(STEPS)) if int(table.links[entry]) >> link & 1]
        words = [int(word) for word in table.elements[entry]]
        bits = sum(word << (64 * k) for k, word in enumerate(words))
        return links, [pe for pe in range(bits.bit_length()) if bits >> pe & 1]
