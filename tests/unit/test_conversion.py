"""The conversion report says what went wrong in networks that were spoilt on purpose."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from snnstack.backends.mcu import NUMERICS
from snnstack.frontends.data import Data
from snnstack.ir.step import StepGraph
from snnstack.quant.network import QuantizedNetwork
from snnstack.quant.quantise import quantise
from snnstack.reference import run_quantized, run_steps
from snnstack.report.conversion import Conversion, conversion, replace_by_quantised
from snnstack.report.readout import classes, output_probes
from snnstack.samples import run_float
from snnstack.trace import Spikes
from tests.conformance.networks import EXAMPLES, equal, events, steps_of


def setting(name: str = "dense") -> tuple[StepGraph, QuantizedNetwork, Data]:
    """A network whose float run is right on all of its samples, by definition of the labels."""
    steps = steps_of(EXAMPLES[name]())
    spikes = events(steps.inputs[0], batch=40)
    found = run_float(steps, Data(spikes, None))
    return steps, quantise(steps, NUMERICS), Data(spikes, classes(found, steps.outputs))


def report(steps: StepGraph, network: QuantizedNetwork, data: Data) -> Conversion:
    fires = {p.name: p.threshold is not None for p in steps.populations}
    probes = output_probes(steps.outputs, fires)
    trace = run_quantized(network, data.spikes, probes)
    return conversion(steps, network, data, run_float(steps, data), trace, run_steps)


def altered(p: Any, changes: dict[str, Any]) -> Any:
    return replace(p, **changes) if "scale" in changes else p.with_lif(**changes)


def spoilt(network: QuantizedNetwork, name: str, **changes: Any) -> QuantizedNetwork:
    populations = tuple(
        altered(p, {key: change(getattr(p, key)) for key, change in changes.items()})
        if p.name == name
        else p
        for p in network.populations
    )
    return network.with_(populations=populations)


def layers(found: Conversion) -> dict[str, Any]:
    return {layer.name: layer for layer in found.layers}


def test_a_good_conversion_loses_little() -> None:
    found = report(*setting())
    assert (found.samples, found.accuracy_float) == (40, 1.0)
    assert found.accuracy is not None
    assert found.accuracy >= 0.9
    for layer in found.layers:
        assert layer.weight_error < 0.02
        assert layer.decay_error <= 2**-17
        assert (layer.silenced, layer.saturated) == (0, 0)
        assert abs(layer.spike_change) < 0.05


def test_a_silenced_neuron_is_counted() -> None:
    steps, network, data = setting()
    high = np.eye(14, dtype=np.int64)[3] * 2**28
    found = layers(report(steps, spoilt(network, "n1", threshold=lambda t: t + high), data))
    assert found["n1"].silenced == 1
    assert found["n1"].saturated == 0
    assert found["n1"].spikes < found["n1"].spikes_float


def test_a_neuron_that_never_rests_is_counted() -> None:
    steps, network, data = setting()
    drive = np.eye(14, dtype=np.int64)[5] * 2**27
    found = layers(report(steps, spoilt(network, "n1", bias=lambda b: b + drive), data))
    assert found["n1"].saturated == 1
    assert found["n1"].silenced == 0
    assert found["n1"].spike_change > 0


def test_the_first_layer_where_accuracy_is_lost_is_named() -> None:
    steps, network, data = setting()
    data = still_right(steps, network, data)
    assert report(steps, network, data).first_loss is None
    for name in ("n1", "n3"):
        projections = tuple(
            replace(p, synapses=replace(p.synapses, weight=-p.synapses.weight))
            if p.target == name
            else p
            for p in network.projections
        )
        found = report(steps, network.with_(projections=projections), data)
        assert found.first_loss == name
        assert found.accuracy is not None
        assert found.accuracy < 0.9
        assert layers(found)[name].weight_error > 1.9


def still_right(steps: StepGraph, network: QuantizedNetwork, data: Data) -> Data:
    """The samples that survive an unspoilt conversion of the first and of all layers."""
    half = run_steps(replace_by_quantised(steps, network, "n1"), data.spikes)
    full = run_quantized(network, data.spikes)
    assert data.labels is not None
    right = [classes(trace, steps.outputs) == data.labels for trace in (half, full)]
    kept = np.logical_and(*right)
    return Data(Spikes.from_dense(data.spikes.dense()[kept]), data.labels[kept])


def test_weights_beyond_the_largest_integer_are_counted() -> None:
    steps, network, data = setting()
    wide = np.zeros(14)
    wide[0] = 1.0
    found = layers(report(steps, spoilt(network, "n1", scale=lambda s: s * (1 + 9 * wide)), data))
    assert 0 < found["n1"].clipped <= 1 / 14
    assert found["n3"].clipped < 0.2


def test_without_labels_nothing_is_said_of_accuracy() -> None:
    steps, network, data = setting()
    found = report(steps, network, replace(data, labels=None))
    assert (found.accuracy_float, found.accuracy, found.first_loss) == (None, None, None)
    assert {layer.accuracy for layer in found.layers} == {None}


def test_resolution_is_the_smallest_threshold() -> None:
    steps, network, data = setting("conv")
    found = layers(report(steps, network, data))
    for population in network.populations:
        threshold = population.threshold
        expected = None if threshold is None else int(threshold.min())
        assert found[population.name].threshold_units == expected


def test_replacing_every_layer_gives_the_integer_network_s_values() -> None:
    """In floats, so that only the rounding of the state is left."""
    for name in EXAMPLES:
        steps, network, data = setting(name)
        mixed = steps
        for population in network.populations:
            mixed = replace_by_quantised(mixed, network, population.name)
        again = quantise_back(mixed, network)
        for one, other in zip(again, network.projections, strict=True):
            np.testing.assert_array_equal(one, other.synapses.weight)
        fires = {p.name for p in steps.populations if p.threshold is not None}
        real, integer = run_steps(mixed, data.spikes), run_quantized(network, data.spikes)
        for population in fires:
            total = integer.spikes[population].total
            assert abs(real.spikes[population].total - total) <= 0.02 * total + 2


def quantise_back(mixed: StepGraph, network: QuantizedNetwork) -> list[Any]:
    """The float weights of `mixed` in the integer network's units."""
    found = []
    for projection in mixed.projections:
        population = network.population(projection.target)
        scale = population.scale / 2.0**population.shift
        synapses = projection.synapses
        match synapses.weight.ndim:
            case 1:
                each = scale[synapses.target]  # type: ignore[union-attr]
            case 2:
                each = scale[:, None]
            case _:
                each = scale.reshape(len(synapses.weight), -1)[:, :1, None, None]
        found.append(np.rint(synapses.weight * each).astype(np.int64))
    return found


def test_the_report_as_plain_data_holds_every_number() -> None:
    plain = report(*setting()).to_dict()
    names = ["accuracy", "accuracy_float", "accuracy_pruned", "dead", "first_loss", "layers"]
    assert equal(sorted(plain), [*names, "samples"])
    for row in plain["layers"]:
        assert {"spike_change", "silenced", "saturated", "threshold_units"} <= set(row)
