"""NIR files whose writer nobody names: where membranes begin, shapes of samples, what is said."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest

import snnstack
from snnstack.errors import ModelError
from snnstack.loading import discretised
from snnstack.passes.options import Options
from snnstack.passes.writers import WRITERS
from snnstack.passes.writers.rockpool import _solved
from snnstack.reference import run_steps
from snnstack.trace import Spikes

N, DT = 6, 1e-3
WEIGHT = np.random.default_rng(0).normal(20.0, 30.0, (N, 8))
X = (np.random.default_rng(1).random((3, 80, 8)) < 0.2).astype(np.uint8)


def full(value: float, n: int = N) -> Any:
    return np.full(n, value)


def model(neuron: Any, weight: Any = WEIGHT, shape: Any = (8,), out: Any = (N,)) -> Any:
    nodes = {
        "input": nir.Input(np.array(shape)), "w": nir.Linear(weight), "n": neuron,
        "output": nir.Output(np.array(out)),
    }  # fmt: skip
    return nir.NIRGraph(nodes, [("input", "w"), ("w", "n"), ("n", "output")], type_check=False)


def lif(v_leak: float, v_threshold: float, v_reset: float, tau: float = 0.02) -> Any:
    return nir.LIF(full(tau), full(1.0), full(v_leak), full(v_threshold), full(v_reset))


def run(graph: Any) -> Any:
    return run_steps(discretised(graph), Spikes.from_dense(X)).spikes["n"].dense()


def loop(v_leak: float, v_threshold: float, v_reset: float) -> Any:
    v, out = np.full((len(X), N), v_leak), []
    for step in range(X.shape[1]):
        v = v + DT / 0.02 * ((v_leak - v) + X[:, step] @ WEIGHT.T)
        out.append(v > v_threshold)
        v = np.where(out[-1], v_reset, v)
    return np.stack(out, axis=1)


@pytest.mark.parametrize("volts", [(-70.0, -50.0, -65.0), (-12.0, 5.0, -12.0), (4.0, 9.0, -3.0)])
def test_membranes_begin_at_v_leak(volts: tuple[float, float, float], tmp_path: Path) -> None:
    nir.write(tmp_path / "n.nir", model(lif(*volts)))
    wanted = loop(*volts)
    assert wanted.sum() > 5
    for given in (tmp_path / "n.nir", model(lif(*volts))):
        graph = snnstack.load(given, options=Options(dt=DT))
        np.testing.assert_array_equal(run(graph), wanted)
        said = f"n: membranes begin at {volts[0]:g} and are counted from there"
        assert said in graph.metadata["notes"]


def test_what_this_package_wrote_begins_at_zero_as_before(tmp_path: Path) -> None:
    graph = snnstack.load(model(lif(-70.0, -50.0, -65.0)), options=Options(dt=DT))
    snnstack.write_nir(graph, tmp_path / "own.nir")
    np.testing.assert_array_equal(run(snnstack.load(tmp_path / "own.nir")), run(graph))


def test_a_reset_above_the_threshold_is_named_in_the_file_s_own_volts() -> None:
    with pytest.raises(ModelError) as told:
        snnstack.load(model(lif(-70.0, -50.0, 0.0)), options=Options(dt=DT))
    assert str(told.value) == (
        "n: v_reset is 0, not below v_threshold -50 (--reset zero resets to where membranes "
        "begin, -70)"
    )
    graph = snnstack.load(model(lif(-70.0, -50.0, 0.0)), options=Options(dt=DT, reset="zero"))
    np.testing.assert_array_equal(run(graph), loop(-70.0, -50.0, -70.0))


def test_read_outs_that_begin_at_several_values_are_refused() -> None:
    leaks = np.linspace(0.0, 0.5, N)
    with pytest.raises(ModelError) as told:
        snnstack.load(model(nir.LI(full(0.02), full(1.0), leaks)))
    assert str(told.value) == (
        "n: its membranes begin at v_leak, 0..0.5, and are its result (give them one v_leak)"
    )


def test_an_integrator_below_zero_begins_at_its_reset() -> None:
    graph = snnstack.load(model(nir.IF(full(1.0), full(-50.0), full(-65.0))), options=Options(dt=1))
    assert "n: membranes begin at -65 and are counted from there" in graph.metadata["notes"]
    node: Any = graph.nodes["n"]
    assert (node.v_threshold[0], node.v_reset[0]) == (15.0, 0.0)


@pytest.mark.parametrize(
    ("shape", "out"), [((1, 8), (1, 1, N)), ((4, 60, 8), (4, 60, N)), ((8,), (1, N)), ((8,), (N,))]
)
def test_axes_of_batch_and_time_go(shape: Any, out: Any) -> None:
    graph = snnstack.load(model(lif(0.0, 1.0, 0.0), shape=shape, out=out), options=Options(dt=DT))
    ports = {"input": (shape, (8,)), "output": (out, (N,))}
    for name, (whole, kept) in ports.items():
        node: Any = graph.nodes[name]
        assert node.shape == kept
        told = [n for n in graph.metadata.get("notes", ()) if n.startswith(f"{name}: shape")]
        assert len(told) == (whole != kept)


def test_who_may_have_written_a_file_is_said(caplog: pytest.LogCaptureFixture) -> None:
    tau = 1e-4 / (1 - np.linspace(0.5, 0.9, N))
    given = model(nir.LIF(tau, tau / 1e-4, full(0.0), full(1.0), full(0.0)))
    with caplog.at_level(logging.WARNING, "snnstack"):
        graph = snnstack.load(given)
    (note,) = graph.metadata["notes"]
    assert note == (
        "the file does not say how neurons are reset, nor who wrote it: read by NIR's own "
        "equations; if it is of snntorch, --written-by changes spikes"
    )
    assert caplog.messages == [f"model: {note}"]
    named = snnstack.load(given, options=Options(written_by="rockpool"))
    assert "its numbers are not those that rockpool writes" in named.metadata["notes"]


def test_the_step_is_read_from_numbers_that_tell_it() -> None:
    tau = np.linspace(5e-3, 4e-2, N)
    for dt in (1e-3, 5e-4, 1.0 / 256):
        gain = tau / dt * np.exp(-dt / tau)
        given = model(nir.LIF(tau, gain, full(0.0), full(1.0)))
        graph = snnstack.load(given, options=Options(written_by="rockpool"))
        assert graph.dt == pytest.approx(dt, rel=1e-6)
    ratio = np.array([1e-3, 0.05, 0.7, 2.0])
    np.testing.assert_allclose(_solved(np.exp(-ratio) / ratio), ratio, rtol=1e-9)


def test_every_writer_is_offered_by_the_command_line() -> None:
    from snnstack.cli.look import info

    (option,) = (p for p in info.params if p.name == "written_by")
    assert list(option.type.choices) == list(WRITERS)
