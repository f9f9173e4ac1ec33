"""Rounded decays that settle where the exact ones do.

A membrane with constant input x settles at `x / (1 - alpha)`. Rounding alpha to a machine's
fraction bits moves that by `(1 - alpha) / (1 - rounded)`: 7 % for 10 s in steps of 1 ms and 16
bits. Where it matters, all input is multiplied with the inverse, so that the steady state (the
rate at constant drive, and whether the threshold is reached at all) is right; the first step of a
response is then off by as much. A decay that is not exactly 1 never becomes 1: it would
integrate for ever.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from snnstack.fixedpoint import round_half_up
from snnstack.ir.matrix import scale_targets
from snnstack.ir.nodes import Array
from snnstack.ir.step import Population, Projection
from snnstack.quant.numerics import Numerics

TOLERANCE = 2.0**-10
"""A steady state that rounding moves by no more than this share is left as it is."""


def rounded(factor: Array, bits: int) -> Array:
    """Decay factors as integers with `bits` fraction bits; 2**bits only where exactly 1.

    >>> rounded(np.array([0.5, 1.0 - 1e-9, 1.0]), 16).tolist()
    [32768, 65535, 65536]
    """
    one = 1 << bits
    nearest = np.clip(round_half_up(np.asarray(factor) * float(one)), 0, one)
    return np.where((nearest == one) & (factor < 1.0), one - 1, nearest)


def shift_of(factor: Array, held: Array) -> Array:
    """What input must be multiplied with so that decays `held` settle as `factor` does: [n]."""
    leaving = 1.0 - factor
    return np.where(leaving > 0, (1.0 - held) / np.where(leaving > 0, leaving, 1.0), 1.0)


def decay_bits(factor: Array | None, numerics: Numerics) -> int | None:
    """The fraction bits that a population's decays need: None, as many as `numerics` says.

    More where the machine has them and a steady state would move; a fine decay is at least 1/2.
    """
    fine = numerics.fine_decay_bits
    if factor is None or fine is None or not len(factor) or factor.min() < 0.5:
        return None
    held = rounded(factor, numerics.decay_bits) / float(1 << numerics.decay_bits)
    return fine if np.abs(shift_of(factor, held) - 1.0).max() > TOLERANCE else None


def settled(
    population: Population,
    into: tuple[Projection, ...],
    alpha: Array,
    beta: Array | None,
    tolerance: float = TOLERANCE,
) -> tuple[Population, tuple[Projection, ...], Array | None]:
    """The population and what enters it, with input corrected for the decays that are held.

    `alpha`, `beta`: those, as real numbers. The last of the three is the correction [n]; None
    where it is within `tolerance`, or where neurons that share weights would need different ones.
    """
    membrane = shift_of(population.alpha, alpha)
    gain = membrane
    if population.beta is not None and beta is not None:
        gain = membrane * shift_of(population.beta, beta)
    if not len(gain) or np.abs(gain - 1.0).max() <= tolerance:
        return population, into, None
    corrected = []
    for projection in into:
        synapses = scale_targets(projection.synapses, gain, strict=False)
        if synapses is None:
            return population, into, None
        corrected.append(replace(projection, synapses=synapses))
    changed = population.with_lif(bias=population.bias * gain, leak=population.leak * membrane)
    return changed, tuple(corrected), gain
