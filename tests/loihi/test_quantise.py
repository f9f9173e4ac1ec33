"""Quantising for Loihi: integers that the registers hold, close to the float network."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snnstack.backends.loihi.formats import Format, exact_format, parts
from snnstack.backends.loihi.quantise import quantise
from snnstack.backends.loihi.registers import LARGEST_BIAS, STATE_MAX, nearest_bias
from snnstack.backends.loihi.weights import effective
from snnstack.board import load_board
from snnstack.errors import ModelError
from snnstack.ir.step import Dense, Projection, StepGraph, StepInput, lif

LOIHI_1, LOIHI_2 = load_board("loihi1"), load_board("oheo-gulch")


def population(name="p", n=3, *, beta=0.5, bias=0.0, **changes):
    made = lif(
        name=name,
        shape=(n,),
        alpha=np.full(n, 0.9),
        beta=None if beta is None else np.full(n, beta),
        gain_in=np.ones(n),
        gain=np.ones(n),
        bias=np.full(n, bias),
        leak=np.zeros(n),
        threshold=np.ones(n),
        v_reset=np.zeros(n),
    )
    return made.with_lif(**changes)


def graph(p, weight=None, events="binary"):
    weight = np.random.default_rng(0).normal(size=(p.n, 5)) if weight is None else weight
    projection = Projection("x", p.name, Dense(weight))
    port = StepInput("x", (weight.shape[1],), events)
    return StepGraph((port,), (p,), (projection,), (p.name,), 1e-3)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.01, 20), st.floats(0, 0.99), st.floats(-3, 3))
def test_every_value_fits_its_register_and_the_current_cannot_wrap(seed, size, beta, bias):
    weight = np.random.default_rng(seed).normal(size=(3, 5)) * size
    net = quantise(graph(population(beta=beta, bias=bias), weight), LOIHI_2)
    p, integer = net.populations[0], net.projections[0].synapses.weight
    assert parts(integer) is not None
    assert p.threshold.min() == p.threshold.max() >= 64 and p.threshold[0] % 64 == 0
    assert p.threshold[0] >> 6 < 2**17
    assert np.array_equal(nearest_bias(p.leak.astype(float)).value, p.leak)
    assert np.all(p.bias % 64 == 0)
    up = np.maximum(integer, 0).sum(axis=1) * 64 + np.maximum(p.bias, 0)
    down = np.minimum(integer, 0).sum(axis=1) * 64 + np.minimum(p.bias, 0)
    reach = np.maximum(up, -down) / (1 - p.beta / 4096)
    if net.settings["registers"]["p"]["current_wraps"] == "cannot happen":
        assert reach.max() <= STATE_MAX


def test_both_signs_use_all_of_their_levels():
    weight = np.array([[1.0, 0.37, -0.2, -0.3, 0.1]] * 3)
    net = quantise(graph(population(), weight), LOIHI_2)
    found = parts(net.projections[0].synapses.weight)
    assert [format.signs for _, format in found] == ["excitatory", "inhibitory"]
    for integer, format in found:
        assert np.abs(integer).max() // format.step > 127
    back = net.projections[0].synapses.weight * 64 / net.populations[0].scale[:, None]
    assert np.allclose(back, weight, atol=1 / 255, rtol=0.01)


@given(st.integers(0, 7), st.sampled_from(["mixed", "excitatory", "inhibitory"]))
def test_a_format_is_what_the_chip_applies(exponent, signs):
    format = Format(signs, exponent)
    levels = np.arange(-format.most, format.most + 1)
    if signs != "mixed":
        levels = np.abs(levels) * (1 if signs == "excitatory" else -1)
    weight = levels * format.step
    stored = weight >> exponent
    assert np.array_equal(effective(stored, 8, exponent, signs), weight)
    assert exact_format(weight, signs).exponent <= exponent


def test_decays_have_twelve_bits():
    net = quantise(graph(population(alpha=np.full(3, 0.123), beta=0.777)), LOIHI_2)
    p = net.populations[0]
    assert p.alpha.tolist() == [504] * 3  # 0.123 * 4096 = 503.8
    assert p.beta.tolist() == [3183] * 3


def test_thresholds_that_differ_become_one_register():
    p = population(threshold=np.array([1.0, 2.0, 0.5]))
    net = quantise(graph(p), LOIHI_2)
    found = net.populations[0]
    assert len(set(found.threshold.tolist())) == 1
    assert np.allclose(found.threshold / found.scale, [1.0, 2.0, 0.5])


def test_greater_or_equal_is_one_mantissa_step_lower():
    strict = quantise(graph(population()), LOIHI_2).populations[0]
    equal = quantise(graph(population(compare="ge")), LOIHI_2).populations[0]
    assert (equal.threshold - strict.threshold).tolist() == [-64] * 3
    assert equal.compare == "gt"


def test_input_declared_as_counts_is_proven_for_one_spike_without_data():
    net = quantise(graph(population(), events="count"), LOIHI_2)
    assert net.settings["input_counts"] == {"x": 1}
    assert net.settings["calibrated_on"] == 0


def test_bias_registers_come_closest():
    value = np.array([0.4, -4096.0, 4096.0, 123_456.7, 1e9])
    found = nearest_bias(value)
    assert found.value.tolist() == [0, -4096, 4096, 123_456, LARGEST_BIAS]
    assert found.exponent.max() <= 7 and np.abs(found.mantissa).max() <= 4096


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"v_reset": np.full(3, 0.25)},
            "p: v_reset = 0.25, the chip resets to 0 (measure voltages from v_reset and train "
            "again)",
        ),
        (
            {"reset": "subtract"},
            "p: resets by subtracting the threshold, generation 1 only resets to zero "
            "(compile with --reset zero, or for a generation 2 board)",
        ),
        (
            {"refractory": 64},
            "p: refractory period of 64 steps, at most 63 (use a larger time step)",
        ),
        (
            {"threshold": np.zeros(3)},
            "p: threshold 0, the chip needs one above 0 (shift the membrane and the threshold by "
            "a constant)",
        ),
    ],
)
def test_what_the_chip_cannot_do_is_refused_with_the_reason(changes, message):
    with pytest.raises(ModelError) as error:
        quantise(graph(population(**changes)), LOIHI_1)
    assert str(error.value) == message


def test_weights_far_above_the_threshold_are_refused():
    with pytest.raises(ModelError) as error:
        quantise(graph(population(), np.full((3, 5), 1e6)), LOIHI_2)
    assert str(error.value) == (
        "p: weights up to 1e+06 and constant input up to 0 times the threshold leave less than "
        "one weight unit for the threshold (rescale the layer)"
    )
