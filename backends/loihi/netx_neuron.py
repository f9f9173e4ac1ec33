"""The `neuron` group of a netx layer: registers of CUBA and sigma-delta populations."""

from __future__ import annotations

from typing import Any

import numpy as np

from snnstack.backends.loihi.network import ChipPopulation, Cuba, SigmaDelta
from snnstack.backends.loihi.ranges import register, spread
from snnstack.errors import Problem
from snnstack.ir.given import integers
from snnstack.ir.nodes import Array, Shape
from snnstack.ir.step import size

BIAS_EXPONENT = 6
"""netx biases are mantissas; lava-dl runs them with this exponent."""
STATE_EXPONENT = 6
CUBA = ("CUBA", "LOIHI")
Layer = dict[str, Any]


def numbers(where: str, key: str, layer: Layer, problems: list[Problem]) -> Array | None:
    """The data set `key` of a layer, as numbers; None and a problem if it has none."""
    value = layer.get(key)
    if isinstance(value, dict) and "imag" in value:
        problems.append(Problem(where, f"complex {key}s are not supported"))
        return None
    if value is None or isinstance(value, (str, tuple, dict)):
        problems.append(Problem(where, f"it has no '{key}'"))
        return None
    return np.asarray(value)


def neurons(
    where: str, name: str, shape: Shape, layer: Layer, spike_exp: int, problems: list[Problem]
) -> ChipPopulation | None:
    """The layer's population; without a neuron group an integrator that does not fire."""
    group = layer.get("neuron")
    if group is None:
        n = size(shape)
        bias = _bias(where, shape, layer, BIAS_EXPONENT, problems)
        zero, all_of_it = np.zeros(n, dtype=np.int64), np.full(n, 4096, dtype=np.int64)
        return Cuba(name, shape, zero, all_of_it, bias, None)
    kind = neuron_type(group)
    if kind in CUBA:
        return _cuba(where, name, shape, layer, problems)
    if kind == "SDNN":
        return _sigma_delta(where, name, shape, layer, spike_exp, problems)
    problems.append(Problem(where, f"neurons of type '{kind}' are not supported", "CUBA and SDNN"))
    return None


def neuron_type(group: Any) -> str:
    """The neuron's `type`."""
    kind = group.get("type", "CUBA") if isinstance(group, dict) else ""
    return str(kind[0] if isinstance(kind, tuple) and kind else kind)


def _cuba(
    where: str, name: str, shape: Shape, layer: Layer, problems: list[Problem]
) -> Cuba | None:
    group = layer["neuron"]
    missing = [key for key in ("iDecay", "vDecay", "vThMant") if key not in group]
    problems += [Problem(where, f"its neuron has no '{key}'") for key in missing]
    if np.any(group.get("gradedSpike", False)):
        hint = "Lava runs them as plain spikes: set gradedSpike to 0 if that is meant"
        problems.append(Problem(where, "CUBA neurons with graded spikes are not supported", hint))
    if np.any(group.get("weight_exp", 0)):
        problems.append(Problem(where, "a 'weight_exp' of the neuron is not supported"))
    if missing:
        return None

    def value(key: str, of: str) -> Array:
        return register(where, of, per_neuron(group[key], shape), shape, problems)

    delays = np.asarray(group.get("refDelay", 1))
    if delays.dtype.kind not in "iuf" or not delays.size or not np.isfinite(delays).all():
        problems.append(Problem(where, "refDelay holds no numbers"))
        return None
    wait = int(np.max(delays))
    if np.min(delays) != wait:
        problems.append(Problem(where, "refDelay differs between the neurons of a layer"))
    register(where, "refractory", wait, (1,), problems)
    return Cuba(
        name,
        shape,
        value("iDecay", "i_decay"),
        value("vDecay", "v_decay"),
        _bias(where, shape, layer, BIAS_EXPONENT, problems),
        value("vThMant", "vth_mant") << 6,
        refractory=wait,
    )


def _sigma_delta(
    where: str, name: str, shape: Shape, layer: Layer, spike_exp: int, problems: list[Problem]
) -> SigmaDelta:
    """Without a `vThMant`, or with the key `sigma_output`: every change is sent."""
    group = layer["neuron"]
    if "sigma_output" in group:
        zero = np.zeros(size(shape), dtype=np.int64)
        return SigmaDelta(name, shape, zero, zero, 0, "none")
    activation = str(group.get("activation", "relu"))
    if activation not in ("relu", "identity", "none", "unit"):
        problems.append(Problem(where, f"activation '{activation}' is not supported", "relu"))
    exponent = spike_exp + STATE_EXPONENT
    vth = integers(where, "vThMant", per_neuron(group.get("vThMant", 0), shape), problems)
    threshold = register(where, "vth", vth << exponent, shape, problems)
    bias = _bias(where, shape, layer, exponent, problems)
    kind = "relu" if activation == "relu" else "none"
    return SigmaDelta(name, shape, bias, threshold, STATE_EXPONENT, kind)  # type: ignore[arg-type]


def _bias(where: str, shape: Shape, layer: Layer, exponent: int, problems: list[Problem]) -> Array:
    """Per neuron or per channel, as mantissas; fractions are cut as lava-dl does."""
    if "bias" not in layer:
        return np.zeros(size(shape), dtype=np.int64)
    mantissa = np.asarray(layer["bias"])
    mantissa = np.trunc(mantissa) if mantissa.dtype.kind == "f" else mantissa
    whole = per_neuron(integers(where, "bias", mantissa, problems), shape)
    if exponent == BIAS_EXPONENT:
        checked = register(where, "bias_mant", whole, shape, problems)
    else:
        checked = spread(where, "bias", whole, shape, problems)
    return np.asarray(checked << exponent)


def per_neuron(value: Any, shape: Shape) -> Array:
    """One value, one per channel, or one per neuron, in a form that broadcasts to `shape`."""
    array = np.asarray(value)
    if array.size == 1:
        return array.reshape(())
    if array.size == size(shape):
        return array.reshape(shape)
    return array.reshape(-1, *(1 for _ in shape[1:])) if array.size == shape[0] else array


def input_neurons(
    where: str, name: str, shape: Shape, layer: Layer, spike_exp: int, problems: list[Problem]
) -> tuple[ChipPopulation, int, int] | None:
    """(population, stored weight, exponent) of an input layer with neurons.

    CUBA: the input carries bias mantissas and has to reach the membrane at once, so the
    current must not decay slowly. SDNN: Lava's Delta encoder on the sum of the input.
    """
    kind = neuron_type(layer["neuron"])
    own = {key: value for key, value in layer.items() if key not in ("bias", "weight")}
    found = neurons(where, name, shape, own, spike_exp, problems)
    if isinstance(found, SigmaDelta):
        plain = SigmaDelta(name, shape, found.bias, found.threshold, found.exponent, "none")
        return plain, 1 << STATE_EXPONENT, spike_exp
    if isinstance(found, Cuba):
        at_once = np.full(found.n, 4096, dtype=np.int64)
        return (
            Cuba(
                name,
                shape,
                at_once,
                found.v_decay,
                found.bias,
                found.threshold,
                refractory=found.refractory,
            ),
            1,
            0,
        )
    problems.append(Problem(where, f"an input layer of '{kind}' neurons is not supported"))
    return None
