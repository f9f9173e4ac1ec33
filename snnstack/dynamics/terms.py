"""What the step of a neuron is written with, besides the operators of Python."""

from __future__ import annotations

from snnstack.dynamics.expr import E, Operand, Table, lift

FINE_BITS = 32


def decay(x: Operand, factor: Operand, bits: int = 16) -> E:
    """`x` times `factor` / 2**bits, rounded down.

    `factor` is 0..2**bits; with 32 bits it is at least a half.
    """
    return E("decay" if bits < FINE_BITS else "fine_decay", (lift(x), lift(factor), lift(bits)))


def shrunk(x: Operand, factor: Operand, bits: int = 12) -> E:
    """`x` times `factor` / 2**bits, rounded toward zero; factor 0..2**bits."""
    return E("shrunk", (lift(x), lift(factor), lift(bits)))


def scaled(x: Operand, shift: Operand) -> E:
    """A synaptic sum in the units of a state: `x` times 2**shift (in real numbers, `x`)."""
    return E("scaled", (lift(x), lift(shift)))


def gained(x: Operand, gain: Operand) -> E:
    """`x` times `gain` in real numbers; quantisation has put the gain into the scale of `x`."""
    return E("gained", (lift(x), lift(gain)))


def sat(x: Operand, limit: Operand) -> E:
    """`x` held within -limit..limit (in real numbers, `x`)."""
    return E("sat", (lift(x), lift(limit)))


def wrap(x: Operand, bits: int) -> E:
    """`x` as a two's complement number of `bits` bits (in real numbers, `x`)."""
    return E("wrap", (lift(x), lift(bits)))


def where(condition: Operand, then: Operand, other: Operand) -> E:
    """`then` where the condition holds, else `other`."""
    return E("where", (lift(condition), lift(then), lift(other)))


def least(a: Operand, b: Operand) -> E:
    """The smaller of two."""
    return E("min", (lift(a), lift(b)))


def most(a: Operand, b: Operand) -> E:
    """The larger of two."""
    return E("max", (lift(a), lift(b)))


def magnitude(x: Operand) -> E:
    """The absolute value."""
    return E("abs", (lift(x),))


def same(a: Operand, b: Operand) -> E:
    """Whether two truth values, or two numbers, are equal."""
    return E("eq", (lift(a), lift(b)))


def nearest(x: Operand) -> E:
    """The nearest whole number, halves up; a number that is whole already."""
    return E("nearest", (lift(x),))


def scaled_product(a: Operand, b: Operand, bits: int) -> E:
    """A b / 2**bits, rounded down, of two numbers with fraction bits; the product is 64 bit."""
    return E("mulshift", (lift(a), lift(b), lift(bits)))


def lut(table: Table, index: Operand) -> E:
    """Entry `index` of `table`; an index outside is the nearest entry."""
    return E("lut", (lift(index),), table)


def exp(x: Operand) -> E:
    """The exponential function; in integers a table."""
    return E("exp", (lift(x),))


def tanh(x: Operand) -> E:
    """The hyperbolic tangent; in integers a table."""
    return E("tanh", (lift(x),))


def sigmoid(x: Operand) -> E:
    """1 / (1 + exp(-x)); in integers a table."""
    return E("sigmoid", (lift(x),))


def silu(x: Operand) -> E:
    """The product of `x` and `sigmoid(x)`; in integers a table."""
    return E("silu", (lift(x),))


def sqrt(x: Operand) -> E:
    """The square root; in integers a table."""
    return E("sqrt", (lift(x),))


def log(x: Operand) -> E:
    """The natural logarithm; in integers a table."""
    return E("log", (lift(x),))


def sin(x: Operand) -> E:
    """The sine; in integers a table."""
    return E("sin", (lift(x),))


def cos(x: Operand) -> E:
    """The cosine; in integers a table."""
    return E("cos", (lift(x),))


def held(x: Operand, low: Operand, high: Operand) -> E:
    """`x` held within low..high, in real numbers too."""
    return least(most(x, low), high)
