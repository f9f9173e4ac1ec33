"""What quantisation took from every population, provable from the numbers alone: one record.

Computed once for a network, kept in its settings as plain data, and shown by the terminal, JSON
and pages. What an answer depends on is a warning; `--strict` makes that an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import msgspec
import numpy as np

from snnstack.errors import DataError, Problem, fail
from snnstack.ir.matrix import from_matrix, matrix, pool_matrix
from snnstack.ir.nodes import Array
from snnstack.ir.step import Population, Projection, StepGraph
from snnstack.quant.bounds import Bounds, Sent, input_bounds, max_counts
from snnstack.quant.calibration import Calibration
from snnstack.quant.lost import (
    LOST_SHARE,
    changed_share,
    deaf,
    drive_of,
    largest_lost,
    least_of_groups,
    lost_share,
    need_of,
    unnoticed,
)
from snnstack.quant.network import QuantizedNetwork, QuantizedPopulation
from snnstack.quant.numerics import Numerics
from snnstack.quant.scales import flat_weights, rows_of
from snnstack.quant.steady import shift_of

LEAST_MANTISSA = 16
"""A threshold register with a smaller value can only be met roughly."""
STEADY_SHARE = 0.01
"""A steady state that moves by more than this share is said."""
TIME_SHARE = 0.05
"""So is a time constant that changes by more than this share, also where the steady state stays."""
DEAD_SHARE = 0.02
"""And a membrane that truncation can shift by more than this share of the threshold."""
CHANGED_SHARE = 0.2
"""And a neuron whose expected input changes by more than this share."""
DRIFT_STEPS = 64.0
"""Steps over which what truncation takes from a membrane without leak is taken to add up."""


@dataclass(frozen=True)
class LayerLosses:
    """One population after quantisation. Shares are fractions; worst neurons where not the layer's.

    `weights`: not zero in the float network; `weights_lost`: of those, zero now; `drive_lost`:
    their share of the layer's expected drive, `worst_drive_lost` that of the neuron that loses
    most, `largest_lost` the largest one in thresholds a spike brings; `deaf`: neurons that lose
    more than is stated. `apart`: weights stored apart from the others, with more bits or another
    exponent. `unreachable`: neurons that reach their threshold in float if all input comes, and
    provably never in integers. `threshold_mantissa`: smallest value of a threshold register
    (None: thresholds are real numbers, or there is none). `steady_state_error`: by how much a
    constant input settles elsewhere. `time_constant_error`: relative. `dead_band`: how far
    truncated decays can hold a membrane from where it would settle, in thresholds or, where that is
    more, in what the neuron's smallest weight brings. `drive_changed`: by what share of its
    expected drive the input of the neuron changes whose input changes most, and `misread` how
    many neurons' does by more than is stated.
    """

    name: str
    neurons: int
    weights: int
    weights_lost: int
    drive_lost: float
    worst_drive_lost: float
    largest_lost: float
    deaf: int
    apart: int
    unreachable: int
    threshold_mantissa: int | None
    steady_state_error: float
    time_constant_error: float
    dead_band: float
    drive_changed: float = 0.0
    misread: int = 0

    def warnings(self) -> Iterator[Problem]:
        """What must be said, with numbers; nothing where all shares are as small as stated."""
        yield from self._weights()
        if self.misread:
            what = f"rounded weights change the expected input of {self.misread} of {self.neurons} "
            what += f"neurons, by up to {self.drive_changed:.0%} of it"
            yield Problem(self.name, what, "their weights are few units: give each neuron a scale")
        if self.unreachable:
            what = (
                f"{self.unreachable} of {self.neurons} neurons can no longer reach their threshold"
            )
            yield Problem(self.name, what, "in float they can, if all of their input comes")
        if self.threshold_mantissa is not None and self.threshold_mantissa < LEAST_MANTISSA:
            what = f"the smallest threshold register is {self.threshold_mantissa}, below "
            what += f"{LEAST_MANTISSA}: weights are rounded to multiples of a threshold's "
            what += f"1/{max(self.threshold_mantissa, 1)}"
            yield Problem(self.name, what, "one weight is very large beside the threshold")
        if abs(self.steady_state_error) > STEADY_SHARE:
            what = f"constant input settles {self.steady_state_error:+.1%} from where it should"
            yield Problem(self.name, what, "the decay is rounded: use a larger time step")
        if abs(self.time_constant_error) > TIME_SHARE:
            what = f"a time constant changes by {self.time_constant_error:+.0%}"
            yield Problem(self.name, what, "the decay is rounded: use a larger time step")
        if self.dead_band > DEAD_SHARE:
            what = f"truncated decays can shift a membrane by {self.dead_band:.1%} of its threshold"
            yield Problem(self.name, what, "use a larger time step, or smaller weights")

    def _weights(self) -> Iterator[Problem]:
        if not self.deaf and self.drive_lost <= LOST_SHARE:
            return
        what = f"{self.weights_lost:,} of {self.weights:,} weights become 0, "
        what += (
            f"{self.drive_lost:.1%} of the expected drive; {self.deaf} of {self.neurons} neurons "
        )
        what += f"lose up to {self.worst_drive_lost:.0%}, a weight of up to "
        what += f"{self.largest_lost:.3g} thresholds"
        yield Problem(self.name, what, "largest and smallest weights are too far apart")


def losses(
    graph: StepGraph, network: QuantizedNetwork, calibration: Calibration
) -> tuple[LayerLosses, ...]:
    """Of the LIF family's populations in `network` against their float `graph` (unit gains)."""
    counts = max_counts(graph.inputs)
    known = (p for p in network.populations if p.is_lif)
    return tuple(_layer(graph, network, p, calibration, counts) for p in known)


def as_settings(found: tuple[LayerLosses, ...]) -> list[dict[str, Any]]:
    """The record as plain data, for a network's settings."""
    return [asdict(layer) for layer in found]


def from_settings(settings: Mapping[str, Any]) -> tuple[LayerLosses, ...]:
    """The record in a network's or program's settings; empty where nothing was quantised."""
    try:
        return msgspec.convert(settings.get("losses", ()), tuple[LayerLosses, ...])
    except msgspec.ValidationError as error:
        what = f"are not a record of losses: {error}"
        raise fail(DataError, "settings", what, "compile the model again") from error


def warnings_of(settings: Mapping[str, Any]) -> tuple[Problem, ...]:
    """Everything that a network's record says must be known."""
    return tuple(p for layer in from_settings(settings) for p in layer.warnings())


def _layer(
    graph: StepGraph,
    network: QuantizedNetwork,
    quantised: QuantizedPopulation,
    calibration: Calibration,
    counts: Sent,
) -> LayerLosses:
    name, numerics = quantised.name, network.numerics
    population, real, integer = graph.population(name), graph.into(name), network.into(name)
    steady, slower = _decays(population, quantised, numerics)
    return LayerLosses(
        name=name,
        neurons=quantised.n,
        **_weights(population, quantised, real, integer, calibration, counts),
        apart=_apart(network, name, integer),
        unreachable=_unreachable(population, quantised, real, integer, counts, numerics),
        threshold_mantissa=_mantissa(quantised, numerics),
        steady_state_error=steady,
        time_constant_error=slower,
        dead_band=_dead_band(population, quantised, numerics, _least(population, real)),
    )


def _weights(
    population: Population,
    quantised: QuantizedPopulation,
    real: tuple[Projection, ...],
    integer: tuple[Projection, ...],
    calibration: Calibration,
    counts: Sent,
) -> dict[str, Any]:
    if [p.synapses.weight.size for p in real] != [p.synapses.weight.size for p in integer]:
        real, integer = _listed(real, integer, population.n)
    rows = rows_of(population, real)
    count = int(rows.max(initial=-1)) + 1
    weights = flat_weights(real, rows, calibration)
    held = np.concatenate([np.zeros(0), *(p.synapses.weight.ravel() for p in integer)])
    lost = (weights.value != 0) & (held == 0)
    need = least_of_groups(need_of(population), rows, count)
    memory = -least_of_groups(-_memory(population.alpha), rows, count)
    gone = lost & ~unnoticed(weights, lost, need, memory, _most(real, counts))[weights.group]
    drive, size = drive_of(weights, count), np.bincount(rows, minlength=count)
    unit = least_of_groups(quantised.weight_volts, rows, count)
    kept = np.where(lost, weights.value, held * unit[weights.group])  # the lost are told apart
    changed = changed_share(weights, kept, count)
    return {
        "drive_changed": float(changed.max(initial=0.0)),
        "misread": int(size[changed > CHANGED_SHARE].sum()),
        "weights": int(np.count_nonzero(weights.value)),
        "weights_lost": int(np.count_nonzero(lost)),
        "drive_lost": float(drive[gone].sum() / max(float(drive.sum()), 1e-300)),
        "worst_drive_lost": float(lost_share(weights, gone, count).max(initial=0.0)),
        "largest_lost": float(largest_lost(weights, gone, need).max(initial=0.0)),
        "deaf": int(size[deaf(weights, gone, need)].sum()),
    }


def _memory(alpha: Array) -> Array:
    """Steps that a membrane remembers; infinite without leak."""
    leaving = 1.0 - alpha
    return np.where(leaving > 0, 1.0 / np.where(leaving > 0, leaving, 1.0), np.inf)


def _most(projections: tuple[Projection, ...], counts: Sent) -> Array:
    """Of every weight, in order: how many events of its source can come in a step."""
    parts = [np.zeros(0)]
    for p in projections:
        window = 1 if p.pool is None else int(np.prod(p.pool.kernel))
        parts.append(
            np.full(p.synapses.weight.size, float(counts.get(p.source, (0, 1))[1] * window))
        )
    return np.concatenate(parts)


def _listed(
    real: tuple[Projection, ...], integer: tuple[Projection, ...], neurons: int
) -> tuple[tuple[Projection, ...], tuple[Projection, ...]]:
    """Both as lists of the float network's synapses, where a target has them in another form."""
    found, held = [], []
    for p in real:
        synapses = from_matrix(_full(p, neurons))
        source = np.repeat(np.arange(len(synapses.indptr) - 1), np.diff(synapses.indptr))
        same = [q for q in integer if (q.source, q.delay) == (p.source, p.delay)]
        weight = np.zeros(len(source))
        for q in same:
            weight += np.asarray(_full(q, neurons)[synapses.target, source]).ravel()
        found.append(replace(p, synapses=synapses, pool=None))
        held.append(replace(p, synapses=replace(synapses, weight=weight), pool=None))
    return tuple(found), tuple(held)


def _full(projection: Projection, neurons: int) -> Any:
    """[targets, sources] with the pool, if there is one."""
    weights = matrix(projection.synapses, neurons)
    return weights if projection.pool is None else weights @ pool_matrix(projection.pool)


def _apart(network: QuantizedNetwork, name: str, integer: tuple[Projection, ...]) -> int:
    """Weights beyond the ordinary width, or as the target's own quantiser counted them."""
    counted = network.settings.get("stored_apart", {})
    if name in counted:
        return int(counted[name])
    most = network.numerics.weight_max
    return sum(int(np.count_nonzero(np.abs(p.synapses.weight) > most)) for p in integer)


def _mantissa(quantised: QuantizedPopulation, numerics: Numerics) -> int | None:
    threshold = quantised.threshold
    if threshold is None or threshold.dtype.kind == "f" or not threshold.size:
        return None
    return int(threshold.min()) >> numerics.threshold_shift


def _decays(
    population: Population, quantised: QuantizedPopulation, numerics: Numerics
) -> tuple[float, float]:
    """(error of the steady state, relative change of a time constant), the worst neuron's each."""
    alpha, beta = quantised.decays(numerics)
    shifts = [shift_of(population.alpha, alpha)]
    if population.beta is not None and beta is not None:
        shifts.append(shift_of(population.beta, beta))
    gain = np.ones(quantised.n) if quantised.input_gain is None else quantised.input_gain
    steady = gain * np.prod([_inverse(s) for s in shifts], axis=0) - 1.0
    return _worst(steady), _worst(np.concatenate([_inverse(s) - 1.0 for s in shifts]))


def _inverse(shift: Array) -> Array:
    return np.asarray(1.0 / np.maximum(shift, 1e-9))


def _worst(values: Array) -> float:
    return float(values[np.abs(values).argmax()]) if len(values) else 0.0


def _least(population: Population, into: tuple[Projection, ...]) -> Array:
    """What the smallest input of each neuron brings, in thresholds, at least 1: float64 [n].

    1 for a neuron with constant input, which can be as small as any.
    """
    found = np.full(population.n, np.inf)
    for p in into:
        weights = _full(p, population.n).tocoo()
        used = weights.data != 0
        np.minimum.at(found, weights.coords[0][used], np.abs(weights.data[used]))
    found = np.where(np.isfinite(found), found, 0.0) / need_of(population)
    constant = (population.bias != 0) | (population.leak != 0)
    return np.where(constant, 1.0, np.maximum(found, 1.0))


def _dead_band(
    population: Population, quantised: QuantizedPopulation, numerics: Numerics, least: Array
) -> float:
    """What up to one unit a step, lost in every decay that rounds, adds up to, in thresholds; of
    neurons whose `least` input is more than a threshold, in those.
    """
    if quantised.threshold is None or not quantised.n:
        return 0.0
    alpha, beta = quantised.decays(numerics)
    membrane = _summed(alpha)
    taken = np.where((alpha > 0) & (alpha < 1), membrane, 0.0)
    if beta is not None:
        taken = taken + np.where((beta > 0) & (beta < 1), _summed(beta) * membrane, 0.0)
    threshold = np.maximum(np.abs(quantised.threshold.astype(np.float64)), 1e-30)
    if quantised.threshold.dtype.kind == "f":  # one unit in the last place of a value that large
        taken = taken * threshold * 2.0**-numerics.decay_bits
    return float((taken / threshold / least).max())


def _summed(factor: Array) -> Array:
    """Steps that a decay remembers."""
    leaving = 1.0 - factor
    return np.where(leaving > 0, 1.0 / np.where(leaving > 0, leaving, 1.0), DRIFT_STEPS)


def _unreachable(
    population: Population,
    quantised: QuantizedPopulation,
    real: tuple[Projection, ...],
    integer: tuple[Projection, ...],
    counts: Sent,
    numerics: Numerics,
) -> int:
    """Neurons that reach their threshold in float, and never in integers: by intervals."""
    if population.threshold is None or quantised.threshold is None:
        return 0
    exact = input_bounds(real, population.n, counts)
    before = _reach(population, exact, 1.0, population.alpha, population.beta)
    held = input_bounds(integer, population.n, counts)
    after = _reach(quantised, held, 2.0**quantised.shift, *quantised.decays(numerics))
    fired = _above(before, population.threshold, population.compare)
    fires = _above(after, quantised.threshold, quantised.compare)
    return int(np.count_nonzero(fired & ~fires))


def _reach(
    p: Population | QuantizedPopulation,
    bounds: Bounds,
    unit: float,
    alpha: Array,
    beta: Array | None,
) -> Array:
    """The largest membrane if all that excites comes in every step; rounding only lowers it."""
    x = bounds.high * unit + p.bias
    if beta is not None:
        x = _settles(np.maximum(x, 0.0), beta)
    return np.maximum(_settles(x + p.leak, alpha), 0.0)


def _settles(x: Array, factor: Array) -> Array:
    leaving = 1.0 - factor
    integrated = np.where(x > 0, np.inf, 0.0)
    return np.where(leaving > 0, x / np.where(leaving > 0, leaving, 1.0), integrated)


def _above(reach: Array, threshold: Array, compare: str) -> Array:
    return np.asarray(reach >= threshold if compare == "ge" else reach > threshold)
