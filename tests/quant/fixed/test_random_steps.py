"""Steps that nobody wrote: random expressions become integers that fit, in numpy as in code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from snnstack.dynamics.expr import E, lift
from snnstack.dynamics.model import Field, Model, Names, Neurons, Next
from snnstack.dynamics.run_numpy import Definition, evaluated
from snnstack.dynamics.terms import exp, least, magnitude, most, sigmoid, tanh, where
from snnstack.dynamics.trace import traced
from snnstack.quant.fixed import calibrated, fixed_point
from tests.quant.fixed.models import N
from tests.quant.fixed.test_fixed_point import RNG, every_number, extreme_sums, machine_code

FUNCTIONS: tuple[Callable[[E], E], ...] = (exp, tanh, sigmoid)
CONSTANTS = (0.5, 2.0, -1.0, 0.04, 5.0, 140.0, 0.0, 1.0)


def number(rng: Any, leaves: list[E], depth: int) -> E:
    """A random expression."""
    if depth == 0 or rng.random() < 0.15:
        known = rng.random() < 0.85
        return leaves[rng.integers(len(leaves))] if known else lift(rng.choice(CONSTANTS).item())
    a, b = number(rng, leaves, depth - 1), number(rng, leaves, depth - 1)
    kinds: tuple[Callable[[], E], ...] = (
        lambda: a + b,
        lambda: a - b,
        lambda: a * b,
        lambda: a * b,
        lambda: least(a, b),
        lambda: most(a, b),
        lambda: magnitude(a),
        lambda: where((a > b) | ~(b >= 1), a, b),
        lambda: FUNCTIONS[rng.integers(3)](0.3 * a),
        lambda: a / (leaves[-1] + 3.0),
    )
    return kinds[rng.integers(len(kinds))]()


def neurons(seed: int) -> Neurons:
    """Two states of random steps, which are bounded."""

    def step(n: Names, x: E) -> Next:
        rng = RNG(seed)
        leaves = [n.v, n.w, x, n.a, n.b]
        v = least(most(number(rng, leaves, 4), -50), 50)
        w = 0.9 * n.w + tanh(number(rng, leaves, 4))
        fired = number(rng, leaves, 3) > n.a
        return Next({"v": where(fired, 0, v), "w": w}, fired)

    model = Model("random", ("v", "w"), (Field("a"), Field("b")), step)
    values = {"a": RNG(seed).uniform(-2, 2, N), "b": RNG(seed + 1).uniform(0.1, 3, N)}
    return Neurons(model, N, "float64", values)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.filterwarnings("ignore:overflow encountered in exp")
def test_a_random_step_fits_32_bits_and_is_the_same_in_machine_code(seed: int) -> None:
    real, rng = neurons(seed), RNG(seed)
    x = rng.normal(0, rng.choice([0.1, 1, 10]), (40, 1, N))
    fixed = fixed_point(real, calibrated(real, {"x": x}), {"x": rng.uniform(3, 300, N)})
    layer, step = Definition(fixed.neurons, 1), traced(fixed.neurons)
    stepped, names = machine_code(fixed.neurons)
    state, watched = np.zeros((len(names), N), np.int32), every_number(step)
    for sums in extreme_sums(rng, 6, 1):
        inputs = {"x": sums.astype(np.int64)}
        for value in evaluated(watched, layer.state, inputs, np.dtype(np.int64)).values():
            assert -(2**31) <= np.min(value) <= np.max(value) < 2**31
        expected = layer(inputs["x"])
        assert expected is not None
        np.testing.assert_array_equal(stepped(state, np.ascontiguousarray(sums)), expected[0])
        for k, name in enumerate(names):
            np.testing.assert_array_equal(state[k], layer.state[name][0])
