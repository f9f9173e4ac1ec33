"""Logic of spikes: AND, OR and NOT of values that are 0 or 1, as a sum and a threshold.

SEW-ResNet joins its branches so (Fang et al., NeurIPS 2021, table 1): AND is `x * y`, IAND is
`(1 - x) * y`; ADD is a sum, which needs nothing of this.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from snnstack.frontends import torch_layers as layers
from snnstack.frontends.torch_functional import read
from snnstack.frontends.torch_modules import node
from snnstack.frontends.torch_values import Value
from snnstack.ir.nodes import Scale

NOT = ("not",)


def product(one: Value, two: Value) -> Value | None:
    """`one * two`, which is AND where both are 0 or 1; None where they are not."""
    if not (one.binary and two.binary) or one.shape != two.shape or one.lead != two.lead:
        return None
    return Value("gate", (one, two), ("and",), one.shape, one.lead, True, 1.5)


def smaller(recorder: Any, args: Any, kwargs: Any, outs: Any) -> Value | None:
    """`minimum(x, y)` of spikes is AND."""
    given = [read(recorder, tensor) for tensor in (*args, *kwargs.values())][:2]
    return product(*given) if len(given) == 2 and all(given) else None  # type: ignore[arg-type]


def larger(recorder: Any, args: Any, kwargs: Any, outs: Any) -> Value | None:
    """`maximum(x, y)` of spikes is OR."""
    both = smaller(recorder, args, kwargs, outs)
    return both and Value("gate", both.args, ("or",), both.shape, both.lead, True, 0.5)


def complement(value: Value) -> Value:
    """`1 - value` of a value that is 0 or 1."""

    def make(shape: Any) -> layers.Nodes:
        ((_, shift),) = layers.channel_affine(np.ones(shape[0]), np.ones(shape[0]))(shape)
        return [("_negative", Scale(np.full(shape, -1.0))), ("", shift)]

    return node(value, NOT, make, value.shape, binary=True)


def level(value: Value) -> tuple[list[tuple[Value, float]], float]:
    """(what a gate adds up, each with its sign; above which sum it is 1).

    `1 - x` is taken in as -x and a threshold that is lower by 1, so that no constant is needed.
    """
    signs = [(v.args[0], -1.0) if v.key == NOT else (v, 1.0) for v in value.args]
    return signs, float(value.data) - sum(sign < 0 for _, sign in signs)
