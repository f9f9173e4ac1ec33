"""Slow decays, free scales, saturation that is counted, C under UBSan, and what is refused."""

from __future__ import annotations

import math
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snnstack.dynamics.c_place import Place
from snnstack.dynamics.c_words import tables
from snnstack.dynamics.expr import E, Table, ordered
from snnstack.dynamics.model import Field, Model, Names, Neurons, Next
from snnstack.dynamics.print_c import printed
from snnstack.dynamics.run_numpy import Definition, evaluated
from snnstack.dynamics.terms import exp, least, lut, most, tanh, where
from snnstack.dynamics.trace import traced
from snnstack.errors import ModelError
from snnstack.quant.fixed import Fixed, Machine, calibrated, fixed_point, saturations
from tests.quant.fixed.models import CASES, N, alif, fields, pulses
from tests.quant.fixed.test_fixed_point import RNG, both, extreme_sums, integer_sums, known

UBSAN = ("-std=c99", "-O1", "-Wall", "-Wextra", "-Werror", "-fsanitize=undefined",
         "-fsanitize-undefined-trap-on-error")  # fmt: skip
ROWS = 600


def slow(tau_v: float, tau_a: float, jump: float) -> Any:
    """An adaptive neuron with time constants in steps."""
    alpha, rho = math.exp(-1 / tau_v), math.exp(-1 / tau_a)
    values = {"alpha": alpha, "rho": rho, "threshold": 1.0, "jump": jump}
    model = Model("alif", ("v", "a"), fields("alpha", "rho", "threshold", "jump"), alif)
    return replace(CASES["alif"], neurons=Neurons(model, N, "float64", values), scale=60.0)


@pytest.mark.parametrize("tau", [5_000, 10_000])
@pytest.mark.parametrize("slow_membrane", [False, True])
def test_time_constants_of_seconds_keep_their_spikes(tau: int, slow_membrane: bool) -> None:
    case = slow(tau, 200.0, 0.1) if slow_membrane else slow(20.0, tau, 0.02)
    drive = pulses(0.1, 0.05) if slow_membrane else pulses(0.3, 0.4)
    case = replace(case, draw=lambda rng, steps: {"x": drive(rng, steps)})
    ranges = calibrated(case.neurons, case.draw(RNG(99), 1500))
    fixed = fixed_point(case.neurons, ranges, {"x": case.scale})
    sums = integer_sums(case, 7, 1500)
    real, integer, _ = both(case, fixed, sums)
    assert real.sum() > 50
    np.testing.assert_array_equal(integer, real)
    note = next(line for line in fixed.notes if f"time constant {tau}" in line)
    rounded = float(note.split("rounded ")[1].split(";")[0])
    assert rounded == pytest.approx(tau, rel=1e-5) and "rests within" in note


def test_a_slow_state_gets_more_bits_where_the_machine_has_them() -> None:
    case = slow(20_000, 200.0, 0.1)
    ranges = {"v": (0.0, 1.0), "a": (0.0, 1.0), "x": (0.0, 0.1)}
    wide = fixed_point(case.neurons, ranges, {"x": 64.0})
    narrow = fixed_point(case.neurons, ranges, {"x": 64.0}, Machine(widest_bits=24))
    assert wide.scale["v"] > narrow.scale["v"] and wide.scale["a"] == narrow.scale["a"]
    assert max(map(abs, narrow.spans["v"])) < 2**23


def ops_of(fixed: Fixed) -> set[str]:
    return {e.op for e in ordered(traced(fixed.neurons).roots.values())}


def test_a_homogeneous_step_takes_over_the_scale_of_its_port() -> None:
    fixed = known("cuba_lif")
    assert fixed.ports == {"x": "shift"}
    assert np.ptp(np.asarray(fixed.scale["v"])) > 0  # every neuron has its own
    roots = traced(fixed.neurons).roots.values()
    products = [e for e in ordered(roots) if e.op in ("mul", "mulshift")]
    assert not any(a.op == "input" for e in products for a in e.args)


def test_a_step_with_numbers_in_volts_multiplies_its_port() -> None:
    fixed = known("izhikevich")
    assert fixed.ports == {"x": "multiply"} and np.ndim(fixed.scale["v"]) == 0
    assert "x_unit" in fixed.neurons.values


def test_membranes_that_are_compared_keep_one_scale() -> None:
    neurons = replace(CASES["cuba_lif"].neurons, options={"fires": False})
    ranges = calibrated(neurons, CASES["cuba_lif"].draw(RNG(1), 100))
    fixed = fixed_point(neurons, ranges, {"x": np.linspace(20.0, 30.0, N)})
    assert np.ptp(np.asarray(fixed.scale["v"])) == 0  # the gain of the input takes the scale
    assert np.ptp(np.asarray(fixed.neurons.value("gain"))) > 0


def test_a_known_bound_of_the_sums_needs_no_saturation() -> None:
    neurons = CASES["cuba_lif"].neurons
    ranges = calibrated(neurons, CASES["cuba_lif"].draw(RNG(1), 100))
    places = {
        bound: {c.place for c in fixed_point(neurons, ranges, {"x": 32.0}, sums=bound and
                                             {"x": bound}).clips}
        for bound in (None, (-40, 60))
    }  # fmt: skip
    assert "input x" in places[None] and "input x" not in places[-40, 60]


def test_saturation_is_counted_where_it_happens() -> None:
    def step(n: Names, x: E) -> Next:
        return Next({"v": 0.5 * n.v + x}, n.v)

    model = Model("leaky", ("v",), (), step, sends="value")
    neurons = Neurons(model, 1, "float64", {})
    ranges = {"v": (-8.0, 8.0), "x": (-4.0, 4.0), "sent": (-1.0, 1.0)}
    fixed = fixed_point(neurons, ranges, {"x": 1.0}, Machine(payload_bits=8))
    sums = np.array([0, 7, 0, 0, -9, 0]).reshape(-1, 1, 1)
    found = saturations(fixed, {"x": sums})
    assert found["input x"] == 1  # -9, beyond -8..8
    assert (fixed.sent_bits, found["sent"]) == (5, 2)  # 7 and -7.125, beyond 127/32
    layer = Definition(fixed.neurons, 1)
    sent = [int(np.asarray(layer(x)).item()) for x in sums]
    assert sent == [0, 0, 127, 112, 56, -127]  # what it was before each step, times 32


@pytest.mark.skipif(shutil.which("cc") is None, reason="cc not found")
def test_c_computes_the_same_without_undefined_behaviour(tmp_path: Path) -> None:
    parts, given, expected = [], [], []
    for name in sorted(CASES):
        text, rows, wanted = c_case(name)
        parts.append(text)
        given.append(rows.astype("<i4").tobytes())
        expected.append(wanted)
    calls = "".join(f"run_{name}();" for name in sorted(CASES))
    head = "#include <stdint.h>\n#include <stdio.h>\n"
    (tmp_path / "a.c").write_text(head + "\n".join(parts) + f"int main(void) {{ {calls} }}\n")
    subprocess.run(["cc", *UBSAN, "-o", tmp_path / "a", tmp_path / "a.c"], check=True)
    done = subprocess.run(
        [tmp_path / "a"], input=b"".join(given), check=True, capture_output=True
    )  # fmt: skip
    np.testing.assert_array_equal(np.frombuffer(done.stdout, "<i4"), np.concatenate(expected))


def c_case(name: str) -> tuple[str, Any, Any]:
    """C that steps rows of states, parameters and sums, these rows, and the results."""
    fixed = known(name)
    neurons, rng = fixed.neurons, RNG(5)
    model, step = neurons.model, traced(fixed.neurons)
    state = {s: rng.integers(low, high, (ROWS // N, N), endpoint=True)
             for s, (low, high) in fixed.spans.items()}  # fmt: skip
    sums = extreme_sums(rng, ROWS // N, len(model.inputs)).astype(np.int64)
    inputs = {p: sums[:, k] for k, p in enumerate(model.inputs)}
    found = evaluated(step, state, inputs, np.dtype(np.int64))
    shape = (ROWS // N, N)
    wanted = np.stack([np.broadcast_to(found[r], shape).ravel() for r in step.roots], 1).ravel()
    parameters = {f.name: neurons.value(f.name) for f in model.parameters}
    every = {**state, **parameters, **inputs}
    rows = np.stack([np.broadcast_to(np.asarray(v), shape).ravel() for v in every.values()], 1)
    place = {key: k for k, key in enumerate(every)}
    slots = "a[{}]".format
    held = Place(
        state=lambda name: slots(place[name]),
        input=lambda name: slots(place[name]),
        param=lambda name: slots(place[name]),
        spike=lambda: "sent = 1;",
        value="sent = {};".format,
        result=lambda name, text: f"{name} = {text};",
    )
    ends = {p: (int(x.min()), int(x.max())) for p, x in inputs.items()}
    kinds = ("state", "reads", "sent", "active", "fits")
    made = printed(step, held, {**fixed.spans, **ends}, kinds)
    others = ["_".join(root.split()) for root in step.roots if not root.startswith("state ")]
    results = [
        slots(place[root.split()[1]]) if root.startswith("state ") else "_".join(root.split())
        for root in step.roots
    ]
    arrays = [f"static const int32_t {t.name}[] = {{{', '.join(map(str, t.entries))}}};"
              for t in tables(step)]  # fmt: skip
    arrays = [line.replace("static const", "const") for line in arrays]
    body = [f"static void run_{name}(void) {{", *arrays, f"int32_t a[{len(every)}];"]
    body += [f"for (int k = 0; k < {ROWS}; k++) {{ if (!fread(a, sizeof a, 1, stdin)) return;"]
    body += [f"int32_t {other} = 0;" for other in others]
    body += [*made.lines, f"const int32_t r[] = {{{', '.join(results)}}};"]
    return "\n".join([*body, "fwrite(r, sizeof r, 1, stdout); } }"]), rows, wanted


def test_a_parameter_as_a_condition_is_true_where_it_is_not_0() -> None:
    def step(n: Names, x: E) -> Next:
        return Next({"v": where(n.mode, x, n.v)})

    mode = np.array([0.0, 0.3, -2.0, 0.0, 1.0, 0.0])
    neurons = Neurons(Model("m", ("v",), (Field("mode"),), step), N, "float64", {"mode": mode})
    layer = Definition(fixed_point(neurons, UNIT, {"x": 1.0}).neurons, 1)
    layer(np.ones((1, N), dtype=np.int64))
    np.testing.assert_array_equal(layer.state["v"][0] != 0, mode != 0)


def test_a_table_covers_where_its_function_changes_however_wide_its_argument() -> None:
    def step(n: Names, x: E) -> Next:
        return Next({"v": tanh(1000 * x)})

    neurons = one(step)
    fixed = fixed_point(neurons, {"v": (-1.0, 1.0), "x": (-50.0, 50.0)}, {"x": 2.0**14})
    assert fixed.tables[0].error < 4e-4
    layer = Definition(fixed.neurons, 1)
    for x in (-(2**18), -40, -10, 0, 7, 33, 2**18):
        layer(np.array([[x]]))
        real = math.tanh(1000 * x / 2**14)
        assert abs(layer.state["v"].item() / fixed.scale["v"] - real) < 5e-4


def one(step: Any, states: str = "v", parameters: Any = (), values: Any = None) -> Neurons:
    made = tuple(Field(name) for name in parameters)
    return Neurons(Model("mine", tuple(states), made, step), 1, "float64", values or {})


def clock(n: Names, x: E) -> Next:
    return Next({"v": n.v * 0.5 + x, "t": n.t + 1}, n.v > n.t)


def divides(n: Names, x: E) -> Next:
    return Next({"v": 0.9 * n.v + x / n.v})


def shifts(n: Names, x: E) -> Next:
    return Next({"v": x << n.v})


def reads_a_table(n: Names, x: E) -> Next:
    return Next({"v": lut(Table("t", (1, 2)), x)})


def counts(n: Names, x: E) -> Next:
    return Next({"v": where(x > 0, 0, least(n.v + 1, 2**40))}, n.v > 5)


UNIT = {"v": (-1.0, 1.0), "x": (-1.0, 1.0)}
REFUSED = {
    "mine: its step reads the time: state 't' becomes (t + 1.0) in every step, without bound "
    "(let it begin again with where(...), or leave it out)": (
        one(clock, "vt"), {**UNIT, "t": (0.0, 9.0)}, 1.0),
    "mine: divides by v, a state in -4..4 (divide by a parameter, or keep the state "
    "away from 0 with most(state, least))": (one(divides), UNIT, 1.0),
    "mine: shifts by a number of bits that depends on a state": (one(shifts), UNIT, 1.0),
    "mine: 'lut' has no form in integers": (one(reads_a_table), UNIT, 1.0),
    "mine: no calibrated range of 'x'": (one(counts), {"v": (0.0, 1.0)}, 1.0),
    "mine: the range of 'v' is (0.0, inf), unbounded": (
        one(counts), {"v": (0.0, math.inf), "x": (0.0, 1.0)}, 1.0),
    "mine: a scale of the input 'x' is not above 0": (one(counts), UNIT, 0.0),
    "mine: state 'v' counts to 1.64927e+12, the limit is 8388607": (
        one(counts), {"v": (0.0, 2.0**40), "x": (0.0, 1.0)}, 1.0),
    "mine: divides by 0 (check their values)": (
        one(lambda n, x: Next({"v": n.v - n.v / n.tau + x}), "v", ("tau",), {"tau": 0.0}),
        UNIT, 1.0),
}  # fmt: skip


@pytest.mark.parametrize("message", REFUSED)
def test_what_integers_cannot_hold_is_refused(message: str) -> None:
    neurons, ranges, scale = REFUSED[message]
    with pytest.raises(ModelError) as told:
        fixed_point(neurons, ranges, {"x": scale})
    assert str(told.value).startswith(message)


def test_a_state_that_runs_away_is_refused() -> None:
    x = np.ones((80, 1, 1))
    with pytest.raises(ModelError) as told:
        calibrated(one(lambda n, x: Next({"v": 1.5 * n.v + x})), {"x": x})
    assert "mine: state 'v' is unbounded: its largest value grows from" in str(told.value)
    with pytest.raises(ModelError) as told:
        calibrated(one(lambda n, x: Next({"v": exp(n.v) + x})), {"x": x})
    assert "mine: state 'v' is unbounded: it leaves +-1e+30 in step" in str(told.value)


def test_a_divisor_that_stays_away_from_0_is_a_table() -> None:
    def step(n: Names, x: E) -> Next:
        g = most(0.9 * n.g + 0.1 * x, 0)
        return Next({"g": g}, n.drive / (0.5 + g))

    model = Model("normalised", ("g",), (Field("drive"),), step, sends="value")
    neurons = Neurons(model, N, "float64", {"drive": np.linspace(0.5, 1.5, N)})
    x = RNG(3).uniform(0, 2, (200, 1, N))
    fixed = fixed_point(neurons, calibrated(neurons, {"x": x}), {"x": 100.0})
    assert fixed.sent_bits is not None
    real, integer = Definition(neurons, 1), Definition(fixed.neurons, 1)
    for sums in np.floor(RNG(4).uniform(0, 2, (200, 1, N)) * 100).astype(np.int64):
        a, b = real(sums / 100), integer(sums)
        assert a is not None and b is not None
        assert np.abs(a - b / 2.0**fixed.sent_bits).max() < 2e-3 * 3.0
