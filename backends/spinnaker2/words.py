"""Synapse words: 16 bits, from the top: magnitude of the weight, delay, sign, target neuron.

| applications | weight | delay | inhibitory | index |
| ------------ | ------ | ----- | ---------- | ----- |
| with delay   | 4 bit  | 3 bit | 1 bit      | 8 bit |
| `*_no_delay` | 7 bit  | -     | 1 bit      | 8 bit |

The widths are those of py-spinnaker2's neuron applications.
"""

from __future__ import annotations

import numpy as np

from snnstack.backends.spinnaker2.network import Application
from snnstack.ir.nodes import Array

WORD_INDEX_BITS = 8
SIGN_BIT = 1 << WORD_INDEX_BITS
DELAY_BITS = 3
MOST_NEURONS = 250
"""Neurons of an element; py-spinnaker2 keeps six of the 256 indices free."""


def has_delays(application: Application) -> bool:
    """Whether words of `application` hold a delay."""
    return application in ("lif", "lif_curr_exp")


def weight_limit(application: Application) -> int:
    """The largest magnitude of a weight."""
    return 15 if has_delays(application) else 127


WIDE_WORDS = 64
"""A single weight may be the sum of so many words; the chip adds them as it adds synapses."""
WIDE_KERNELS = 4
"""So many kernels, of which every event takes all, may add up to one."""


def slots(application: Application) -> int:
    """Steps ahead for which an element keeps sums of arriving weights."""
    return 1 << DELAY_BITS if has_delays(application) else 1


def encode(application: Application, weight: Array, delay: Array | int, index: Array) -> Array:
    """Words uint16 of synapses; the values must be in range.

    >>> encode("lif", np.array([-3]), np.array([2]), np.array([7])).tolist() == [
    ...     (3 << 12) | (2 << 9) | (1 << 8) | 7
    ... ]
    True
    """
    word = np.asarray(index).astype(np.uint16)
    word |= (np.asarray(weight) < 0).astype(np.uint16) << np.uint16(8)
    magnitude = np.abs(weight).astype(np.uint16)
    if not has_delays(application):
        return np.asarray(word | magnitude << np.uint16(9))
    word |= np.asarray(delay).astype(np.uint16) << np.uint16(9)
    return np.asarray(word | magnitude << np.uint16(12))


def decode(application: Application, words: Array) -> tuple[Array, Array, Array]:
    """(weight, delay, index) of `words`, int64: the inverse of `encode`."""
    value = words.astype(np.int64)
    shift = 12 if has_delays(application) else 9
    weight = np.where(value & SIGN_BIT, -(value >> shift), value >> shift)
    delay = value >> 9 & 7 if has_delays(application) else np.zeros_like(value)
    return weight, delay, value & 0xFF
