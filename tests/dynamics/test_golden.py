"""Models of the library against golden vectors of published systems, in float64."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snnstack.dynamics.library import MODELS
from snnstack.dynamics.model import Neurons
from snnstack.dynamics.run_numpy import Definition

pytestmark = pytest.mark.data


def opened(folder: Path, *names: str) -> dict[str, Any]:
    """Every array of the files, float32 widened."""
    found: dict[str, Any] = {}
    for name in names:
        with np.load(folder / f"{name}.npz") as file:
            found |= {key: file[key] for key in file.files}
    return {k: v.astype(float) if v.dtype == np.float32 else v for k, v in found.items()}


@pytest.fixture(scope="module")
def small(data_dir: Path) -> dict[str, Any]:
    return opened(data_dir / "systems" / "small_nodes", "weights", "golden")


def layer(model: str, n: int, options: Any = None, batch: int = 1, **values: Any) -> Definition:
    return Definition(Neurons(MODELS[model], n, "float64", values, options or {}), batch)


def test_astrocytes_spike_as_given(small: dict[str, Any]) -> None:
    n, group = 64, int(small["astro_group"])
    known = ("beta", "threshold", "lambda_a", "lambda_b", "k_gain", "k_threshold")
    cells = layer("astrocyte_lif", n, **{k: float(small[f"astro_{k}"]) for k in known})
    s = np.zeros(n)
    for t, current in enumerate(small["astro_I"]):
        mean = np.repeat(s.reshape(-1, group).mean(axis=1), group)
        s = cells((current + small["astro_W"] @ s)[None], mean[None])[0].astype(float)
        np.testing.assert_array_equal(s, small["astro_s"][t])
        np.testing.assert_allclose(cells.reads["v"][0], small["astro_v"][t], rtol=0, atol=1e-12)
        for name in "ac":
            state = cells.state[name][0, ::group]
            np.testing.assert_allclose(state, small[f"astro_{name}"][t], rtol=0, atol=1e-12)


def test_the_swimmer_of_clipped_units_swims_as_given(small: dict[str, Any]) -> None:
    w = {key.removeprefix("swimmer_w_"): float(v) for key, v in small.items() if "mer_w_" in key}
    joints = small["swimmer_out"].shape[1] // 6
    drive, b, m = layer("clipped", 2 * joints), layer("clipped", 2 * joints), None
    m = layer("clipped", 2 * joints)
    sign, first = np.tile([1.0, -1.0], joints), np.arange(2 * joints) < 2
    q = np.zeros(joints)
    for t, given in enumerate(small["swimmer_out"]):
        oscillator = 1.0 if t % 60 < 30 else -1.0
        seen = drive((sign * np.where(first, oscillator, np.repeat(np.roll(q, 1), 2)))[None])[0]
        turned = np.clip(sign * small["swimmer_in_turn"][t], 0, 1) * first * w["turn"]
        brake = w["speed"] * (1 - small["swimmer_in_speed"][t])
        fired = b((np.where(first, w["osc"], w["prop"]) * seen + brake + turned)[None])[0]
        crossed = fired.reshape(-1, 2)[:, ::-1].ravel()
        pulled = m((w["ipsi"] * fired + w["contra"] * crossed)[None])[0]
        torque = pulled[::2] - pulled[1::2]
        found = np.concatenate([fired, pulled, torque, q])
        np.testing.assert_allclose(found, given, rtol=0, atol=1e-12)
        q = q + 0.12 * (0.9 * torque - q)


def test_segments_and_cells_are_on_as_given(small: dict[str, Any]) -> None:
    active = np.unpackbits(small["segments_active"], axis=1)[:, :1024]
    count = active[:, small["segments_synapses"]].sum(axis=-1)
    np.testing.assert_array_equal(count, small["segments_count"])
    segments = layer("segment", 512, batch=300, threshold=5)
    cells = layer("segment", 64, batch=300)
    on = segments(count.reshape(300, 512))
    given = np.unpackbits(small["segments_on"], axis=1)[:, :512]
    np.testing.assert_array_equal(on, given)
    predicted = cells(on.reshape(300, 64, 8).sum(axis=-1))
    given = np.unpackbits(small["segments_cell"], axis=1)[:, :64]
    np.testing.assert_array_equal(predicted, given)


def test_complex_states_are_as_given(small: dict[str, Any]) -> None:
    u = small["ssm_u"]
    first, states = ssm(small, 1, u)
    np.testing.assert_allclose(first, small["ssm_y1"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(states[:80], small["ssm_x1"], rtol=0, atol=1e-12)
    second, _ = ssm(small, 2, small["ssm_y1"][9::10])
    np.testing.assert_allclose(second, small["ssm_y2"], rtol=0, atol=1e-12)


def ssm(small: dict[str, Any], number: int, u: Any) -> tuple[Any, Any]:
    """Outputs [step, channel] and states [step, channel, state] of one layer."""
    parts = {k: small[f"ssm_{k.upper()}{number}"] for k in "abc"}
    values = {f"{k}_re": v.real.ravel() for k, v in parts.items()}
    values |= {f"{k}_im": v.imag.ravel() for k, v in parts.items()}
    cells, found, states = layer("complex_state", 48, **values), [], []
    for x in u:
        sent = cells(np.repeat(x, 8)[None])[0]
        found.append(sent.reshape(6, 8).sum(axis=1) + small[f"ssm_D{number}"] * x)
        state = cells.state["re"] + 1j * cells.state["im"]
        states.append(state.reshape(6, 8))
    return np.array(found), np.array(states)


@pytest.mark.parametrize("net", ["dense", "p90", "p95"])
def test_gated_units_send_the_events_given(net: str, data_dir: Path) -> None:
    folder = data_dir / "systems" / "egru_lm"
    w, golden = opened(folder, "weights"), opened(folder, "golden")
    streams, steps = 4, 256
    cells = [layer("egru", 128, batch=streams, threshold=w[f"{net}_th{k}"]) for k in (1, 2)]
    y = [np.zeros((streams, 128))] * 2
    events = [unpacked(golden[f"{net}_events{k}"]) for k in (1, 2)]
    for t in range(steps):
        x = w[f"{net}_emb"][golden["x"][:streams, t]]
        for k, unit in enumerate(cells):
            ahead = x @ w[f"{net}_W{k + 1}"] + w[f"{net}_bx{k + 1}"]
            back = y[k] @ w[f"{net}_R{k + 1}"] + w[f"{net}_br{k + 1}"]
            gates = (ahead + back)[:, :256]
            x = y[k] = unit(gates[:, :128], gates[:, 128:], ahead[:, 256:], back[:, 256:])
            np.testing.assert_array_equal(x != 0, events[k][:streams, t])
            given = golden[f"{net}_y{k + 1}"][t], golden[f"{net}_c{k + 1}"][t]
            np.testing.assert_allclose((x[0], unit.state["c"][0]), given, rtol=0, atol=1e-5)
        logits = x @ w[f"{net}_D"] + w[f"{net}_bd"]
        np.testing.assert_allclose(logits, golden[f"{net}_logits"][:, t], rtol=0, atol=1e-4)


def unpacked(bits: Any) -> Any:
    return np.unpackbits(bits, axis=-1)[..., :128]


@pytest.mark.parametrize("net", ["num_memory_5", "num_memory_20", "best_elm_neuron"])
def test_elm_neurons_are_made_of_leaky_units(net: str, data_dir: Path) -> None:
    folder = data_dir / "systems" / "elm_neuron"
    w, golden = opened(folder, "weights"), opened(folder, "golden")
    mine = {k.removeprefix(f"{net}_"): v for k, v in w.items() if k.startswith(f"{net}_")}
    samples, kappa, lam = 2, mine["kappa_m"], float(w["lambda_"])
    branches = layer("leaky_unit", 45, batch=samples, keep=mine["kappa_s"][0])
    act = {"activation": str(mine["activation"])}
    hidden = layer("leaky_unit", len(mine["b1"]), act, samples, bias=mine["b1"])
    numbers = {"keep": kappa, "gain": lam * (1 - kappa) * 1.7159, "slope": 2 / 3}
    memory = layer(
        "leaky_unit", len(kappa), {"activation": "tanh"}, samples, bias=mine["b2"], **numbers
    )
    m = np.zeros((samples, len(kappa)))
    for t in range(golden["x"].shape[1]):
        x = golden["x"][:samples, t].astype(float)
        arrived = mine["w_s"] * x[:, w["index"]] * w["valid"]
        b = branches(arrived.reshape(samples, 45, 100).sum(axis=-1))
        h = hidden(np.concatenate([b, kappa * m], axis=1) @ mine["W1"].T)
        m = memory(h @ mine["W2"].T)
        y = m @ mine["Wy"].T + mine["by"]
        np.testing.assert_allclose(y, golden[f"{net}_y"][:samples, t], rtol=0, atol=1e-4)
        np.testing.assert_allclose(m[0], golden[f"{net}_memory"][t], rtol=0, atol=1e-4)
        np.testing.assert_allclose(b[0], golden[f"{net}_branch"][t], rtol=1e-5, atol=1e-4)
