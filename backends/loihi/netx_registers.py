"""What a network says of a netx layer beside its weights: registers of neurons, and delays."""

from __future__ import annotations

from typing import Any

import numpy as np

from snnstack.backends.loihi.lava_job import matrix
from snnstack.backends.loihi.network import (
    ChipNetwork,
    ChipPopulation,
    Connection,
    Cuba,
    Programmed,
    SigmaDelta,
)
from snnstack.backends.loihi.netx_clearing import FIRST_STEP, INTERVAL, OFFSET
from snnstack.backends.loihi.netx_neuron import BIAS_EXPONENT, STATE_EXPONENT
from snnstack.errors import Problem
from snnstack.ir.nodes import Array
from snnstack.ir.step import Conv

Data = dict[str, Any]


def neuron_data(p: ChipPopulation, spike_exp: int, problems: list[Problem]) -> Data:
    """The data sets of the `neuron` group, and `bias`; what they have no place for: a problem."""
    if isinstance(p, SigmaDelta):
        shift = spike_exp + STATE_EXPONENT
        sigma = p.exponent == 0 and not p.threshold.any()
        if (p.exponent != STATE_EXPONENT and not sigma) or (
            (p.threshold | p.bias) % (1 << shift)
        ).any():
            what = f"its registers are not multiples of 2**{shift} with a state exponent of 6"
            problems.append(Problem(p.name, what))
        activation = "relu" if p.activation == "relu" else "identity"
        extra = {"neuron/sigma_output": np.bool_(True)} if sigma else {}
        vth = _compact(p.threshold >> shift)
        found = {"neuron/type": "SDNN", "neuron/activation": activation, "neuron/vThMant": vth}
        return {**found, **extra, **_bias(p.bias >> shift)}
    if isinstance(p, Programmed):
        problems.append(Problem(p.name, f"netx has no neurons of the model {p.model.name}"))
        return {}
    return _cuba(p, problems)


def _cuba(p: Cuba, problems: list[Problem]) -> Data:
    silent = p.threshold is None
    if silent and (p.i_decay.any() or (p.v_decay != 4096).any()):
        problems.append(Problem(p.name, "netx has no neurons that leak and never fire"))
    if p.reset != "zero":
        problems.append(Problem(p.name, "netx has no reset by subtraction"))
    if p.v_init is not None and p.v_init.any():
        problems.append(Problem(p.name, "netx has no initial membranes"))
    if p.reset_interval and silent:
        problems.append(Problem(p.name, "netx clears the states of neurons that fire only"))
    mantissa = p.bias >> BIAS_EXPONENT
    if (mantissa << BIAS_EXPONENT != p.bias).any() or np.abs(mantissa).max(initial=0) > 4095:
        what = f"bias {p.bias[np.argmax(np.abs(p.bias))]} is no mantissa times 2**{BIAS_EXPONENT}"
        problems.append(Problem(p.name, what))
    found = _bias(mantissa)
    if p.threshold is None:
        return found
    registers = {"iDecay": p.i_decay, "vDecay": p.v_decay, "vThMant": p.threshold >> 6}
    return {
        **found,
        "neuron/type": "CUBA",
        "neuron/gradedSpike": np.bool_(False),
        "neuron/refDelay": np.int64(p.refractory),
        **{f"neuron/{key}": _compact(value) for key, value in registers.items()},
        **_clearing(p),
    }


def _clearing(p: Cuba) -> Data:
    """As Lava's `LIFReset` takes them."""
    if not p.reset_interval:
        return {}
    values = {INTERVAL: p.reset_interval, OFFSET: p.reset_offset + FIRST_STEP}
    return {f"neuron/{key}": np.int64(value) for key, value in values.items()}


def _bias(mantissa: Array) -> Data:
    return {"bias": mantissa} if mantissa.any() else {}


def _compact(values: Array) -> Array:
    """One number where all are the same."""
    return values[0] if len(values) and (values == values[0]).all() else values


def delay_of(network: ChipNetwork, name: str, problems: list[Problem]) -> Array | None:
    """The delay of what each neuron (or channel) of `name` sends forward; None if there is none."""
    parts = [c for c in network.connections if c.source == name and c.target != name]
    if not any(c.delay for c in parts):
        return None
    used = _used_by_delay(parts)
    if (np.sum(list(used.values()), axis=0) > 1).any():
        if isinstance(parts[0].synapses, Conv) or len({c.target for c in parts}) > 1:
            what = "the delays of one neuron's synapses differ"
            problems.append(Problem(name, what, "netx has that for one dense layer only"))
        return None
    return np.asarray(np.sum([delay * u for delay, u in used.items()], axis=0))


def _used_by_delay(parts: list[Connection]) -> dict[int, Array]:
    """{delay: which sources have a synapse with it, 0 or 1}: all signs together."""
    found: dict[int, Array] = {}
    for c in parts:
        found[c.delay] = np.maximum(found.get(c.delay, 0), _sources(c))
    return found


def own_delay(parts: list[Connection], weight: Array | None) -> Array | None:
    """The delay of every synapse of a dense layer, where that of its sources does not say it."""
    if weight is None or weight.ndim != 2 or not any(c.delay for c in parts):
        return None
    if not (np.sum(list(_used_by_delay(parts).values()), axis=0) > 1).any():
        return None
    targets, sources = weight.shape
    found = np.zeros(weight.shape, dtype=np.int64)
    for c in parts:
        found = np.maximum(found, c.delay * synaptic(c, (targets, sources)))
    return found


def synaptic(c: Connection, shape: tuple[int, int]) -> Array:
    """[target, source]: where `c` has a synapse with a weight."""
    rows = matrix(c.synapses, *shape, None)
    return np.asarray((rows if isinstance(rows, np.ndarray) else rows.toarray()) != 0)


def _sources(c: Connection) -> Array:
    """Which sources (channels of a convolution) have a synapse in `c`: 0 or 1."""
    synapses = c.synapses
    if isinstance(synapses, Conv):
        out, inner = synapses.weight.shape[:2]
        groups = synapses.groups
        by_group = synapses.weight.reshape(groups, out // groups, inner, -1) != 0
        return np.asarray(by_group.any(axis=(1, 3)), dtype=np.int64).ravel()
    if hasattr(synapses, "indptr"):
        return (np.diff(synapses.indptr) > 0).astype(np.int64)
    return np.asarray((synapses.weight != 0).any(axis=0), dtype=np.int64)
