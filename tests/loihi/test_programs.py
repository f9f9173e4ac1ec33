"""Neurons with a program of their own in chip units, beside Lava's own process models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from snnstack import Next, neuron, where
from snnstack.backends.loihi import lava_worker, price
from snnstack.backends.loihi.builder import ChipBuilder
from snnstack.backends.loihi.legal import LIMITS, OPERATIONS, REWRITES, legalised
from snnstack.backends.loihi.network import ChipNetwork
from snnstack.backends.loihi.programmed import update_weights
from snnstack.backends.loihi.reference import run_chip
from snnstack.board import load_board
from snnstack.compilers.loihi import compile_chip
from snnstack.dynamics.expr import E
from snnstack.dynamics.library import MODELS
from snnstack.dynamics.model import Field, Model, Names, Neurons
from snnstack.dynamics.neurons.loihi_cuba import LOIHI_CUBA
from snnstack.dynamics.ops import OPS
from snnstack.dynamics.run_numpy import Definition
from snnstack.dynamics.terms import magnitude, sat, shrunk, wrap
from snnstack.emulators.loihi import emulate, emulate_network
from snnstack.errors import DataError, ModelError
from snnstack.ir.nodes import Array
from snnstack.trace import Spikes

N, STEPS = 12, 120


@neuron("real", "imag", cosine="raw", sine="raw", bits="raw", threshold="raw")
def rotating(n: Names, re: E, im: E) -> Next:
    """Lava's RF: a rotating pair; a spike where the imaginary part passes 0 upwards."""
    real = shrunk(n.real, n.cosine, 12) - shrunk(n.imag, n.sine, 12) + (re << 6)
    imag = shrunk(n.real, n.sine, 12) + shrunk(n.imag, n.cosine, 12) + (im << 6)
    real, imag = sat(real, 2**23 - 1), sat(imag, 2**23 - 1)
    fired = (real >= n.threshold) & (imag >= 0) & (n.imag < 0)
    return Next({"real": real, "imag": imag}, fired)


@neuron("i", "v", "theta", "r", keep_i="raw", keep_v="raw", keep_t="raw", keep_r="raw",
        theta_0="raw", jump="raw", bias="raw")  # fmt: skip
def adaptive(n: Names, x: E) -> Next:
    """Lava's ATRLIF: threshold and refractoriness rise with a spike and fall back."""
    i = wrap(shrunk(n.i, n.keep_i) + (x << 6), 24)
    v = sat(shrunk(n.v, n.keep_v) + i + n.bias, 2**23 - 1)
    theta = shrunk(n.theta - n.theta_0, n.keep_t) + n.theta_0
    r = shrunk(n.r, n.keep_r)
    fired = v - r >= theta
    after = {"theta": where(fired, theta + n.jump, theta), "r": where(fired, r + 2 * theta, r)}
    return Next({"i": i, "v": v, **after}, fired)


@neuron("u", "v", sends="value", keep_u="raw", keep_v="raw", high="raw", low="raw")
def ternary(n: Names, x: E) -> Next:
    """Lava's TernaryLIF."""
    u = wrap(shrunk(n.u, n.keep_u) + (x << 6), 24)
    v = sat(shrunk(n.v, n.keep_v) + u, 2**23 - 1)
    sent = where(v > n.high, 1, where(v < n.low, -1, 0))
    return Next({"u": u, "v": where(magnitude(sent) > 0, 0, v)}, sent)


def arriving(seed: int) -> Array:
    """Sums for N neurons: [step, N]; on the chip nothing arrives in the first step."""
    found = np.random.default_rng(seed).integers(-60, 90, (STEPS, N))
    found[0] = 0
    return found


def one_to_one(model: Model, values: Any, **more: Any) -> ChipNetwork:
    """Every input element adds its value to one neuron's first sum."""
    builder = ChipBuilder(2).input("x", N * len(model.inputs), graded=True)
    builder.programmed("n", N, model, values, **more)
    for k, port in enumerate(model.inputs):
        weight = np.zeros((N, N * len(model.inputs)), dtype=int)
        weight[:, k * N : (k + 1) * N] = np.eye(N, dtype=int)
        builder.connect("x", "n", 2 * weight, exponent=-1, port=port)
    return builder.build()


Lavas = Callable[[], tuple[Any, Any]]


def stepped(
    make: Lavas, sums: dict[str, Array], watched: dict[str, str], **real: float
) -> dict[str, Array]:
    """Lava's process model, unchanged, without its runtime: {our name: [step, N]}, "sent" too.

    `real`: variables that it declares as integers and reads as fractions.
    """
    lava_worker.load_lava()
    process, kind = make()
    model = lava_worker.instance(process, kind, {})
    model.__dict__.update(real)
    rows: dict[str, list[Array]] = {name: [] for name in ("sent", *watched)}
    for t in range(STEPS):
        for port, values in sums.items():
            getattr(model, port).value = values[t]
        model.time_step = t + 1
        model.run_spk()
        rows["sent"].append(np.array(model.s_out.value, dtype=np.int64))
        for name, theirs in watched.items():
            rows[name].append(np.array(getattr(model, theirs), dtype=np.int64))
    return {name: np.array(values) for name, values in rows.items()}


def check(network: ChipNetwork, x: Array, theirs: dict[str, Array]) -> None:
    """Definition and emulator against Lava; on the chip what is sent arrives a step later."""
    probes = [("n", name) for name in theirs if name != "sent"]
    early = np.pad(x[1:], ((0, 1), (0, 0)))[None]
    for trace in (run_chip(network, early, probes), emulate_network(network, early, probes)):
        assert (trace.spikes["n"].dense()[0] == theirs["sent"]).all()
        for _, name in probes:
            assert (trace.states["n", name][0] == theirs[name]).all()
    assert 20 < np.count_nonzero(theirs["sent"]) < 0.8 * theirs["sent"].size


@pytest.mark.needs_lava
def test_resonators_are_lavas() -> None:
    def make() -> tuple[Any, Any]:
        from lava.proc.rf.models import PyRFModelFixed
        from lava.proc.rf.process import RF

        return RF(shape=(N,), period=9, alpha=0.04, state_exp=6, decay_bits=12, vth=20), (
            PyRFModelFixed
        )

    both = np.concatenate([arriving(1), arriving(2)], axis=1)
    sums = {"a_real_in": both[:, :N], "a_imag_in": both[:, N:]}
    theirs = stepped(make, sums, {"real": "real", "imag": "imag"})
    sine, cosine = (int(0.96 * f(2 * np.pi / 9) * 4096) for f in (np.sin, np.cos))
    values = {"cosine": cosine, "sine": sine, "bits": 12, "threshold": 20 << 6}
    check(one_to_one(rotating, values), both, theirs)


@pytest.mark.needs_lava
def test_adaptive_thresholds_are_lavas() -> None:
    def make() -> tuple[Any, Any]:
        from lava.proc.atrlif.models import PyATRLIFModelFixed
        from lava.proc.atrlif.process import ATRLIF

        made = ATRLIF(shape=(N,), theta_0=40, theta_step=25, bias_mant=3, bias_exp=2)
        return made, PyATRLIFModelFixed

    kept = {"delta_i": 0.375, "delta_v": 0.25, "delta_theta": 0.125, "delta_r": 0.5}
    watched = {"i": "i", "v": "v", "theta": "theta", "r": "r"}
    theirs = stepped(make, {"a_in": arriving(3)}, watched, **kept)
    values = {"keep_i": 2560 - 1, "keep_v": 3072, "keep_t": 3584, "keep_r": 2048}
    values |= {"theta_0": 40 << 6, "jump": 25 << 6, "bias": 3 << 2}
    network = one_to_one(adaptive, values, initial={"theta": 40 << 6})
    check(network, arriving(3), theirs)


@pytest.mark.needs_lava
def test_ternary_neurons_are_lavas() -> None:
    def make() -> tuple[Any, Any]:
        from lava.proc.lif.models import PyTernLifModelFixed
        from lava.proc.lif.process import TernaryLIF

        return TernaryLIF(shape=(N,), du=1500, dv=300, vth_hi=150, vth_lo=-90), PyTernLifModelFixed

    theirs = stepped(make, {"a_in": arriving(4)}, {"u": "u", "v": "v"})
    values = {"keep_u": 4095 - 1500, "keep_v": 4096 - 300, "high": 150 << 6, "low": -(90 << 6)}
    check(one_to_one(ternary, values, payload=1), arriving(4), theirs)
    assert {-1, 0, 1} == {*np.unique(theirs["sent"]).tolist()}


@pytest.mark.needs_lava
@pytest.mark.parametrize("rectify", [True, False])
def test_sigma_delta_units_of_the_library_are_lavas(rectify: bool) -> None:
    def make() -> tuple[Any, Any]:
        from lava.proc.sdn.models import PySigmaDeltaModelFixed
        from lava.proc.sdn.process import ActivationMode, SigmaDelta

        mode = ActivationMode.RELU if rectify else ActivationMode.UNIT
        made = SigmaDelta(shape=(N,), vth=30, bias=np.full(N, 5), act_mode=mode, state_exp=2)
        return made, PySigmaDeltaModelFixed

    sums = arriving(5)
    theirs = stepped(make, {"a_in": sums}, {"v": "act", "sigma": "sigma", "residue": "residue"})
    values = {"payload_shift": 2, "bias": 5 << 2, "threshold": 30 << 2}
    model = MODELS["sigma_delta"]
    network = one_to_one(model, values, options={"rectify": rectify}, payload=2**23 - 1)
    check(network, sums, theirs)


@pytest.mark.needs_lava
def test_the_fixed_compartment_as_a_program_is_lavas_lif() -> None:
    def make() -> tuple[Any, Any]:
        from lava.proc.lif.models import PyLifModelBitAcc
        from lava.proc.lif.process import LIF

        made = LIF(shape=(N,), du=900, dv=200, vth=200, bias_mant=7, bias_exp=1)
        return made, PyLifModelBitAcc

    theirs = stepped(make, {"a_in": arriving(6)}, {"i": "u", "v": "v"})
    values = {"alpha": 4096 - 200, "beta": 4095 - 900, "shift": 6, "bias": 14, "pause": 1}
    values |= {"threshold": 200 << 6, "interval": 1, "state_max": 2**23 - 1}
    network = one_to_one(LOIHI_CUBA, values, options={"current_bits": 24})
    check(network, arriving(6), theirs)


def test_operations_that_are_rewritten_give_the_same_integers() -> None:
    x = np.random.default_rng(0).integers(-(2**23), 2**23, 1000)
    arguments = {"sat": (5000,), "scaled": (3,), "gained": (7,), "nearest": (), "abs": ()}
    arguments |= {"decay": (1234, 12), "shrunk": (1234, 12), "wrap": (20,)}
    assert set(arguments) == set(REWRITES)
    for name, more in arguments.items():
        model = Model(name, ("v",), (), lambda n, x, o=name, m=more: Next({"v": E(o, (
            x, *(E("const", value=k) for k in m)))}))  # fmt: skip
        legal = legalised(model)
        assert {node[0] for node in legal.step.nodes} <= {*OPERATIONS, "const", "input"}  # type: ignore[attr-defined]
        layer = Definition(Neurons(legal, len(x), "int64", {}), 1)
        layer(x[None])
        assert (layer.state["v"][0] == OPS[name].exact(x, *more)).all()


def test_a_program_beyond_the_machine_is_refused_whole() -> None:
    def long(n: Names, x: E) -> Next:
        v = n.v
        for k in range(300):
            v = v + (x >> (k % 3))
        return Next({"v": wrap(v, 24)}, v > 100)

    model = Model("long", ("v",), (), long)
    with pytest.raises(ModelError, match=r"n: model long: has \d+ instructions, a Loihi 2 neuron"):
        emulate_network(one_to_one(model, {}), np.zeros((1, 3, N), dtype=int))
    assert all(limit.source for limit in LIMITS)


def test_a_state_beyond_24_bits_is_refused() -> None:
    @neuron("v")
    def endless(n: Names, x: E) -> Next:
        return Next({"v": n.v + n.v + x}, n.v > 2**22)

    x = np.ones((1, 30, N), dtype=int)
    network = one_to_one(endless, {})
    assert emulate_network(network, x[:, :20]).spikes["n"].total == 0
    with pytest.raises(DataError, match="n: a value does not fit"):
        emulate_network(network, x)


def test_what_the_builder_is_given_is_checked_at_once() -> None:
    builder = ChipBuilder(1).input("x", 3)
    builder.programmed("n", 4, ternary, {"keep_u": 1.5, "keep": 3})
    builder.connect("x", "n", np.zeros((4, 3), dtype=int), port="up")
    with pytest.raises(ModelError) as told:
        builder.build()
    for line in (
        "n: its model ternary has no parameter 'keep'",
        "n: its model ternary has no value for 'keep_v'",
        "n: payload is 0, of a model that sends values",
        "x -> n: there is no input 'up', there are x",
    ):
        assert line in str(told.value)


def test_longer_programs_and_more_words_cost_more() -> None:
    board = load_board("oheo-gulch")

    def adding(count: int, words: int) -> Model:
        def step(n: Names, x: E) -> Next:
            v = n.v + x
            for k in range(count):
                v = v + k * (x > k)
            kept = {f"s{k}": getattr(n, f"s{k}") + 0 * x for k in range(words)}
            return Next({"v": wrap(v, 20), **kept}, v > 50)

        names = ("v", *(f"s{k}" for k in range(words)))
        return Model("adding", names, (Field("unused", "raw", 0),), step)

    short, long = (one_to_one(adding(k, 0), {}) for k in (0, 40))
    assert update_weights(short)["n"] == 1.0 < update_weights(long)["n"]
    x = Spikes.from_dense(np.ones((1, 5, N), np.uint8))
    costs = []
    for network in (short, long):
        network = network.with_(input=replace(network.input, graded=False))
        program = compile_chip(network, board)
        costs.append(price(program, emulate(program, x)))
    assert costs[0].latency.typical < costs[1].latency.typical
    wide = one_to_one(adding(0, 500), {})
    used = [compile_chip(n, board).cores[0].used["synaptic_memory_bytes"] for n in (short, wide)]
    assert used[1] - used[0] == N * (501 * 4 - 8)
