"""Place: pieces onto the processing elements of a machine, chip after chip."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from snnstack.backends.spinnaker2.limits import Limits
from snnstack.backends.spinnaker2.network import ChipNetwork
from snnstack.compilers.spinnaker2.pieces import Pieces
from snnstack.errors import CapacityError, fail
from snnstack.ir.nodes import Array


@dataclass(frozen=True, eq=False)
class Places:
    """int64 [element]: the piece it holds, its chip (index into `chips`) and element `pe`.

    `chips` int64 [chips, 2]: column and row of every chip that is used.
    """

    piece: Array
    chip: Array
    pe: Array
    chips: Array

    def number(self) -> Array:
        """The element that holds a piece: int64 [piece]."""
        back = np.empty_like(self.piece)
        back[self.piece] = np.arange(len(self.piece))
        return back


def place(network: ChipNetwork, cut: Pieces, sends: Any, limits: Limits, board: str) -> Places:
    """All pieces on a machine; of two orders the one whose packets pass fewer links.

    `sends`: the matrix of `pieces.reach`. Raises CapacityError if there are too few elements.
    """
    available = limits.count * limits.elements
    if cut.count > available:
        raise _too_many(cut, available, limits, board)
    orders: list[Callable[[Pieces], Array]] = [_by_layer]
    if cut.count > limits.elements:
        orders.append(_interleaved)
    found = [_laid(order(cut), limits) for order in orders]
    return min(found, key=lambda places: _distance(places, sends))


def _by_layer(cut: Pieces) -> Array:
    return np.arange(cut.count)


def _interleaved(cut: Pieces) -> Array:
    """By relative position in their population: what belongs to one region is close together."""
    where = np.concatenate([(np.arange(b.count) + 0.5) / b.count for b in cut.blocks.values()])
    return np.argsort(where, kind="stable")


def _laid(order: Array, limits: Limits) -> Places:
    """Chips are walked to and fro in rows, so that neighbours in the order are close."""
    chip, pe = np.divmod(np.arange(len(order)), limits.elements)
    used = np.arange(int(chip.max(initial=-1)) + 1)
    row, column = np.divmod(used, limits.chips[0])
    column = np.where(row % 2 == 1, limits.chips[0] - 1 - column, column)
    return Places(order, chip, pe, np.stack([column, row], axis=1))


def _distance(places: Places, sends: Any) -> int:
    """Links to all chips that each element reaches, every element alike."""
    import scipy.sparse as sp

    count = len(places.chips)
    if count == 1:
        return 0
    order = places.piece
    ones = np.ones(len(order), np.int32)
    on = sp.csr_matrix((ones, (np.arange(len(order)), places.chip)), (len(order), count))
    there = (sends[order][:, order].astype(np.int32) @ on).tocoo()
    delta = places.chips[there.col] - places.chips[places.chip[there.row]]
    return int(hops(delta).sum())


def hops(delta: Array) -> Array:
    """Links between chips `delta` [.., 2] columns and rows apart: one joins (0, 0) to (1, 1)."""
    x, y = delta[..., 0], delta[..., 1]
    apart = np.abs(x) + np.abs(y)
    return np.asarray(np.where(x * y > 0, np.maximum(np.abs(x), np.abs(y)), apart))


def _too_many(cut: Pieces, available: int, limits: Limits, board: str) -> CapacityError:
    """Names the population with the most elements, and what would have to go."""
    counted = Counter({name: blocks.count for name, blocks in cut.blocks.items()})
    name, most = counted.most_common(1)[0]
    sizes = cut.blocks[name].sizes()
    spare = cut.count - available
    what = (
        f"needs {cut.count} processing elements, {available} available; {name} takes {most} "
        f"of them, with {int(sizes.max())} neurons each"
    )
    fewer = int(np.sort(sizes)[: min(spare, most)].sum())
    chips = -(-cut.count // limits.elements)
    hint = f"use a machine of {chips:,} chips"
    if spare < most:
        hint += f", or {fewer:,} neurons fewer in {name}"
    error = fail(CapacityError, f"board {board}", what, hint)
    assert isinstance(error, CapacityError)
    return error
