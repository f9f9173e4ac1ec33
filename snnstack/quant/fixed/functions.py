"""Functions of one number that become tables, from Python's `math`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from snnstack.dynamics.spans import Span

SAMPLES = 4096
"""Points at which a function that is not monotonous is looked at for its extremes."""


def _exp(x: float) -> float:
    return math.exp(x) if x < 709 else math.inf


def _sigmoid(x: float) -> float:
    return 1 / (1 + _exp(-x)) if x >= 0 else _exp(x) / (1 + _exp(x))


def _softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


@dataclass(frozen=True)
class Function:
    """`at(x)`; `monotonous`: its extremes are at the ends of an interval. `least`: where it
    begins to be defined. `flat`: (below, above), whether it is constant there in the limit.
    """

    at: Callable[[float], float]
    monotonous: bool = True
    least: float = -math.inf
    flat: tuple[bool, bool] = (False, False)

    def span(self, of: Span) -> Span:
        """The interval of its values."""
        if self.monotonous:
            low, high = sorted((self.at(of[0]), self.at(of[1])))
            return low, high
        width = (of[1] - of[0]) / SAMPLES
        found = [self.at(of[0] + width * k) for k in range(SAMPLES + 1)]
        slack = max(abs(a - b) for a, b in pairwise(found))
        return min(found) - slack, max(found) + slack


FUNCTIONS = {
    "exp": Function(_exp, flat=(True, False)),
    "tanh": Function(math.tanh, flat=(True, True)),
    "sigmoid": Function(_sigmoid, flat=(True, True)),
    "softplus": Function(_softplus, flat=(True, False)),
    "silu": Function(lambda x: x * _sigmoid(x), monotonous=False, flat=(True, False)),
    "sin": Function(math.sin, monotonous=False),
    "cos": Function(math.cos, monotonous=False),
    "sqrt": Function(math.sqrt, least=0.0),
    "log": Function(lambda x: math.log(x) if x > 0 else -math.inf, least=0.0),
    "reciprocal": Function(lambda x: 1 / x if x else math.inf),
}
