"""Lava's bit-accurate processes and our definition of the chip give the same, everywhere."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snnstack.api import verify
from snnstack.backends.loihi import lava, quantise
from snnstack.backends.loihi.builder import ChipBuilder, replay
from snnstack.backends.loihi.lava_job import make_job
from snnstack.backends.loihi.network import ChipNetwork, ChipPopulation, Cuba
from snnstack.backends.loihi.netx import read_netx
from snnstack.backends.loihi.reference import run_chip
from snnstack.board import load_board
from snnstack.compilers.loihi import compile, compile_chip
from snnstack.emulators.loihi import emulate_network
from snnstack.errors import ToolError
from snnstack.ir.nodes import Array
from snnstack.trace import Spikes, Trace
from tests.conftest import DATA
from tests.loihi.chipnets import random_network
from tests.loihi.test_constants import deep, spikes_for

NETWORKS = 200
RNG = np.random.default_rng


def flat(dense: Array) -> Array:
    return dense.reshape(*dense.shape[:2], -1).astype(np.int64)


def differences(ours: Trace, theirs: Trace) -> dict[object, int]:
    """{population or probe: number of values that differ}, without the zeros."""
    found: dict[object, int] = {}
    for name, spikes in ours.spikes.items():
        found[name] = int((spikes.dense() != theirs.spikes[name].dense()).sum())
    for key, values in ours.states.items():
        found[key] = int((values != theirs.states[key]).sum())
    return {key: count for key, count in found.items() if count}


@pytest.mark.needs_lava
def test_200_random_networks_have_the_spikes_and_states_of_lavas_models() -> None:
    made = [random_network(RNG(seed)) for seed in range(NETWORKS)]
    theirs = lava.run_models([net for net, _ in made], [flat(data) for _, data in made])
    wrong, fired = {}, 0
    for seed, ((net, data), trace) in enumerate(zip(made, theirs, strict=True)):
        given, probes = Spikes.from_dense(data), lava.every_probe(net)
        ours = run_chip(net, given, probes)
        fired += sum(spikes.total for spikes in ours.spikes.values())
        for run in (ours, emulate_network(net, given, probes)):
            if differences(run, trace):
                wrong[seed] = differences(run, trace)
    assert wrong == {}
    assert fired > 10_000


@pytest.mark.needs_lava
def test_lavas_current_parts_from_the_register_only_where_24_bits_cannot_hold_it() -> None:
    """k inputs of weight +-2**14 make u = +-k * 2**20, anew in every step: 2**23 is k = 8."""
    most = 26
    builder = ChipBuilder(generation=1).input("x", most)
    for name, sign in (("up", 1), ("down", -1)):
        builder.population(name, 1, du=4095, dv=4095, vth_mant=None)
        builder.connect("x", name, np.full((1, most), sign * 128), exponent=7)
    net, data = builder.build(), np.tri(most + 1, most, -1, dtype=np.int64)[None]
    exact = np.arange(most) * 2**20
    (theirs,) = lava.run_models([net], [data])
    probes = [("up", "i"), ("down", "i")]
    for ours in (
        run_chip(net, data, probes),
        emulate_network(net, Spikes.from_dense(data.astype(np.uint8)), probes),
    ):
        for probe, sign in zip(probes, (1, -1), strict=True):
            k = np.arange(most)  # step k + 1 shows what k inputs sent in step k
            u, lavas = ours.states[probe][0, 1:, 0], theirs.states[probe][0, 1:, 0]
            assert u.tolist() == [wrapped(sign * value) for value in exact.tolist()]
            assert k[:24][(u != lavas)[:24]].tolist() == [8]
            assert lavas[8] == 2**23, "one more than a 24-bit register holds"
            assert abs(lavas[25]) > 2**23, "wrapped once, which is too little"


def wrapped(value: int) -> int:
    """Two's complement, 24 bits."""
    return (value + 2**23) % 2**24 - 2**23


def soft_reset() -> ChipNetwork:
    """Different thresholds, reset by subtraction, refractory, recurrent with delays."""
    rng = RNG(1)
    return (
        ChipBuilder()
        .input("x", 20)
        .population("a", 30, du=1000, dv=300, vth_mant=400, bias_mant=5, bias_exp=6)
        .population("b", 3, du=100, dv=100, vth_mant=[10, 99, 300], refractory=3, reset="subtract")
        .connect("x", "a", 2 * rng.integers(-60, 61, (30, 20)))
        .connect("a", "a", 2 * rng.integers(-60, 61, (30, 30)), delay=2)
        .connect("a", "b", 2 * rng.integers(-60, 61, (3, 30)), exponent=2)
        .build()
    )


@pytest.mark.needs_lava
def test_lavas_runtime_gives_the_same_spikes_and_states() -> None:
    net = soft_reset()
    spikes = Spikes.from_dense((RNG(2).random((3, 40, 20)) < 0.2).astype(np.uint8))
    probes = lava.every_probe(net)
    done: list[tuple[int, int]] = []
    theirs = lava.run(net, spikes, probes=probes, progress=lambda *now: done.append(now))
    ours = replay(net, spikes, probes)
    assert differences(ours, theirs) == {}
    assert done[-1] == (3, 3)
    assert min(spikes.total for spikes in ours.spikes.values()) > 20


@pytest.mark.needs_lava
def test_a_convolution_and_a_pool_run_in_lavas_runtime() -> None:
    rng = RNG(3)
    net = (
        ChipBuilder()
        .input("x", (2, 8, 8))
        .population("c", (3, 6, 6), du=4095, dv=512, vth_mant=60)
        .population("n", 5, du=2000, dv=512, vth_mant=60)
        .conv("x", "c", 2 * rng.integers(-60, 100, (3, 2, 3, 3)))
        .connect("c", "n", 2 * rng.integers(-60, 100, (5, 27)), pool=2)
        .build()
    )
    spikes = Spikes.from_dense((rng.random((2, 30, 2, 8, 8)) < 0.2).astype(np.uint8))
    probes = lava.every_probe(net)
    ours = replay(net, spikes, probes)
    assert differences(ours, lava.run(net, spikes, probes=probes)) == {}
    assert min(spikes.total for spikes in ours.spikes.values()) > 20


@pytest.mark.needs_lava
@pytest.mark.parametrize("runtime", [False, True])
def test_sigma_delta_neurons_send_what_lavas_send(runtime: bool) -> None:
    rng = RNG(4)
    net = (
        ChipBuilder()
        .input("x", (2, 6, 6), graded=True)
        .sigma_delta("a", (3, 4, 4), vth=3, bias=rng.integers(-9, 9, (3, 4, 4)))
        .sigma_delta("b", 5, vth=2, activation="none", spike_exp=6)
        .conv("x", "a", 2 * rng.integers(-60, 61, (3, 2, 3, 3)))
        .connect("a", "b", 2 * rng.integers(-60, 61, (5, 48)))
        .build()
    )
    data = rng.integers(-50, 50, (2, 20, 72))
    probes = lava.every_probe(net)
    theirs = lava.run(net, data, probes=probes) if runtime else lava.run_models([net], [data])[0]
    ours = replay(net, data, probes)
    assert differences(ours, theirs) == {}
    assert all((ours.states[probe] != 0).sum() > 20 for probe in probes)


def convolution(k: int) -> tuple[dict[str, Any], ChipNetwork]:
    """Arguments of Lava's Conv, and the network that they are here."""
    rng = RNG(k)

    def some(low: int, high: int) -> tuple[int, int]:
        x, y = rng.integers(low, high, 2).tolist()
        return x, y

    (width, height), kernel = some(5, 9), some(1, 4)
    stride, padding, dilation = some(1, 3), some(0, 2), some(1, 3)
    groups = (1, 2, 4)[k % 3]
    weight = 2 * rng.integers(-60, 60, (4, *kernel, 4 // groups))
    out = [
        (n + 2 * p - d * (taps - 1) - 1) // s + 1
        for n, p, d, taps, s in zip(
            (height, width), padding[::-1], dilation[::-1], kernel[::-1], stride[::-1], strict=True
        )
    ]
    net = (
        ChipBuilder()
        .input("x", (4, height, width))
        .population("n", (4, *out), du=4095, dv=4095, vth_mant=None)
        .conv(
            "x",
            "n",
            weight.transpose(0, 3, 2, 1)[:, :, ::-1, ::-1],
            stride=stride[::-1],
            padding=padding[::-1],
            dilation=dilation[::-1],
            groups=groups,
        )
        .build()
    )
    x = (rng.random((6, width, height, 4)) < 0.3).astype(np.int64)
    geometry = np.array([stride, padding, dilation])
    shape = np.array([width, height, 4])
    case = {"weight": weight, "shape": shape, "geometry": geometry, "groups": groups, "x": x}
    return case, net


@pytest.mark.needs_lava
def test_lavas_convolution_is_ours_with_the_kernel_flipped_and_the_axes_turned(
    tmp_path: Path,
) -> None:
    made = [convolution(k) for k in range(9)]
    for k, (case, _) in enumerate(made):
        np.savez(tmp_path / f"case{k}.npz", **case)
    command = [sys.executable, "-m", "tests.loihi.lava_conv", str(tmp_path)]
    subprocess.run(command, cwd=Path(__file__).parents[2], check=True, timeout=120)
    for k, (case, net) in enumerate(made):
        seen = case["x"].transpose(0, 3, 2, 1).reshape(1, 6, -1)
        late = np.pad(seen, ((0, 0), (0, 1), (0, 0)))
        ours = emulate_network(net, late, [("n", "i")]).states["n", "i"][0, 1:] >> 6
        theirs = np.load(tmp_path / f"out{k}.npy").transpose(0, 3, 2, 1)
        assert (theirs != 0).any()
        assert (ours == theirs.reshape(6, -1)).all(), k


@pytest.mark.needs_lava
def test_lava_that_takes_too_long_is_ended() -> None:
    net = soft_reset()
    with pytest.raises(ToolError) as error:
        lava.run(net, np.zeros((1, 10, 20), dtype=np.int64), timeout_s=0.01)
    assert str(error.value) == (
        "Lava: no result after 0.01 s (give fewer steps or a longer timeout_s)"
    )


@pytest.mark.needs_lava
def test_without_a_board_hardware_is_refused_with_what_is_missing() -> None:
    with pytest.raises(ToolError) as error:
        lava.run_own(soft_reset(), np.zeros((1, 10, 20), dtype=np.int64), board=True)
    assert str(error.value) == (
        "Loihi 2 hardware: Lava's part for Loihi hardware (lava-loihi) is not installed "
        "(Intel gives it to members of the Neuromorphic Research Community)"
    )


def test_without_lava_the_message_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ToolError) as error:
        lava.describe(None)
    assert str(error.value) == (
        "Lava: not found: lava, asteval, networkx (pip install --no-deps "
        "--ignore-requires-python lava-nc==0.10.0 && pip install asteval==0.9.33 'networkx<=3.6')"
    )


def test_without_lava_a_program_is_compared_with_the_definition(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    program = compile_chip(soft_reset(), load_board("oheo-gulch"))
    spikes = Spikes.from_dense((RNG(2).random((2, 9, 20)) < 0.2).astype(np.uint8))
    found = verify(program, spikes)
    assert found.against == (
        "the integer reference, plain numpy; Lava is not installed (pip install --no-deps "
        "--ignore-requires-python lava-nc==0.10.0)"
    )
    assert (found.mismatches, found.samples) == (0, 2)


def test_a_bias_without_a_mantissa_is_named() -> None:
    net = ChipBuilder().input("x", 1).population("n", 1, du=0, dv=0, vth_mant=1).build()
    odd = net.with_(populations=(_with_bias(net, 8193),))
    with pytest.raises(ToolError) as error:
        make_job(odd, np.zeros((1, 1, 1), dtype=np.int64), "models")
    assert str(error.value) == "n: bias is 8193, no 13-bit mantissa times 2**0..7"


def _with_bias(net: ChipNetwork, bias: int) -> ChipPopulation:
    return replace(net.populations[0], bias=np.array([bias]))


@pytest.mark.needs_lava
@pytest.mark.data
@pytest.mark.slow
def test_the_mnist_network_runs_alike_in_lavas_runtime() -> None:
    net = read_netx(DATA / "netx" / "mnist.net")
    spikes = Spikes.from_dense((RNG(5).random((4, 32, 784)) < 0.1).astype(np.uint8))
    probes = lava.every_probe(net)
    ours = replay(net, spikes, probes)
    assert differences(ours, lava.run(net, spikes, probes=probes)) == {}
    assert min(found.total for found in ours.spikes.values()) > 20


def plain() -> ChipNetwork:
    """What Lava's own processes have: one set of registers a population, reset to 0."""
    rng = RNG(2)
    return (
        ChipBuilder()
        .input("x", 20)
        .population("a", 30, du=1000, dv=300, vth_mant=400, bias_mant=5, bias_exp=6)
        .population("b", 5, du=4095, dv=100, vth_mant=90)
        .connect("x", "a", 2 * rng.integers(-60, 61, (30, 20)))
        .connect("a", "a", 2 * rng.integers(-60, 61, (30, 30)))
        .connect("a", "b", 2 * rng.integers(-60, 61, (5, 30)), exponent=2)
        .build()
    )


@pytest.mark.needs_lava
def test_lavas_own_processes_which_a_board_runs_have_the_emulators_spikes() -> None:
    net = plain()
    spikes = Spikes.from_dense((RNG(3).random((2, 40, 20)) < 0.3).astype(np.uint8))
    found, expected = lava.run_own(net, spikes), emulate_network(net, spikes)
    assert expected.spikes["a"].total > 100 and expected.spikes["b"].total > 20
    assert differences(expected, found) == {}


@pytest.mark.needs_lava
def test_what_lavas_own_processes_do_not_have_is_named() -> None:
    with pytest.raises(ToolError) as error:
        lava.run_own(soft_reset(), np.zeros((1, 10, 20), dtype=np.int64))
    assert str(error.value) == (
        "b: has registers per neuron, a refractory period or a reset by subtraction "
        "(Lava's own LIF has neither; `run` without a board computes it)\n"
        "a -> a: has a delay of 2 steps (Lava's own Dense and Sparse have no delay)"
    )


def cleared(plain_registers: bool) -> tuple[ChipNetwork, Spikes]:
    """Two populations that are cleared at intervals, one after the other."""
    rng = RNG(8)
    du = 1000 if plain_registers else rng.integers(800, 1200, 30)
    net = (
        ChipBuilder()
        .input("x", 20)
        .population("a", 30, du=du, dv=100, vth_mant=400, bias_mant=5, bias_exp=6,
                    reset_interval=7, reset_offset=3)
        .population("b", 5, du=300, dv=100, vth_mant=90, reset_interval=7, reset_offset=4,
                    refractory=1 if plain_registers else 4)
        .connect("x", "a", 2 * rng.integers(-60, 61, (30, 20)))
        .connect("a", "b", 2 * rng.integers(-60, 61, (5, 30)), exponent=2)
        .build()
    )  # fmt: skip
    return net, Spikes.from_dense((rng.random((2, 40, 20)) < 0.3).astype(np.uint8))


@pytest.mark.needs_lava
@pytest.mark.parametrize("plain_registers", [True, False])
def test_states_are_cleared_as_by_lavas_lif_reset(plain_registers: bool) -> None:
    net, spikes = cleared(plain_registers)
    kinds = {p["kind"] for p in make_job(net, flat(spikes.dense()), "models")[0]["populations"]}
    assert kinds == ({"lif_reset"} if plain_registers else {"chip_lif"})
    probes = lava.every_probe(net)
    ours = emulate_network(net, spikes, probes)
    assert ours.spikes["a"].total > 100 and ours.spikes["b"].total > 20
    assert differences(ours, run_chip(net, spikes, probes)) == {}
    (theirs,) = lava.run_models([net], [flat(spikes.dense())])
    assert differences(ours, theirs) == {}
    never = tuple(replace(p, reset_interval=0) for p in net.populations)  # type: ignore[arg-type]
    assert differences(emulate_network(net.with_(populations=never), spikes), ours) != {}


@pytest.mark.needs_lava
def test_lavas_own_lif_reset_in_its_runtime_clears_in_the_same_steps() -> None:
    net, spikes = cleared(True)
    assert differences(emulate_network(net, spikes), lava.run_own(net, spikes)) == {}


@pytest.mark.needs_lava
def test_a_deep_program_with_constants_has_lavas_spikes_and_states() -> None:
    board = load_board("oheo-gulch")
    network = quantise(deep(2, "refractory"), board)
    program = compile(network, board)
    assert any(isinstance(p, Cuba) and p.v_init is not None for p in program.network.populations)
    found = verify(program, spikes_for(2).samples(0, 2))
    assert found.mismatches == 0 and "Lava" in found.against


@pytest.mark.needs_lava
def test_odd_weights_of_both_signs_are_what_lavas_dense_applies_with_9_bits() -> None:
    """As lava-dl's optimiser asks for them; Lava's 8 bits would make them even."""
    script = (
        "from snnstack.backends.loihi.lava_worker import load_lava; load_lava()\n"
        "import numpy as np\n"
        "from lava.utils.weightutils import SignMode, truncate_weights\n"
        "w = np.array([[200, 3, -77, -101]])\n"
        "print([truncate_weights(w, SignMode.MIXED, b).tolist() for b in (9, 8)])\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[[[200, 3, -77, -101]], [[200, 2, -78, -102]]]"
