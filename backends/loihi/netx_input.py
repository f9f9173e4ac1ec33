"""Values as lava-dl gives them to an input layer with neurons, as what our input carries."""

from __future__ import annotations

from typing import Any

import numpy as np

from snnstack.backends.loihi.network import ChipNetwork, Cuba
from snnstack.errors import DataError, fail
from snnstack.ir.nodes import Array
from snnstack.ir.step import size


def netx_input(network: ChipNetwork, values: Any) -> Array:
    """int64 [batch, step, n] for a network from `read_netx` whose input layer has neurons.

    `values` [batch, step, *shape] or [batch, step, n], in C order of [C, H, W]. CUBA: pixels x,
    which become bias mantissas `2 * weight * x - weight + bias`, cut toward zero, with the
    file's `weight` (64 without one) and `bias` (0). SDNN: whole numbers, of which the change
    since the step before is sent. Raises DataError for other networks and shapes.
    """
    layer = _input_layer(network)
    array, n = np.asarray(values), size(network.input.shape)
    if array.ndim < 3 or int(np.prod(array.shape[2:])) != n:
        what = f"values have shape {list(array.shape)}, not [batch, step, {n}]"
        raise fail(DataError, network.input.name, what)
    flat = array.reshape(*array.shape[:2], n)
    if not isinstance(network.populations[0], Cuba):
        if np.any(flat != np.trunc(flat)):
            raise fail(DataError, network.input.name, "values are not whole numbers")
        return np.diff(flat.astype(np.int64), axis=1, prepend=0)
    weight, bias = (
        int(np.ravel(layer[key]["value"])[0]) if key in layer else default
        for key, default in (("weight", 64), ("bias", 0))
    )
    return np.trunc(2 * weight * flat.astype(np.float64) - weight + bias).astype(np.int64)


def _input_layer(network: ChipNetwork) -> dict[str, Any]:
    """What is known of the file's data sets of the input layer."""
    layers = network.settings.get("netx", {}).get("layers", ())
    if not network.input.graded or not layers or layers[0]["kind"] != "input":
        what = "the network has no input layer with neurons"
        raise fail(DataError, network.input.name, what, "give it spikes")
    found: dict[str, Any] = layers[0]["data"]
    return found
