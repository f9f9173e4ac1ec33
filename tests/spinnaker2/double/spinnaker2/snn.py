"""Populations and projections; every argument is checked against its documented range."""

from __future__ import annotations

from typing import Any

import numpy as np

PARAMETERS = {
    "lif": {"threshold", "alpha_decay", "i_offset", "v_init", "v_reset", "reset"},
}
PARAMETERS["lif_no_delay"] = PARAMETERS["lif_conv2d"] = PARAMETERS["lif"]
PARAMETERS["lif_curr_exp"] = PARAMETERS["lif"] | {"exc_decay", "inh_decay", "t_refrac"}
PARAMETERS["lif_curr_exp_no_delay"] = PARAMETERS["lif_curr_exp"]
RESETS = ("reset_by_subtraction", "reset_to_v_reset")
CONV = {"in_height", "in_width", "stride_x", "stride_y", "pool_x", "pool_y",
        "pad_top", "pad_bottom", "pad_left", "pad_right"}  # fmt: skip


def has_delay(model: str) -> bool:
    return model in ("lif", "lif_curr_exp")


class Population:
    def __init__(
        self,
        size: int,
        neuron_model: str,
        params: dict[Any, Any],
        name: str = "",
        record: tuple[str, ...] | list[str] = ("spikes",),
    ) -> None:
        assert isinstance(size, int) and size > 0
        self.size, self.neuron_model, self.name = size, neuron_model, name
        self.params, self.record, self.atoms = params, list(record), 250
        self.spikes: dict[int, list[int]] = {}
        assert set(self.record) <= {"spikes", "v", "v_last"}
        if neuron_model == "spike_list":
            self.check_list()
            return
        assert neuron_model in PARAMETERS, f"{neuron_model} is not a neuron model"
        assert set(params) <= PARAMETERS[neuron_model], sorted(params)
        assert params["reset"] in RESETS
        for key in set(params) - {"reset"}:
            values = np.broadcast_to(params[key], size)
            assert values.dtype.kind == "f" and np.isfinite(values).all(), key

    def check_list(self) -> None:
        for neuron, times in self.params.items():
            assert isinstance(neuron, int) and 0 <= neuron < self.size
            assert all(isinstance(t, int) and t >= 0 for t in times)
            assert times == sorted(set(times))

    def set_max_atoms_per_core(self, most: int) -> None:
        assert isinstance(most, int) and 0 < most <= 250
        self.atoms = most

    def get_spikes(self) -> dict[int, list[int]]:
        assert "spikes" in self.record
        return self.spikes


class Projection:
    def __init__(self, pre: Population, post: Population, connections: Any) -> None:
        self.pre, self.post, self.connections = pre, post, connections
        most, delays = (15, 7) if has_delay(post.neuron_model) else (127, 0)
        assert isinstance(connections, list)
        for source, target, weight, delay in connections:
            assert all(isinstance(v, int) for v in (source, target, weight, delay))
            assert 0 <= source < pre.size and 0 <= target < post.size
            assert -most <= weight <= most and 0 <= delay <= delays, (weight, delay)
        assert post.neuron_model not in ("lif_conv2d", "spike_list")


class Conv2DProjection:
    def __init__(self, pre: Population, post: Population, weights: Any, params: Any) -> None:
        self.pre, self.post, self.weights, self.params = pre, post, weights, params
        assert post.neuron_model == "lif_conv2d" and set(params) == CONV
        assert weights.dtype == np.int8 and weights.ndim == 4 and weights.min() > -128
        assert pre.size == weights.shape[0] * params["in_height"] * params["in_width"]
        assert all(isinstance(v, int) for v in params.values())
        assert post.size % weights.shape[1] == 0


class Network:
    def __init__(self, name: str) -> None:
        self.name, self.populations, self.projections = name, [], []
        self.fresh = True

    def add(self, *items: Any) -> None:
        for item in items:
            (self.populations if isinstance(item, Population) else self.projections).append(item)

    def reset(self) -> None:
        self.fresh = True
        for population in self.populations:
            population.spikes = {}
