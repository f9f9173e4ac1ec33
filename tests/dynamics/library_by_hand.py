"""Steps of the library's models as loops in numpy, written from their papers: oracles.

Each function gets the numbers `p`, a dictionary of states that it changes, and the sums of every
input; it answers with what is sent.
"""

from __future__ import annotations

from typing import Any

import numpy as np

State = dict[str, Any]


def sigma(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def homeostatic_lif(p: Any, s: State, x: Any, reset: str = "subtract") -> Any:
    """A threshold that moves by its own error, between two bounds."""
    s["v"] = p["alpha"] * s["v"] + x
    high = p["threshold"] + s["b"]
    z = (s["v"] > high) * 1.0
    s["v"] = np.where(z == 1, s["v"] - high if reset == "subtract" else p["v_reset"], s["v"])
    s["b"] = np.clip(s["b"] + p["rise"] * z - p["sink"], p["low"], p["high"])
    return z


def adaptive_lif(p: Any, s: State, x: Any, reset: str = "subtract") -> Any:
    """Bellec 2018: B_j = b_0 + beta b_j, of the step before."""
    s["v"] = p["alpha"] * s["v"] + x
    if reset == "late":
        s["v"] -= s["pull"]
    high = p["threshold"] + s["b"]
    z = (s["v"] > high) * 1.0
    s["b"] = p["rho"] * s["b"] + p["jump"] * z
    match reset:
        case "late":
            s["pull"] = high * z
        case "set":
            s["v"][z == 1] = p["v_reset"][z == 1]
        case _:
            s["v"] -= z * (p["threshold"] if reset == "subtract" else high)
    return z


def adex(p: Any, s: State, x: Any, adapts: bool = True) -> Any:
    """Brette and Gerstner 2005, times of a step's length."""
    v, w = s["v"], s["w"]
    spike_current = p["slope"] * np.exp((v - p["rheobase"]) / p["slope"])
    s["v"] = v + (-(v - p["rest"]) + spike_current - (w if adapts else 0) + x) / p["tau"]
    if adapts:
        s["w"] = w + (p["a"] * (v - p["rest"]) - w) / p["tau_w"]
    z = s["v"] >= p["threshold"]
    s["v"] = np.where(z, p["v_reset"], s["v"])
    s["w"] = s["w"] + p["b"] * z * adapts
    return z


def izhikevich(p: Any, s: State, x: Any, halves: bool = True) -> Any:
    """Izhikevich 2003, the program of the paper; asked for spikes at the end of a step."""
    for _ in range(2 if halves else 1):
        step = p["dt"] / (2 if halves else 1)
        s["v"] = s["v"] + step * (0.04 * s["v"] ** 2 + 5 * s["v"] + 140 - s["u"] + x)
    s["u"] = s["u"] + p["dt"] * p["a"] * (p["b"] * s["v"] - s["u"])
    fired = s["v"] >= p["peak"]
    s["v"][fired] = p["c"][fired]
    s["u"][fired] += p["d"][fired]
    return fired


def quadratic(p: Any, s: State, x: Any, adapts: bool = False) -> Any:
    """Gerstner et al. 2014."""
    v, w = s["v"], s["w"] if adapts else 0
    s["v"] = v + (p["a0"] * (v - p["rest"]) * (v - p["critical"]) - w + x) / p["tau"]
    if adapts:
        s["w"] = w + (p["a"] * (s["v"] - p["rest"]) - w) / p["tau_w"]
    z = s["v"] >= p["threshold"]
    s["v"] = np.where(z, p["v_reset"], s["v"])
    s["w"] = s["w"] + p["b"] * z * adapts
    return z


def resonate(p: Any, s: State, x: Any, balanced: bool = True, resets: bool = False) -> Any:
    """Higuchi et al. 2024, algorithm of the BRF neuron, in complex numbers."""
    q = s["q"] if balanced else 0
    converges = (np.sqrt(1 - (p["dt"] * p["omega"]) ** 2) - 1) / p["dt"] if balanced else 0
    damping = converges - p["offset"] - q
    u = s["u"] + 1j * s["v"]
    u = u + p["dt"] * ((damping + 1j * p["omega"]) * u + x)
    z = u.real > p["threshold"] + q
    if resets:
        u = np.where(z, 1j, u)
    s["u"], s["v"] = u.real, u.imag
    if balanced:
        s["q"] = p["gamma"] * q + z
    return z


def two_compartment(p: Any, s: State, x: Any) -> Any:
    """Zhang et al. 2024."""
    s["d"] = s["d"] + p["b_soma"] * s["s"] + x - p["gamma"] * s["z"]
    s["s"] = s["s"] + p["b_dendrite"] * s["d"] - p["threshold"] * s["z"]
    s["z"] = (s["s"] > p["threshold"]) * 1.0
    return s["z"]


def ternary(p: Any, s: State, x: Any, reset: str = "subtract") -> Any:
    s["v"] = p["alpha"] * s["v"] + x
    z = np.sign(s["v"]) * (np.abs(s["v"]) >= p["threshold"])
    s["v"] = s["v"] - z * p["threshold"] if reset == "subtract" else s["v"] * (z == 0)
    return z


def multi_spike(p: Any, s: State, x: Any, most: int = 4) -> Any:
    s["v"] = p["alpha"] * s["v"] + x
    z = np.clip(np.floor(s["v"] / p["threshold"]), 0, most)
    s["v"] = s["v"] - z * p["threshold"]
    return z


def bounded_lif(p: Any, s: State, x: Any, reset: str = "subtract") -> Any:
    s["v"] = np.clip(p["alpha"] * s["v"] + x, p["v_min"], None)
    z = s["v"] >= p["threshold"]
    s["v"][z] = (s["v"] - p["threshold"] if reset == "subtract" else p["v_reset"])[z]
    return z


def egru(p: Any, s: State, update: Any, reset: Any, candidate: Any, recurrent: Any) -> Any:
    """Subramoney et al. 2023."""
    u, r = sigma(update), sigma(reset)
    s["c"] = u * s["c"] + (1 - u) * np.tanh(candidate + r * recurrent)
    o = s["c"] > p["threshold"]
    sent = s["c"] * o
    s["c"] = s["c"] - o * p["threshold"]
    return sent


def minimal_gated(p: Any, s: State, forget: Any, candidate: Any, recurrent: Any) -> Any:
    f = sigma(forget)
    s["h"] = (1 - f) * s["h"] + f * np.tanh(candidate + f * recurrent)
    return s["h"].copy()


def clipped(p: Any, s: State, x: Any) -> Any:
    s["y"] = np.clip(x + p["bias"], p["low"], p["high"])
    return s["y"]


def complex_state(p: Any, s: State, x: Any) -> Any:
    """Gu et al. 2022, of one state."""
    a, b, c = (p[f"{k}_re"] + 1j * p[f"{k}_im"] for k in "abc")
    z = a * (s["re"] + 1j * s["im"]) + b * x
    s["re"], s["im"] = z.real, z.imag
    return 2 * (c * z).real


def astrocyte_lif(p: Any, s: State, x: Any, group: Any) -> Any:
    s["a"] = p["lambda_a"] * s["a"] + (1 - p["lambda_a"]) * group
    s["c"] = p["lambda_b"] * s["c"] + (1 - p["lambda_b"]) * s["a"]
    s["v"] = p["beta"] * s["v"] + (1 + p["k_gain"] * s["a"]) * x
    high = p["threshold"] + p["k_threshold"] * s["c"]
    z = s["v"] > high
    s["v"] = s["v"] - z * high
    return z


def leaky_unit(p: Any, s: State, x: Any, activation: str = "none") -> Any:
    inner = p["slope"] * (x + p["bias"])
    outer = {
        "none": inner,
        "relu": np.maximum(inner, 0),
        "silu": inner * sigma(inner),
        "tanh": np.tanh(inner),
    }[activation]
    s["v"] = p["keep"] * s["v"] + p["gain"] * outer
    return s["v"].copy()


def segment(p: Any, s: State, x: Any) -> Any:
    s["count"] = x
    return x >= p["threshold"]


def delta_unit(p: Any, s: State, x: Any) -> Any:
    """Yousefzadeh and Sifalakis 2021: only changes above a threshold are sent."""
    s["z"] = s["z"] + x
    a = np.clip(np.floor(s["z"] * p["gain"] + 0.5), p["low"], p["high"])
    d = (a - s["held"]) * (np.abs(a - s["held"]) > p["threshold"])
    s["held"] = s["held"] + d
    return d


def delta_source(p: Any, s: State, x: Any) -> Any:
    d = (x - s["held"]) * (np.abs(x - s["held"]) > p["threshold"])
    s["held"] = s["held"] + d
    return d
