"""Weight formats: what is wrong with one, and which one holds given weights."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from snnstack.backends.loihi.ranges import outside
from snnstack.backends.loihi.weights import Signs
from snnstack.errors import Problem
from snnstack.ir.nodes import Array

Stored = tuple[int, int, Signs]
"""Bits, exponent and sign mode of a weight."""
ODD_MIXED: Stored = (9, 0, "mixed")
"""Odd weights of both signs beyond 127."""


def weight_problems(where: str, bits: int, exponent: int, signs: Signs) -> Iterator[Problem]:
    """What is wrong with a weight format."""
    if signs not in ("mixed", "excitatory", "inhibitory"):
        known = "'mixed', 'excitatory' and 'inhibitory'"
        yield Problem(where, f"signs is {signs!r}; there are {known}")
        return
    highest = 9 if signs == "mixed" else 8
    if not 1 <= bits <= highest:
        yield Problem(where, f"weight bits is {bits}, outside 1..{highest}", f"{signs} weights")
    yield from outside(where, "weight exponent", exponent)


def sign_mode(weight: Array) -> Signs:
    """The sign mode that Lava would choose for `weight`."""
    if not weight.size or weight.min() >= 0:
        return "excitatory"
    return "inhibitory" if weight.max() <= 0 else "mixed"


def weight_format(weight: Array) -> Stored | None:
    """(bits, exponent, signs) whose effective weights are exactly `weight`, if there is one.

    `ODD_MIXED` is what lava-dl asks of Lava; the chip holds it in `stored_parts`.
    """
    low, high = (int(weight.min()), int(weight.max())) if weight.size else (0, 0)
    signs: Signs = "excitatory" if low >= 0 else "inhibitory" if high <= 0 else "mixed"
    lowest, highest = (-256, 254) if signs == "mixed" else (-255, 255)
    common = int(np.bitwise_or.reduce(np.abs(weight), axis=None)) if weight.size else 0
    spare = (common & -common).bit_length() - 1 if common else 8
    for exponent in (0, -1, *range(1, 8)):
        fits = lowest <= low * 2.0**-exponent and high * 2.0**-exponent <= highest
        if fits and spare - exponent >= (signs == "mixed"):
            return 8, exponent, signs
    return ODD_MIXED if signs == "mixed" and low >= -256 and high <= 254 else None


def stored_parts(weight: Array, form: Stored) -> list[tuple[Array, Stored]]:
    """The connections that hold `weight`: one of this format, or by sign where it is too wide.

    Mixed signs take one of the 8 bits that the chip stores, so that odd weights beyond 127 have
    no place. lava-dl asks Lava for 9 bits, which applies them as they are; so do an excitatory
    and an inhibitory connection (-256 in two steps).
    """
    if form != ODD_MIXED:
        return [(weight, form)]
    below = np.minimum(weight, 0)
    near = np.maximum(below, -255)
    split: list[tuple[Array, Signs]] = [
        (np.maximum(weight, 0), "excitatory"),
        (near, "inhibitory"),
        (below - near, "inhibitory"),
    ]
    return [(part, (8, 0, signs)) for part, signs in split if part.any()]
