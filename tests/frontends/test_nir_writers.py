"""NIR files as Norse, sinabs and Rockpool write them compute what those programs compute.

The graphs have the nodes, shapes and numbers that the exporters of Norse 1.1, sinabs 3.1 and
Rockpool 3.1 write; the loops here follow the step functions of those programs, line by line.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest

from snnstack.loading import discretised, load
from snnstack.passes.options import Options
from snnstack.reference import run_steps
from snnstack.trace import Spikes

N, STEPS = 6, 40
X = (np.random.default_rng(1).random((4, STEPS, 5)) < 0.4).astype(np.uint8)
WEIGHT = np.random.default_rng(0).normal(0.3, 0.6, (N, 5))
BIAS = np.random.default_rng(2).normal(0.0, 0.1, N)


def chain(path: Path, *nodes: Any, shape: Any = (5,), out: int = N) -> Path:
    """A file with the names that nirtorch gives."""
    named = {"input": nir.Input(np.array(shape))}
    named |= {str(k): node for k, node in enumerate(nodes)}
    named["output"] = nir.Output(np.array([out]))
    nir.write(path, nir.NIRGraph(named, list(pairwise(named)), type_check=False))
    return path


def affine(bias: Any = BIAS, gain: float = 1.0) -> Any:
    return nir.Affine((gain * WEIGHT).astype(np.float32), np.asarray(bias, np.float32))


def full(value: float, n: int = N) -> Any:
    return np.full(n, value, np.float32)


def run(path: Path, writer: str, x: Any = X, **said: Any) -> Any:
    steps = discretised(load(path, Options(written_by=writer, **said)))
    (name,) = steps.outputs
    trace = run_steps(steps, Spikes.from_dense(x), [(name, "v")])
    return trace.spikes[name].dense() if name in trace.spikes else trace.states[name, "v"]


def current(bias: Any = BIAS, gain: float = 1.0) -> Any:
    """[sample, step, neuron]: what torch's Linear gives."""
    weight = (gain * WEIGHT).astype(np.float32).astype(np.float64)
    return X @ weight.T + np.asarray(bias, np.float32)


def norse_lif_cell(u: Any, tau_syn_inv: float, tau_mem_inv: float, v_leak: float = 0.0) -> Any:
    v, i, out, dt = np.full_like(u[:, 0], v_leak), np.zeros_like(u[:, 0]), [], 1e-3
    for t in range(u.shape[1]):
        i = i + u[:, t]
        v_decayed = v + dt * tau_mem_inv * ((v_leak - v) + i)
        z = v_decayed > 1.0
        v, i = np.where(z, 0.0, v_decayed), i - dt * tau_syn_inv * i
        out.append(z)
    return np.stack(out, axis=1)


def norse_cuba(v_leak: float = 0.0) -> Any:
    return nir.CubaLIF(
        tau_syn=1 / full(200.0), tau_mem=1 / full(100.0), r=full(1.0), v_leak=full(v_leak),
        v_reset=full(0.0), v_threshold=full(1.0), w_in=full(1.0),
    )  # fmt: skip


@pytest.mark.parametrize("bias", [np.zeros(N), BIAS])
def test_norse_s_lif_cell_takes_all_of_its_input_at_once(tmp_path: Path, bias: Any) -> None:
    path = chain(tmp_path / "n.nir", affine(bias, 2.0), norse_cuba())
    wanted = norse_lif_cell(current(bias, 2.0), 200.0, 100.0)
    assert 50 < wanted.sum() < wanted.size / 2
    np.testing.assert_array_equal(run(path, "norse"), wanted)


def test_norse_s_membranes_begin_at_rest(tmp_path: Path) -> None:
    wanted = norse_lif_cell(current(gain=2.0), 200.0, 100.0, v_leak=-0.5)
    assert wanted.sum() > 50
    path = chain(tmp_path / "n.nir", affine(gain=2.0), norse_cuba(-0.5))
    np.testing.assert_array_equal(run(path, "norse"), wanted)


def test_the_bias_of_an_image_s_first_layer(tmp_path: Path) -> None:
    flat = nir.Flatten({"input": np.array([1, 5])}, 0, -1)
    path = chain(tmp_path / "n.nir", flat, affine(BIAS, 2.0), norse_cuba(), shape=(1, 5))
    wanted = norse_lif_cell(current(BIAS, 2.0), 200.0, 100.0)
    np.testing.assert_array_equal(run(path, "norse", X[:, :, None]), wanted)


def test_norse_s_box_cell_and_integrator(tmp_path: Path) -> None:
    lif = nir.LIF(1 / full(100.0), full(1.0), full(0.0), full(1.0), full(0.0))
    u, v, z = current(gain=10.0), np.zeros((4, N)), []
    for t in range(STEPS):
        v = v + 1e-3 * 100.0 * (u[:, t] + 0.0 - v)
        z.append(v > 1.0)
        v = np.where(z[-1], 0.0, v)
    assert sum(map(np.sum, z)) > 50
    found = run(chain(tmp_path / "box.nir", affine(gain=10.0), lif), "norse")
    np.testing.assert_array_equal(found, np.stack(z, axis=1))

    u, v, z = current(), np.zeros((4, N)), []
    for t in range(STEPS):
        v = v + u[:, t]
        z.append(v > 1.0)
        v = np.where(z[-1], 0.0, v)
    found = run(chain(tmp_path / "iaf.nir", affine(), nir.IF(full(1.0), full(1.0))), "norse")
    np.testing.assert_array_equal(found, np.stack(z, axis=1))


def test_a_loop_through_norse_s_lif_cell(tmp_path: Path) -> None:
    """Its own spikes reach a LIFCell in the next step."""
    back = np.random.default_rng(4).normal(-0.2, 0.4, (N, N)).astype(np.float32)
    nodes = {
        "input": nir.Input(np.array([5])), "w": affine(gain=2.0), "lif": norse_cuba(),
        "back": nir.Linear(back), "output": nir.Output(np.array([N])),
    }  # fmt: skip
    edges = [("input", "w"), ("w", "lif"), ("lif", "back"), ("back", "lif"), ("lif", "output")]
    nir.write(tmp_path / "n.nir", nir.NIRGraph(nodes, edges))
    u, z, out = current(gain=2.0), np.zeros((4, N)), []
    v, i = np.zeros((4, N)), np.zeros((4, N))
    for t in range(STEPS):
        i = i + u[:, t] + z @ back.T.astype(np.float64)
        v = v + 1e-3 * 100.0 * (i - v)
        i, z = i - 1e-3 * 200.0 * i, v > 1.0
        v = np.where(z, 0.0, v)
        out.append(z)
    assert np.sum(out) > 50
    found = run(tmp_path / "n.nir", "norse")
    np.testing.assert_array_equal(found, np.stack(out, axis=1))


def test_rockpool_s_lif_and_synapse(tmp_path: Path) -> None:
    """Below twice the threshold, where Rockpool sends one spike at most."""
    tau_mem, tau_syn, dt = 0.02, 0.01, 1e-3
    cuba = nir.CubaLIF(
        tau_syn=full(tau_syn), tau_mem=full(tau_mem), v_leak=full(0.0), v_threshold=full(1.0),
        r=full(tau_mem * np.exp(-dt / tau_mem) / dt),
    )  # fmt: skip
    read = nir.LI(full(tau_syn), full(tau_syn * np.exp(-dt / tau_syn) / dt), full(0.0))
    alpha, beta = np.exp(-dt / tau_mem), np.exp(-dt / tau_syn)
    u, isyn, vmem, sent, out = current(0.2 * BIAS, 0.04), *np.zeros((3, 4, N)), []
    spikes = []
    for t in range(STEPS):
        isyn = beta * (isyn + u[:, t])
        vmem = alpha * vmem + isyn
        assert vmem.max() < 2.0
        spikes.append(vmem >= 1.0)
        vmem = vmem - spikes[-1] * 1.0
        sent = (sent + spikes[-1]) * beta
        out.append(sent)
    assert np.sum(spikes) > 50
    found = run(chain(tmp_path / "lif.nir", affine(0.2 * BIAS, 0.04), cuba), "rockpool")
    np.testing.assert_array_equal(found, np.stack(spikes, axis=1))
    path = chain(tmp_path / "read.nir", affine(0.2 * BIAS, 0.04), cuba,
                 nir.Linear(np.eye(N, dtype=np.float32)), read)  # fmt: skip
    np.testing.assert_allclose(run(path, "rockpool"), np.stack(out, axis=1), rtol=1e-6, atol=1e-9)


def test_sinabs_convolutions(tmp_path: Path) -> None:
    """Parameters as single numbers, and what was exported of the sample's shapes."""
    random = np.random.default_rng(3)
    kernel = random.normal(0.2, 0.5, (3, 2, 3, 3)).astype(np.float32)
    dense = random.normal(0.1, 0.5, (4, 12)).astype(np.float32)
    nodes = (
        nir.Conv2d((6, 6), kernel, (1, 1), (0, 0), (1, 1), 1, np.zeros(3, np.float32)),
        nir.IF(np.ones((3, 4, 4), np.float32), np.ones((3, 4, 4), np.float32)),
        nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
        nir.Flatten({"input": np.array([3, 2, 2])}, 0, -1),
        nir.Affine(dense, np.zeros(4, np.float32)),
        nir.LIF(*(full(value, 1) for value in (20.0, 1.0, 0.0, 1.0, 0.0))),
    )
    path = chain(tmp_path / "cnn.nir", *nodes, shape=(2, 6, 6), out=4)
    x = (random.random((2, 12, 2, 6, 6)) < 0.3).astype(np.uint8)
    alpha, v, w, out = np.exp(-1 / 20.0), np.zeros((2, 3, 4, 4)), np.zeros((2, 4)), []
    for t in range(12):
        windows = np.lib.stride_tricks.sliding_window_view(x[:, t], (3, 3), axis=(2, 3))
        v = v + np.einsum("bcyxij,ocij->boyx", windows, kernel.astype(np.float64))
        fired = v >= 1.0
        v = v - fired
        pooled = fired.reshape(2, 3, 2, 2, 2, 2).sum(axis=(3, 5)).reshape(2, 12)
        w = alpha * w + (1 - alpha) * (pooled @ dense.astype(np.float64).T)
        out.append(w >= 1.0)
        w = w - out[-1]
    found = run(path, "sinabs", x)
    np.testing.assert_array_equal(found, np.stack(out, axis=1))


def test_what_this_package_wrote_is_not_changed_again(tmp_path: Path) -> None:
    from snnstack import write_nir

    path = chain(tmp_path / "n.nir", affine(), norse_cuba())
    graph = load(path, Options(written_by="norse"))
    write_nir(graph, tmp_path / "own.nir")
    again = load(tmp_path / "own.nir", Options(written_by="norse"))
    one: Any = graph.nodes["1"]
    other: Any = again.nodes["1"]
    np.testing.assert_array_equal(one.w_in, other.w_in)
    assert len(again.nodes) == len(graph.nodes)
