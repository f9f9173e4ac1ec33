"""Labels that look as if several output neurons stood for a class each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack.notices import say
from snnstack.passes.options import READOUT

CHANCE = 1e-6
"""Below this chance, labels without the last classes are no accident of drawing samples."""


def say_blocks(
    settings: Mapping[str, Any], labels: NDArray[np.int64] | None, neurons: int, name: str
) -> None:
    """Warn where nobody said how classes are read, and `labels` name a population code's classes.

    That is: K classes where the output has a multiple of K neurons, so that most spikes of one
    neuron would be compared with the number of a block.
    """
    if READOUT in settings or labels is None or not len(labels):
        return
    found = blocks_of(labels, neurons)
    if found is not None:
        what = f"y names {found} classes, the output has {neurons} neurons: each is read as a class"
        say(name, what, f"--readout rate:{found} where blocks of {neurons // found} are a class")


def blocks_of(labels: NDArray[np.int64], neurons: int) -> int | None:
    """K where `labels` are all of 0..K-1, K divides `neurons` and this is hardly by chance.

    The chance is that of drawing each label from `neurons` equally likely classes.

    >>> blocks_of(np.arange(30) % 3, 15), blocks_of(np.arange(3), 15), blocks_of(np.arange(30), 30)
    (3, None, None)
    """
    named = np.unique(labels)
    k = len(named)
    dense = k > 1 and int(named[0]) == 0 and int(named[-1]) == k - 1
    if not dense or k >= neurons or neurons % k:
        return None
    return k if len(labels) * np.log(k / neurons) < np.log(CHANCE) else None
