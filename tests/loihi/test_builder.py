"""Networks in chip units: known answers, and a message for every value that does not fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from snnstack.backends.loihi.builder import ChipBuilder, replay
from snnstack.emulators.loihi import emulate_network
from snnstack.errors import ModelError
from snnstack.trace import Spikes


def one(**registers: Any) -> ChipBuilder:
    """One input, one neuron."""
    return ChipBuilder().input("x", 1).population("n", 1, **registers)


def spikes_at(*steps: int, of: int) -> Spikes:
    dense = np.zeros((1, of, 1), dtype=np.uint8)
    dense[0, list(steps)] = 1
    return Spikes.from_dense(dense)


def message(builder: ChipBuilder) -> str:
    with pytest.raises(ModelError) as error:
        builder.build()
    return str(error.value)


def test_a_current_with_du_2047_halves_every_step() -> None:
    net = one(du=2047, dv=4095, vth_mant=None).connect("x", "n", [[128]]).build()
    trace = replay(net, spikes_at(0, of=12), [("n", "i")])
    assert trace.states["n", "i"][0, 1:, 0].tolist() == [2 ** (13 - j) for j in range(11)]


def test_a_membrane_with_dv_2048_halves_the_distance() -> None:
    net = one(du=0, dv=2048, vth_mant=None).connect("x", "n", [[128]]).build()
    trace = replay(net, spikes_at(0, of=9), [("n", "v")])
    known = [8192, 12286, 14331, 15351, 15859, 16111, 16235, 16295]
    assert trace.states["n", "v"][0, 1:, 0].tolist() == known


def test_a_bias_of_2_shifted_by_6_reaches_a_threshold_of_8_at_steps_4_and_9() -> None:
    net = one(du=0, dv=0, vth_mant=8, bias_mant=2, bias_exp=6).build()
    trace = replay(net, spikes_at(of=10), [("n", "v")])
    assert np.flatnonzero(trace.spikes["n"].dense()[0, :, 0]).tolist() == [4, 9]
    assert trace.states["n", "v"][0, 4, 0] == 128


def test_the_two_conventions_of_du_differ_by_one() -> None:
    lava = one(du=4095, dv=100, vth_mant=1).build()
    chip = one(du=4096, dv=100, vth_mant=1, convention="chip").build()
    found = [net.population("n").i_decay.tolist() for net in (lava, chip)]  # type: ignore[union-attr]
    assert found == [[4096], [4096]]


@pytest.mark.parametrize("refractory", [1, 2, 5])
def test_a_refractory_period_of_r_leaves_out_r_minus_1_steps(refractory: int) -> None:
    registers = {"du": 0, "dv": 0, "vth_mant": 0, "bias_mant": 1, "bias_exp": 6}
    net = one(**registers, refractory=refractory).build()
    fired = replay(net, spikes_at(of=20)).spikes["n"].dense()[0, :, 0]
    assert np.flatnonzero(fired).tolist() == list(range(0, 20, refractory))


@pytest.mark.parametrize(
    ("refractory", "reads"),
    [
        (1, [64, 128, 64, 128, 64, 128]),
        (2, [64, 256, 257, 64, 256, 257]),
        (3, [64, 384, 385, 386, 64, 384]),
        (5, [64, 640, 641, 642, 643, 644]),
    ],
)
def test_the_register_counts_the_refractory_period_from_128_times_it(
    refractory: int, reads: list[int]
) -> None:
    """The chip recognises a spike by v == refractory * 128 (nengo-loihi's readers of a chip: 384
    for a period of 3); from there the register counts on: 640, 641, 642, ..."""
    net = one(
        du=0, dv=0, vth_mant=1, bias_mant=1, bias_exp=6, refractory=refractory, reset="zero"
    ).build()
    trace = replay(net, spikes_at(of=6), [("n", "v")])
    assert trace.states["n", "v"][0, :, 0].tolist() == reads
    emulated = emulate_network(net, spikes_at(of=6), [("n", "v")])
    assert emulated.states["n", "v"][0, :, 0].tolist() == reads


def test_a_membrane_begins_with_v_init_in_every_sample() -> None:
    net = one(du=4095, dv=2048, vth_mant=None, v_init=-1000).build()
    spikes = Spikes.from_dense(np.zeros((2, 3, 1), np.uint8))
    for run in (replay, emulate_network):
        found = run(net, spikes, [("n", "v")]).states["n", "v"]
        assert found[:, :, 0].tolist() == [[-500, -250, -125]] * 2


def test_states_are_cleared_before_every_step_of_an_interval() -> None:
    registers = {"du": 0, "dv": 0, "vth_mant": 3, "bias_mant": 1, "bias_exp": 6}
    net = one(**registers, reset_interval=3, reset_offset=4).build()
    for run in (replay, emulate_network):
        trace = run(net, spikes_at(of=8), [("n", "v")])
        assert trace.states["n", "v"][0, :, 0].tolist() == [64, 64, 128, 192, 64, 128, 192, 64]
        assert trace.spikes["n"].total == 0


def test_intervals_and_initial_membranes_outside_their_ranges_are_named() -> None:
    with pytest.raises(ModelError) as error:
        one(du=0, dv=0, vth_mant=1, v_init=2**23, reset_interval=0, reset_offset=-1).build()
    assert str(error.value) == (
        "n: reset_interval is 0, outside 1..2147483647 (steps; None is never)\n"
        "n: reset_offset is -1, outside 0..2147483647 (steps)\n"
        "n: v_init is 8388608, outside -8388607..8388607 (24 bits, saturating)"
    )


def test_during_the_refractory_period_a_soft_reset_membrane_is_held() -> None:
    registers = {"du": 0, "dv": 0, "vth_mant": 1, "bias_mant": 3, "bias_exp": 6}
    net = one(**registers, refractory=3, reset="subtract").build()
    trace = replay(net, spikes_at(of=5), [("n", "v")])
    assert trace.states["n", "v"][0, :, 0].tolist() == [128, 128, 128, 256, 256]
    assert trace.spikes["n"].dense()[0, :, 0].tolist() == [1, 0, 0, 1, 0]


def test_a_delay_per_synapse_shifts_each_spike_by_its_own() -> None:
    net = (
        ChipBuilder()
        .input("x", 3)
        .population("n", 2, du=4095, dv=4095, vth_mant=None)
        .connect("x", "n", [[2, 4, 6], [8, 0, 10]], delay=[[0, 1, 2], [3, 9, 3]])
        .build()
    )
    assert [c.delay for c in net.connections] == [0, 1, 2, 3]
    dense = np.zeros((1, 6, 3), dtype=np.uint8)
    dense[0, 0] = 1
    trace = replay(net, Spikes.from_dense(dense), [("n", "i")])
    assert (trace.states["n", "i"][0] >> 6).tolist() == [
        [0, 0],
        [2, 0],
        [4, 0],
        [6, 0],
        [0, 18],
        [0, 0],
    ]


def test_a_delay_per_channel_of_a_convolution_splits_it() -> None:
    builder = ChipBuilder().input("x", (2, 3, 3)).population("n", (1, 1, 1), **CALM)
    net = builder.conv("x", "n", np.full((1, 2, 3, 3), 2), delay=[4, 1]).build()
    assert [c.delay for c in net.connections] == [1, 4]
    assert [c.synapses.weight.sum(axis=(0, 2, 3)).tolist() for c in net.connections] == [
        [0, 18],
        [18, 0],
    ]


CALM: dict[str, Any] = {"du": 4095, "dv": 4095, "vth_mant": None}


def test_signs_are_those_of_the_weights_unless_given() -> None:
    builder = ChipBuilder().input("x", 1).population("n", 1, **CALM)
    for weight in (7, -7):
        builder.connect("x", "n", [[weight]])
    net = builder.connect("x", "n", [[7]], signs="mixed").build()
    found = [(c.signs, int(c.synapses.weight[0, 0])) for c in net.connections]
    assert found == [("excitatory", 7), ("inhibitory", -7), ("mixed", 6)]


@pytest.mark.parametrize(
    ("registers", "expected"),
    [
        ({"vth_mant": 200_000}, "n: vth_mant is 200000, outside 0..131071 (17 bits, unsigned)"),
        ({"du": 4096}, "n: du is 4096, outside 0..4095 (12 bits, unsigned)"),
        ({"dv": -1}, "n: dv is -1, outside 0..4095 (12 bits, unsigned)"),
        (
            {"du": 4097, "convention": "chip"},
            "n: i_decay is 4097, outside 0..4096 (12 bits and the offset bit)",
        ),
        ({"bias_mant": -4097}, "n: bias_mant is -4097, outside -4096..4095 (13 bits, signed)"),
        ({"bias_exp": 8}, "n: bias_exp is 8, outside 0..7 (3 bits, unsigned)"),
        ({"refractory": 65}, "n: refractory is 65, outside 1..64 (steps; 1 is none)"),
        ({"bias_mant": 1.5}, "n: bias_mant is 1.5, not a whole number"),
        (
            {"bias_mant": [1, 2]},
            "n: bias_mant has shape [2], which does not fit [1] "
            "(give one value, or one per neuron)",
        ),
        ({"reset": "soft"}, "n: reset is 'soft'; there are 'zero' and 'subtract'"),
    ],
)
def test_a_register_that_cannot_hold_its_value_is_named(
    registers: dict[str, Any], expected: str
) -> None:
    assert message(one(**{"du": 0, "dv": 0, "vth_mant": 1, **registers})) == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"weight": [[256]]}, "x -> n: weight is 256, outside 0..255 (excitatory weights)"),
        (
            {"weight": [[255]], "signs": "mixed"},
            "x -> n: weight is 255, outside -256..254 (mixed weights)",
        ),
        ({"weight": [[1]], "delay": 63}, "x -> n: delay is 63, outside 0..62 (steps)"),
        (
            {"weight": [[1]], "bits": 9},
            "x -> n: weight bits is 9, outside 1..8 (excitatory weights)",
        ),
        (
            {"weight": [[1]], "exponent": 8},
            "x -> n: weight exponent is 8, outside -8..7 (4 bits, signed)",
        ),
        (
            {"weight": [[1, 2]]},
            "x -> n: weight has shape [1, 2], not [target, source] = [1, 1]",
        ),
    ],
)
def test_a_weight_that_does_not_fit_is_named(options: dict[str, Any], expected: str) -> None:
    assert message(one(**CALM).connect("x", "n", **options)) == expected


def test_generation_1_has_no_graded_events_no_soft_reset_and_no_sigma_delta() -> None:
    builder = (
        ChipBuilder(generation=1)
        .input("x", 1, graded=True)
        .population("n", 1, du=0, dv=0, vth_mant=1, reset="subtract")
        .sigma_delta("s", 1, vth=1)
    )
    again = "(build for generation 2)"
    assert message(builder).splitlines() == [
        f"x: generation 1 has no graded input events {again}",
        f"n: generation 1 has no reset by subtraction {again}",
        f"s: generation 1 has no sigma-delta neurons {again}",
    ]


def test_a_connection_to_what_is_not_there_is_named() -> None:
    assert message(one(**CALM).connect("x", "m", [[1]]).output("q")).splitlines() == [
        "x -> m: there is no 'm' yet (add populations before connections)",
        "q: it is an output but not a population",
    ]


def test_a_convolution_of_the_wrong_size_is_named() -> None:
    builder = ChipBuilder().input("x", (1, 5, 5)).population("n", (1, 3, 4), **CALM)
    assert message(builder.conv("x", "n", np.ones((1, 1, 3, 3)))) == (
        "x -> n: it gives [1, 3, 3], but the target is [1, 3, 4] "
        "(check stride, padding and dilation)"
    )


def test_sigma_delta_neurons_send_changes_above_the_threshold() -> None:
    net = (
        ChipBuilder()
        .input("x", 1, graded=True)
        .sigma_delta("n", 1, vth=2, activation="none")
        .connect("x", "n", [[64]], signs="excitatory")
        .build()
    )
    trace = replay(net, np.array([[[1], [1], [5], [-7], [0]]]), [("n", "s")])
    assert trace.states["n", "s"][0, :, 0].tolist() == [0, 0, 2, 5, -7]
