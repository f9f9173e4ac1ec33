"""Random numbers that depend on a key alone: the same on any number of threads, in any order."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from snnstack.dynamics.compiled import compiled

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
FIRST = np.uint64(0xBF58476D1CE4E5B9)
SECOND = np.uint64(0x94D049BB133111EB)
HALF, LOW, SHORT = np.uint64(32), np.uint64(0xFFFFFFFF), np.uint64(1)
THIRTY, TWENTY_SEVEN, THIRTY_ONE = np.uint64(30), np.uint64(27), np.uint64(31)
SCALE = 2.0**-32


@compiled
def mixed(key: Any, number: Any) -> Any:
    """A key for part `number` of what `key` stands for (splitmix64, Steele et al. 2014)."""
    z = np.uint64(key) + np.uint64(number + 1) * GOLDEN
    z = (z ^ (z >> THIRTY)) * FIRST
    z = (z ^ (z >> TWENTY_SEVEN)) * SECOND
    return z ^ (z >> THIRTY_ONE)


@compiled
def normal_pair(key: Any, number: Any) -> Any:
    """Two independent standard normal numbers (Box and Muller 1958)."""
    bits = mixed(key, number)
    radius = math.sqrt(-2.0 * math.log((float(bits >> HALF) + 0.5) * SCALE))
    angle = (2.0 * math.pi * SCALE) * float(bits & LOW)
    return radius * math.cos(angle), radius * math.sin(angle)
