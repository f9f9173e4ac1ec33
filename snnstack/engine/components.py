"""Which layers must step together: the strongly connected components of the layer graph."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def components(n: int, edges: Iterable[tuple[int, int]]) -> tuple[tuple[int, ...], ...]:
    """Components of layers 0..n-1 such that each follows all that feed it.

    `edges` are (source, target) at any delay. Layers of a component are ascending, so update
    order within it is kept. (A component that feeds another has strictly fewer ancestors.)

    >>> components(4, [(0, 1), (1, 1), (1, 2), (2, 3), (3, 2)])
    ((0,), (1,), (2, 3))
    """
    reach = np.eye(n, dtype=bool)
    for source, target in edges:
        reach[source, target] = True
    for k in range(n):
        reach |= np.outer(reach[:, k], reach[k])
    mutual = reach & reach.T
    ancestors = reach.sum(axis=0)
    first = [k for k in range(n) if not mutual[k, :k].any()]
    return tuple(
        tuple(np.flatnonzero(mutual[k]).tolist()) for k in sorted(first, key=ancestors.__getitem__)
    )
