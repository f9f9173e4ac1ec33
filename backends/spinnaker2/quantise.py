"""Quantise for SpiNNaker 2: integer weights, float32 parameters in units of a weight.

With the scale s of a neuron (weight units per volt of its unit-gain input):

    W = round(w s);  threshold = v_threshold s;  v_reset = v_reset s;  bias s and leak s

The compiler makes `i_offset` of the last two. Decays and constants stay float64 until then: the
chip's parameter is rounded once. Two modes: fitted scales and roundings (`granularity` "neuron"
or "population"), or the rules by which py-spinnaker2 imports a NIR network ("import").
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from snnstack.backends.spinnaker2.numerics import NUMERICS, with_weights
from snnstack.backends.spinnaker2.rules import GRAPH_RULES
from snnstack.backends.spinnaker2.words import WIDE_KERNELS, weight_limit
from snnstack.board import Board
from snnstack.errors import ModelError, TargetError, fail, raise_if_any
from snnstack.ir.nodes import Array
from snnstack.ir.step import Conv, Population, Projection, StepGraph, size
from snnstack.mapping.retime import retime
from snnstack.quant.calibration import Calibration, assumed
from snnstack.quant.network import QuantizedNetwork, QuantizedPopulation, quantized_lif
from snnstack.quant.numerics import Numerics
from snnstack.quant.outliers import scales_of
from snnstack.quant.quantise import integer_weights, nearest_weights
from snnstack.quant.scales import Granularity
from snnstack.quant.steady import settled

LEAST_BITS = 2
LARGEST_STATE = 1e30
"""Of the parameters of a neuron; sums of a few such are still far from float32's largest number."""
FEW = 250
"""Relay neurons that are always worth wider weights; beyond, a quarter of the network."""


def quantise(
    graph: StepGraph,
    board: Board,
    calibration: Calibration | None = None,
    granularity: Granularity = "neuron",
    weight_bits: int | None = None,
    like: QuantizedNetwork | None = None,
) -> QuantizedNetwork:
    """Integer weights and float32 parameters for `graph`.

    `like`: keep the scales of this network, and round every weight to the nearest integer.
    `weight_bits` (2..8, the sign is one of them) narrows the weights further than the words do.
    `graph` has unit gains, or with `granularity` "import" those of the model. Raises ModelError
    with everything that the chip cannot represent, TargetError for a width it cannot be asked for.
    """
    raise_if_any(ModelError, (p for rule in GRAPH_RULES for p in rule(graph, board)))
    known = calibration or assumed(graph)
    if granularity == "import" and weight_bits is not None:
        what = f"weights of {weight_bits} bits, the rules of import know no width"
        raise fail(TargetError, "spinnaker2", what, "leave out the width or the rules of import")
    limits = {} if granularity == "import" else narrowed(weight_limits(graph), weight_bits)
    populations: list[QuantizedPopulation] = []
    projections: list[Projection] = []
    for p in graph.populations:
        into = graph.into(p.name)
        if granularity == "import":
            population, integer = _imported(p, into)
        else:
            numerics = with_weights(limits[p.name])
            if any(isinstance(q.synapses, Conv) for q in into):
                numerics = replace(numerics, wide_weight=WIDE_KERNELS * limits[p.name])
            p, into, gain = settled(p, into, _single(p.alpha), _optional(p.beta))
            if like is not None:
                scale = like.population(p.name).scale
                population = _population(p, scale, p.bias, p.compare)
                populations.append(replace(population, input_gain=gain))
                before = like.into(p.name)
                projections += [
                    nearest_weights(q, scale, numerics, old)
                    for q, old in zip(into, before, strict=True)
                ]
                continue
            population, integer = _fitted(p, into, numerics, known, granularity)
            population = replace(population, input_gain=gain)
        populations.append(population)
        projections += integer
    return QuantizedNetwork(
        inputs=graph.inputs,
        populations=tuple(populations),
        projections=tuple(projections),
        outputs=graph.outputs,
        dt=graph.dt,
        numerics=NUMERICS,
        settings=_settings(graph, granularity, known, limits),
        metadata=graph.metadata,
    )


def _settings(
    graph: StepGraph, granularity: Granularity, known: Calibration, limits: dict[str, int]
) -> dict[str, Any]:
    rates = {name: float(a.mean.mean()) for name, a in known.activity.items() if len(a.mean)}
    return {
        **graph.settings,
        "granularity": granularity,
        "calibrated_on": 0 if granularity == "import" else known.samples,
        "rates": rates,
        "largest_weight": dict(limits) or weight_limit("lif_no_delay"),
    }


def narrowed(limits: dict[str, int], weight_bits: int | None) -> dict[str, int]:
    """The largest weights, none above that of `weight_bits` bits (None: as they are)."""
    if weight_bits is None:
        return limits
    if not LEAST_BITS <= weight_bits <= NUMERICS.weight_bits:
        what = f"weights of {weight_bits} bits, possible are {LEAST_BITS}..{NUMERICS.weight_bits}"
        raise fail(TargetError, "spinnaker2", what, "choose one of them")
    return {name: min(most, (1 << (weight_bits - 1)) - 1) for name, most in limits.items()}


def weight_limits(graph: StepGraph) -> dict[str, int]:
    """The largest weight of every population: 15 where words need a delay field, else 127.

    Where a few relays would do, delays are theirs and the weights stay wide.
    """
    ports = [port.name for port in graph.inputs]
    timing = retime(ports, [p.name for p in graph.populations], graph.projections)
    sizes = {port.name: size(port.shape) for port in graph.inputs}
    sizes |= {p.name: p.n for p in graph.populations}
    counts = {port.name for port in graph.inputs if port.events == "count"}
    waits: dict[str, dict[str, set[int]]] = {}
    for projection, delay in zip(graph.projections, timing.delay, strict=True):
        if delay:
            found = waits.setdefault(projection.target, {})
            found.setdefault(projection.source, set()).add(delay)
    total = sum(p.n for p in graph.populations)
    limits = {}
    for p in graph.populations:
        found = waits.get(p.name, {})
        cost = sum(sizes[source] * len(delays) for source, delays in found.items())
        relayed = cost <= max(FEW, total // 4) and not counts & set(found)
        limits[p.name] = weight_limit("lif_no_delay" if relayed or not found else "lif")
    return limits


def _single(factor: Array) -> Array:
    """Decay factors as the chip holds them: float32."""
    return factor.astype(np.float32).astype(np.float64)


def _optional(factor: Array | None) -> Array | None:
    return None if factor is None else _single(factor)


def _imported(
    p: Population, into: tuple[Projection, ...]
) -> tuple[QuantizedPopulation, list[Projection]]:
    """One scale from the largest weight of all that enters; weights toward zero."""
    most = weight_limit("lif_no_delay")
    largest = max((float(np.abs(q.synapses.weight).max(initial=0.0)) for q in into), default=0.0)
    gain = p.gain * (1.0 if p.beta is None else p.gain_in)
    room = _largest_scale(p) * float(np.abs(gain).min(initial=1.0))
    w_scale = min(most / largest, room or np.inf) if largest > 0 else 1.0
    integer = []
    for q in into:
        real = (np.asarray(q.synapses.weight, dtype=np.float64) * w_scale).astype(np.float32)
        weight = np.trunc(real).astype(np.int64)
        integer.append(replace(q, synapses=replace(q.synapses, weight=weight)))
    return _population(p, w_scale / gain, p.bias * gain, "ge"), integer


def _fitted(
    p: Population,
    into: tuple[Projection, ...],
    numerics: Numerics,
    known: Calibration,
    granularity: Granularity,
) -> tuple[QuantizedPopulation, list[Projection]]:
    """Scales with the least expected error; the weights of a row are rounded together."""
    found = scales_of(p, into, numerics, known, granularity)
    scale = np.where(np.isnan(found.scale), 1.0, np.minimum(found.scale, _largest_scale(p)))
    scales = replace(found, scale=scale)
    integer = [integer_weights(q, scales, numerics, known) for q in into]
    return _population(p, scales.scale, p.bias, p.compare), integer


def _largest_scale(p: Population) -> float:
    """State units per volt with which threshold, reset and constant input are still float32.

    Weights so small that they would need more are none beside the threshold.
    """
    parts = (p.threshold, p.v_reset, p.bias, p.leak)
    largest = max(float(np.abs(part).max(initial=0.0)) for part in parts if part is not None)
    return LARGEST_STATE / max(largest, 1.0 / LARGEST_STATE)


def _population(p: Population, scale: Array, bias: Array, compare: str) -> QuantizedPopulation:
    """`bias` in volts. A comparison "greater" becomes ">= the next float"."""
    scale = np.broadcast_to(np.asarray(scale, dtype=np.float64), (p.n,))
    threshold = None if p.threshold is None else (p.threshold * scale).astype(np.float32)
    if threshold is not None and compare == "gt":
        threshold = np.nextafter(threshold, np.float32(np.inf))
    return quantized_lif(
        name=p.name,
        shape=p.shape,
        alpha=p.alpha,
        beta=p.beta,
        shift=0,
        bias=bias * scale,
        leak=p.leak * scale,
        threshold=threshold,
        v_reset=(p.v_reset * scale).astype(np.float32),
        scale=scale,
        reset=p.reset,
        compare="ge",
        refractory=0,
    )
