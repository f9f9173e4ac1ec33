"""Quantise for SpiNNaker 2: integer weights, everything else float32 in units of the weights.

Two ways. "import" is what the chip's own importer of NIR files does, and what the recordings
were made with: one scale per population, which maps the largest of all weights that enter to
the largest integer, and truncation toward zero. "calibrated": thresholds are one float per
neuron, so every neuron (every channel of a convolution) has its own scale; scales are searched
for the least expected error and the weights of a neuron are rounded together.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np

from snnstack.backends.spinnaker2.numerics import (
    NUMERICS,
    WEIGHT_WITH_DELAY,
    WEIGHT_WITHOUT_DELAY,
    single,
)
from snnstack.backends.spinnaker2.rules import GRAPH_RULES, needs_delays
from snnstack.board import Board
from snnstack.errors import ModelError, raise_if_any
from snnstack.ir.nodes import Array
from snnstack.ir.step import Population, Projection, Sparse, StepGraph
from snnstack.quant.calibration import Calibration, assumed
from snnstack.quant.network import QuantizedNetwork, QuantizedPopulation
from snnstack.quant.numerics import Numerics
from snnstack.quant.rounding import round_together
from snnstack.quant.scales import Granularity, activity_of, flat_weights, groups_of, search

Mode = Literal["import", "calibrated"]
NEARLY = 1e-9
"""Truncation takes a weight this close below an integer (relative) as that integer."""
LOCKED = 1e30
"""Importance of a zero weight: it stays zero, so that no synapse is added."""


def quantise(
    graph: StepGraph,
    board: Board,
    calibration: Calibration | None = None,
    granularity: Granularity = "neuron",
    mode: Mode | None = None,
) -> QuantizedNetwork:
    """Integer weights and float32 parameters. `graph` has unit gains (`fold_gains`).

    `mode` None: "import" if `granularity` is "population", else "calibrated". Biases of neurons
    with synaptic current act as their steady state, on the membrane (`leak`), as the chip has no
    constant input into the current. Raises ModelError with all that cannot be expressed.
    """
    raise_if_any(ModelError, (p for rule in GRAPH_RULES for p in rule(graph, board)))
    chosen = mode or ("import" if granularity == "population" else "calibrated")
    known = calibration or assumed(graph)
    delayed = needs_delays(graph)
    populations: list[QuantizedPopulation] = []
    projections: list[Projection] = []
    for population in graph.populations:
        most = WEIGHT_WITH_DELAY if population.name in delayed else WEIGHT_WITHOUT_DELAY
        numerics = replace(NUMERICS, weight_min=-most, weight_max=most)
        into = graph.into(population.name)
        if chosen == "import":
            scale = _import_scale(population, into, most)
            projections += [_truncated(p, scale, most) for p in into]
        else:
            scale = _searched_scale(population, into, numerics, known)
            projections += [_rounded(p, scale, numerics, known) for p in into]
        populations.append(_population(population, scale, exact=chosen == "import"))
    return QuantizedNetwork(
        inputs=graph.inputs,
        populations=tuple(populations),
        projections=tuple(projections),
        outputs=graph.outputs,
        dt=graph.dt,
        numerics=NUMERICS,
        settings=_settings(graph, chosen, known),
        metadata=graph.metadata,
    )


def _settings(graph: StepGraph, mode: Mode, known: Calibration) -> dict[str, Any]:
    """`rates`: mean events per element and step of every source, for the estimate of work."""
    rates = {name: float(a.mean.mean()) for name, a in known.activity.items() if len(a.mean)}
    granularity = "population" if mode == "import" else "neuron"
    found: dict[str, Any] = {"quantiser": mode, "granularity": granularity, "rates": rates}
    return {**graph.settings, **found, "calibrated_on": known.samples}


def _import_scale(population: Population, into: tuple[Projection, ...], most: int) -> Array:
    """Weight units per volt, one for all neurons: the largest weight becomes `most`."""
    largest = max((float(np.abs(p.synapses.weight).max(initial=0.0)) for p in into), default=0.0)
    return np.full(population.n, most / (largest or _unit(population)))


def _unit(population: Population) -> float:
    """A voltage of the order of the thresholds, where there is no weight to go by."""
    size = 0.0 if population.threshold is None else float(np.abs(population.threshold).max())
    return size or 1.0


def _truncated(projection: Projection, scale: Array, most: int) -> Projection:
    """Toward zero, as the chip's importer does."""
    synapses = projection.synapses
    real = synapses.weight * scale[0] if len(scale) else synapses.weight
    integer = np.trunc(np.clip(real * (1 + NEARLY), -most, most)).astype(np.int64)
    return replace(projection, synapses=replace(synapses, weight=integer))


def _searched_scale(
    population: Population,
    into: tuple[Projection, ...],
    numerics: Numerics,
    calibration: Calibration,
) -> Array:
    """Weight units per volt of every neuron; neurons without weights take their threshold's."""
    groups = groups_of(population, into, "neuron")
    count = int(groups.max()) + 1 if len(groups) else 0
    found = search(flat_weights(into, groups, calibration), count, numerics)[groups]
    return np.where(np.isnan(found), numerics.weight_max / _unit(population), found)


def _rounded(
    projection: Projection, scale: Array, numerics: Numerics, calibration: Calibration
) -> Projection:
    """Rows of dense and convolutional synapses are rounded together, lists to the nearest."""
    synapses = projection.synapses
    low, high = numerics.weight_min, numerics.weight_max
    if isinstance(synapses, Sparse):
        nearest = np.rint(synapses.weight * scale[synapses.target])
        integer = np.clip(nearest, low, high).astype(np.int64)
        return replace(projection, synapses=replace(synapses, weight=integer))
    rows = scale.reshape(len(synapses.weight), -1)[:, :1]
    real = synapses.weight.reshape(len(rows), -1) * rows
    mean, variance = (part.reshape(real.shape) for part in activity_of(projection, calibration))
    variance = np.where(real == 0, LOCKED, variance)
    integer = round_together(real, mean, variance, low, high).reshape(synapses.weight.shape)
    return replace(projection, synapses=replace(synapses, weight=integer))


def _population(population: Population, scale: Array, exact: bool) -> QuantizedPopulation:
    """float32 parameters. The chip fires at v >= threshold: for a strict comparison, calibrated

    networks (`exact` False) take the next larger number, import rules the threshold itself.
    """
    current, beta, threshold = population.bias, population.beta, population.threshold
    if beta is not None:
        current = np.divide(current, 1.0 - beta, where=current != 0, out=np.zeros_like(current))
    if threshold is not None:
        threshold = single(threshold * scale)
        if population.compare == "gt" and not exact:
            above = np.nextafter(threshold.astype(np.float32), np.float32(np.inf))
            threshold = above.astype(np.float64)
    return QuantizedPopulation(
        name=population.name,
        shape=population.shape,
        alpha=single(population.alpha),
        beta=None if beta is None else single(beta),
        shift=0,
        bias=np.zeros(population.n),
        leak=single((population.leak + current) * scale),
        threshold=threshold,
        v_reset=single(population.v_reset * scale),
        scale=scale,
        reset=population.reset,
        compare="ge",
    )
