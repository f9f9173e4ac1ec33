"""Steps in C compute what the definition does, with nothing that C leaves undefined."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snnstack.dynamics.c_place import Place
from snnstack.dynamics.expr import E, Table
from snnstack.dynamics.model import Field, Model, Neurons, Next
from snnstack.dynamics.neurons.cuba_lif import CUBA_LIF
from snnstack.dynamics.neurons.sigma_delta import SIGMA_DELTA
from snnstack.dynamics.neurons.spinnaker2_lif import SPINNAKER2_LIF
from snnstack.dynamics.neurons.two_receptor import TWO_RECEPTOR
from snnstack.dynamics.ops import OPS
from snnstack.dynamics.print_c import printed
from snnstack.dynamics.proofs import proven
from snnstack.dynamics.terms import decay, lut, most, sat, scaled_product, where, wrap
from snnstack.dynamics.trace import traced
from snnstack.quant.neurons import integer_neurons
from tests.dynamics.c_host import Case, run_c, run_numpy
from tests.dynamics.test_models import N as WIDTH
from tests.dynamics.test_models import float_populations, integer_populations
from tests.dynamics.test_ops import EDGES, REAL, model

N = 48
BATCHES = settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def numbers(rng: Any, low: int, high: int) -> Any:
    """[N] integers of low..high: its ends, those beside, and small ones, too."""
    special = np.clip([low, low + 1, high - 1, high, -1, 0, 1], low, high)
    mixed = np.concatenate([special, rng.integers(low, high, N - 7, endpoint=True)])
    return rng.permutation(mixed)


def same(cases: list[Case], folder: Path) -> None:
    for case, found in zip(cases, run_c(cases, folder), strict=True):
        for t, (rows, expected) in enumerate(zip(found, run_numpy(case), strict=True)):
            about = f"{case.neurons.model.name} {dict(case.neurons.options)} step {t}"
            np.testing.assert_array_equal(rows, expected, err_msg=about)


def one_operation(name: str, rng: Any, alike: bool) -> Case:
    values = {f"a{k}": numbers(rng, *ends) for k, ends in enumerate(EDGES[name])}
    if alike:  # the last argument is one number for all
        last = f"a{len(values) - 1}"
        values[last] = int(values[last][0])
    return Case(Neurons(model(name), N, "int32", values), np.zeros((1, 1, N)), {"x": (0, 0)})


@BATCHES
@given(st.integers(0, 2**20))
def test_integers(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    names = sorted(EDGES)
    same([one_operation(name, rng, alike) for name in names for alike in (False, True)], tmp_path)


def test_every_operation_is_written_in_c() -> None:
    truths = {"and", "or", "not"}  # in the steps of whole models below
    assert {name for name, row in OPS.items() if "c" in row.text} == {*EDGES, *truths}


@BATCHES
@given(st.integers(0, 2**20))
def test_real_numbers(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    cases = []
    for name in REAL:
        arguments = range(len(EDGES[name]))
        values = {f"a{k}": rng.normal(0, 10.0 ** rng.integers(-3, 4), N) for k in arguments}
        values = {k: v.astype(np.float32) for k, v in values.items()}
        cases.append(Case(Neurons(model(name), N, "float32", values), np.zeros((1, 1, N)), {}))
    same(cases, tmp_path)


def of_population(drawn: Any) -> Case:
    population, numerics, seed = drawn
    neurons = integer_neurons(population, numerics)
    sums = np.random.default_rng(seed).integers(-300, 400, (1, 12, WIDTH))
    bounds = {"x": (-300, 400)}
    return Case(neurons, sums, bounds | proven(traced(neurons), bounds))


@BATCHES
@given(st.lists(integer_populations(), min_size=10, max_size=10))
def test_integer_populations(tmp_path: Path, drawn: list[Any]) -> None:
    cases = list(map(of_population, drawn))
    same(cases, tmp_path)
    for case in cases:
        names = case.neurons.model.states
        for rows in run_numpy(case):
            for name, row in zip(names, rows[1:], strict=False):
                low, high = case.bounds[name]
                assert low <= row.min() and row.max() <= high, name


@BATCHES
@given(st.lists(float_populations(), min_size=10, max_size=10))
def test_real_populations(tmp_path: Path, drawn: list[Any]) -> None:
    cases = []
    for population, seed in drawn:
        exact = population.neurons
        values = {k: np.asarray(v, np.float32) for k, v in exact.values.items()}
        neurons = Neurons(exact.model, exact.n, "float32", values, exact.options)
        sums = np.random.default_rng(seed).uniform(-0.5, 1.5, (1, 12, WIDTH)).astype(np.float32)
        cases.append(Case(neurons, sums, {}))
    same(cases, tmp_path)


OPTIONS = [
    {"reset": reset, "reset_time": time, "compare": compare, "current": current, "refractory": rest}
    for reset, time in (("set", "now"), ("subtract", "now"), ("subtract", "next"),
                        ("subtract", "recheck"), ("none", "now"))
    for compare in ("gt", "ge")
    for current in (False, True)
    for rest in ((False, True) if time == "now" else (False,))
]  # fmt: skip


def test_every_choice_of_the_lif_family(tmp_path: Path) -> None:
    """From random states, near limits that act."""
    rng = np.random.default_rng(0)
    ranges = {"alpha": (0, 65537), "beta": (0, 65537), "bias": (-99, 99), "leak": (-9, 9),
              "threshold": (1, 9000), "v_reset": (-50, 50)}  # fmt: skip
    cases = []
    for options in OPTIONS:
        values: dict[str, Any] = {name: rng.integers(*ends, 60) for name, ends in ranges.items()}
        values |= {"shift": 3, "pause": 4, "current_max": 20_000, "state_max": 30_000}
        states = {"v": rng.integers(-9999, 9999, 60), "i": rng.integers(-9999, 9999, 60),
                  "wait": rng.integers(0, 3, 60)}  # fmt: skip
        neurons = Neurons(CUBA_LIF, 60, "int32", values, options, states)
        bounds = {"x": (-5000, 5000)}
        sums = rng.integers(-5000, 5000, (1, 8, 60))
        cases.append(Case(neurons, sums, bounds | proven(traced(neurons), bounds)))
    same(cases, tmp_path)


SQUASH = Table("squash", tuple(int(4096 / (1 + 2.0 ** (8 - k / 2))) for k in range(33)))


def adaptive(n: Any, x: E) -> Next:
    v = sat(decay(n.v, n.alpha) + x, n.limit)
    a = decay(n.a, n.rho)
    fired = v > n.threshold + a
    after = {"v": where(fired, v - n.threshold, v), "a": sat(where(fired, a + n.jump, a), n.limit)}
    return Next(after, fired)


def quadratic(n: Any, x: E) -> Next:
    """Izhikevich 2003 with 8 fraction bits, 1 ms in one step."""
    square = scaled_product(n.v, n.v, 8)
    v = sat(n.v + scaled_product(square, 10, 8) + n.v * 5 + 140 * 256 - n.u + x, 2**22)
    fired = v >= 30 * 256
    u = sat(n.u + scaled_product(n.a, scaled_product(n.b, n.v, 8) - n.u, 8), 2**22)
    return Next({"v": where(fired, n.c, v), "u": where(fired, u + n.d, u)}, fired)


def gated(n: Any, gate: E, value: E) -> Next:
    share = lut(SQUASH, (sat(gate, 2**20) >> 6) + 16)
    v = scaled_product(n.v, 4096 - share, 12) + scaled_product(sat(value, 2**20), share, 12)
    return Next({"v": v}, most(v - n.threshold, 0))


OTHERS: list[tuple[Model, dict[str, Any], dict[str, Any]]] = [
    (
        Model(
            "adaptive",
            ("v", "a"),
            tuple(map(Field, ("alpha", "rho", "threshold", "jump", "limit"))),
            adaptive,
        ),
        {"alpha": 60000, "rho": 65000, "threshold": 900, "jump": 200, "limit": 2**29},
        {},
    ),
    (
        Model("quadratic", ("v", "u"), tuple(map(Field, "abcd")), quadratic),
        {"a": 5, "b": 51, "c": -65 * 256, "d": np.arange(8) * 256},
        {},
    ),
    (
        Model(
            "gated",
            ("v",),
            (Field("threshold"),),
            gated,
            inputs=("gate", "value"),
            sends="value",
        ),
        {"threshold": 30},
        {},
    ),
    (SIGMA_DELTA, {"shift": 2, "threshold": 300, "payload_shift": 1, "bias": 5}, {}),
    (SIGMA_DELTA, {"threshold": np.arange(8) * 50}, {"rectify": False}),
]  # fmt: skip


def test_other_models(tmp_path: Path) -> None:
    cases = []
    for known, values, options in OTHERS:
        neurons = Neurons(known, 8, "int32", values, options)
        sums = np.random.default_rng(1).integers(-900, 4000, (len(known.inputs), 60, 8))
        bounds = dict.fromkeys(known.inputs, (-900, 4000))
        cases.append(Case(neurons, sums, bounds | proven(traced(neurons), bounds)))
    same(cases, tmp_path)


def test_chips_and_receptors(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    receptors = {"decay_e": 0.8, "decay_i": 0.9, "weight_e": 3, "weight_i": 2, "rate": 0.1}
    receptors |= {"threshold": 9.0, "pause": 2, "reversal_e": 7.0, "reversal_i": -8.0}
    lif = {f.name: rng.uniform(0.3, 0.9, 8).astype(np.float32) for f in SPINNAKER2_LIF.parameters}
    cases = [
        Case(Neurons(TWO_RECEPTOR, 8, "float32", receptors, {"conductances": c}),
             rng.integers(0, 4, (2, 40, 8)), {}) for c in (False, True)
    ]  # fmt: skip
    inputs = len(SPINNAKER2_LIF.inputs)
    cases.append(
        Case(Neurons(SPINNAKER2_LIF, 8, "float32", lif), rng.integers(0, 4, (inputs, 40, 8)), {})
    )
    same(cases, tmp_path)


def text_of(values: dict[str, Any], options: dict[str, Any], most: int) -> str:
    step = traced(Neurons(CUBA_LIF, 2, "int32", values, options))
    bounds = {"x": (-most, most)}
    return printed(step, Place(), bounds | proven(step, bounds)).text()


LIF = {"alpha": 32768, "threshold": 1000, "state_max": 2**30 - 1}


def test_a_clip_that_cannot_act_is_left_out() -> None:
    assert "1073741823" not in text_of(LIF, {}, 2**20)
    assert "1073741823" in text_of({**LIF, "alpha": 65536}, {}, 2**20)


def test_products_are_wide_only_where_they_must_be() -> None:
    assert "int64_t" in text_of(LIF, {}, 2**17)
    narrow = {**LIF, "alpha": 8, "threshold": 2}
    assert "int64_t" not in text_of(narrow, {"alpha_bits": 4}, 2**17)


def test_what_only_a_spike_needs_is_in_its_branch() -> None:
    text = text_of({**LIF, "threshold": np.array([7, 9])}, {"reset": "subtract"}, 99)
    head, branch = text.split("if (")
    assert "- threshold[j]" in branch and "threshold" not in head


def test_what_leaves_64_bits_wraps_as_the_definition(tmp_path: Path) -> None:
    def step(n: Any, x: E) -> Next:
        cube = n.v * n.v * n.v
        return Next({"v": wrap((cube * x + (cube << 5)) >> 7, 32)})

    start = {"v": np.random.default_rng(1).integers(-(2**31), 2**31, 40)}
    cubic = Neurons(Model("cubic", ("v",), (), step), 40, "int32", {}, {}, start)
    sums = np.random.default_rng(2).integers(-(2**31), 2**31, (1, 1, 40))
    same([Case(cubic, sums, {})], tmp_path)


def test_a_product_with_65536_is_one() -> None:
    def step(n: Any, x: E) -> Next:
        return Next({"v": x * 65536})

    neurons = Neurons(Model("mine", ("v",), (), step), 1, "int32", {})
    assert "65536" in printed(traced(neurons), Place(), {"x": (-9, 9)}).text()
