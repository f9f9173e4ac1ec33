"""`ChipBuilder`: a network in chip units from numbers, checked as a whole.

net = (
    ChipBuilder()
    .input("x", 400)
    .population("field", 400, "lif_curr_exp", threshold=10, alpha=0.8, exc_decay=0.5,
                inh_decay=0.2, reset="subtract")
    .connect("x", "field", 5 * np.eye(400))
    .build()
)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Self, get_args

import numpy as np

from snnstack.backends.spinnaker2.network import (
    Application,
    ChipInput,
    ChipNetwork,
    ChipPopulation,
    ChipReset,
    Connection,
)
from snnstack.backends.spinnaker2.rules import CHIP_RULES
from snnstack.errors import ModelError, Problem, raise_if_any
from snnstack.ir.draft import Draft, Geometry
from snnstack.ir.given import integers, split_by_delay
from snnstack.ir.nodes import Array, Shape
from snnstack.ir.step import Pool, Sparse, Synapses, size
from snnstack.trace import Spikes, Trace

RESETS: dict[str, ChipReset] = {
    "v_reset": "v_reset",
    "subtract": "subtract",
    "reset_to_v_reset": "v_reset",
    "reset_by_subtraction": "subtract",
}
"""Ours, and the names that py-spinnaker2 uses."""


class ChipBuilder:
    """Collects populations and connections; `build` checks all of it and names every fault.

    Every method returns the builder. Parameters are real numbers that become float32: one, one
    per neuron, or an array that broadcasts to the population's shape. Neurons count in C order
    of their shape; images are [C, H, W].
    """

    def __init__(self) -> None:
        self._draft = Draft()
        self._inputs: list[ChipInput] = []
        self._populations: list[ChipPopulation] = []
        self._connections: list[Connection] = []
        self._outputs: tuple[str, ...] = ()

    def input(self, name: str, shape: int | Shape) -> Self:
        """Where events enter: spike sources whose event of step t is sent in step t."""
        self._inputs.append(ChipInput(name, self._draft.input(name, shape)))
        return self

    def population(
        self,
        name: str,
        shape: int | Shape,
        application: Application,
        *,
        threshold: Any,
        alpha: Any = 1.0,
        i_offset: Any = 0.0,
        v_reset: Any = 0.0,
        v_init: Any = 0.0,
        exc_decay: Any = None,
        inh_decay: Any = None,
        reset: str = "v_reset",
    ) -> Self:
        """Neurons of `application`, see `snnstack.backends.spinnaker2.network.ChipPopulation`.

        `alpha` is py-spinnaker2's `alpha_decay`. `threshold` None: never fires, the membrane is
        the result. `exc_decay`, `inh_decay`: needed by `lif_curr_exp*`, and only there.
        `reset`: "v_reset" ("reset_to_v_reset") or "subtract" ("reset_by_subtraction").
        """
        shape = self._draft.population(name, shape)

        def value(key: str, given: Any) -> Array:
            return self._real(name, key, given, shape)

        if application not in get_args(Application):
            known = ", ".join(get_args(Application))
            self._draft.note(name, f"application is {application!r}; there are {known}")
        if reset not in RESETS:
            self._draft.note(name, f"reset is {reset!r}; there are 'v_reset' and 'subtract'")
        currents = str(application).startswith("lif_curr_exp")
        for key, given in (("exc_decay", exc_decay), ("inh_decay", inh_decay)):
            if currents and given is None:
                self._draft.note(name, f"{application} needs {key}")
            elif not currents and given is not None:
                self._draft.note(name, f"{application} has no {key}", "use lif_curr_exp")
        self._populations.append(
            ChipPopulation(
                name=name,
                shape=shape,
                application=application,
                alpha=value("alpha", alpha),
                i_offset=value("i_offset", i_offset),
                threshold=None if threshold is None else value("threshold", threshold),
                v_reset=value("v_reset", v_reset),
                exc_decay=value("exc_decay", _or_zero(exc_decay)) if currents else None,
                inh_decay=value("inh_decay", _or_zero(inh_decay)) if currents else None,
                reset=RESETS.get(reset, "v_reset"),
                v_init=value("v_init", v_init) if np.any(v_init) else None,
            )
        )
        return self

    def connect(
        self,
        source: str,
        target: str,
        weight: Any,
        *,
        delay: Any = 0,
        pool: int | tuple[int, int] | None = None,
    ) -> Self:
        """Synapses `weight` [target, source]: an array or a scipy.sparse matrix of integers.

        A spike of step t arrives in step t + 1 + delay. `delay`: one, or one per synapse as
        [target, source]. `pool`: sum over windows of this size before the weights.
        """
        found = self._draft.matrix(source, target, weight, pool)
        if found is not None:
            synapses, pooled = found
            self._add(source, target, _narrow(synapses), delay, pooled)
        return self

    def connect_list(self, source: str, target: str, connections: Any) -> Self:
        """Synapses as rows [source neuron, target neuron, weight, delay], as py-spinnaker2's.

        Rows with the same two neurons and the same delay add up.
        """
        where = f"{source} -> {target}"
        sizes = self._draft.sizes(source, target)
        if sizes is None:
            return self
        n_source, n_target = sizes
        rows = integers(where, "a connection", np.asarray(connections), self._draft.problems)
        rows = rows.reshape(-1, 4) if rows.size % 4 == 0 else rows
        if rows.ndim != 2 or rows.shape[1] != 4:
            self._draft.note(where, f"connections have shape {list(rows.shape)}, not [n, 4]")
            return self
        for column, most in ((0, n_source), (1, n_target)):
            wrong = rows[(rows[:, column] < 0) | (rows[:, column] >= most), column]
            if len(wrong):
                side = ("source", "target")[column]
                self._draft.note(where, f"there is no {side} neuron {wrong[0]}, only 0..{most - 1}")
                return self
        for delay in np.unique(rows[:, 3]):
            part = rows[rows[:, 3] == delay]
            self._add(source, target, _listed(part, n_source, n_target), int(delay), None)
        return self

    def conv(
        self,
        source: str,
        target: str,
        weight: Any,
        *,
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        delay: Any = 0,
        pool: int | tuple[int, int] | None = None,
    ) -> Self:
        """Cross-correlation (kernel not flipped) of [C, H, W] with shared integer weights.

        `weight` [C_out, C_in / groups, K_y, K_x]. `delay`: one, or one per input channel.
        `pool`: sum over windows of this size before the weights.
        """
        geometry = Geometry(stride, padding, dilation)
        found = self._draft.convolution(source, target, weight, geometry, groups, pool)
        if found is not None:
            synapses, pooled = found
            self._add(source, target, synapses, delay, pooled)
        return self

    def output(self, *names: str) -> Self:
        """The populations that are the network's result; by default the last one."""
        self._outputs = names
        return self

    def build(self) -> ChipNetwork:
        """The network. ModelError with every value that does not fit, never only the first."""
        self._draft.check(self._outputs)
        network = ChipNetwork(
            self._inputs[0],
            tuple(self._populations),
            tuple(self._connections),
            self._outputs or (self._populations[-1].name,),
        )
        raise_if_any(ModelError, (p for rule in CHIP_RULES for p in rule(network)))
        return network

    def _add(
        self, source: str, target: str, synapses: Synapses, delay: Any, pool: Pool | None
    ) -> None:
        where = f"{source} -> {target}"
        found: list[Problem] = []
        steps = integers(where, "delay", delay, found)
        parts = split_by_delay(where, synapses, steps, found)
        self._draft.problems += found
        if not found:
            self._connections += [Connection(source, target, p, d, pool) for d, p in parts]

    def _real(self, where: str, key: str, given: Any, shape: Shape) -> Array:
        """`given` for every neuron: float32 [n], finite."""
        array = np.asarray(given)
        if array.dtype.kind not in "biuf":
            self._draft.note(where, f"{key} is {array.dtype}, not a number")
            return np.zeros(size(shape), dtype=np.float32)
        array = array.astype(np.float32)
        if not np.isfinite(array).all():
            self._draft.note(where, f"{key} is {array[~np.isfinite(array)].flat[0]}, not finite")
        if array.ndim == 1 and len(array) == size(shape):
            array = array.reshape(shape)
        try:
            return np.broadcast_to(array, shape).reshape(-1).copy()
        except ValueError:
            what = f"{key} has shape {list(array.shape)}, which does not fit {list(shape)}"
            self._draft.note(where, what, "give one value, or one per neuron")
            return np.zeros(size(shape), dtype=np.float32)


def replay(
    network: ChipNetwork, spikes: Spikes | Array, probes: Sequence[tuple[str, str]] = ()
) -> Trace:
    """`network` on exactly the steps of `spikes`, by the definition of its arithmetic.

    `spikes`: a `Spikes`, or counts [batch, step, n]. `probes`: (population, "v" | "ie" | "ii").
    For recordings; step t of the trace is step t of the chip.
    """
    from snnstack.backends.spinnaker2.reference import run_chip

    if not isinstance(spikes, Spikes):
        dense = np.asarray(spikes)
        spikes = Spikes.from_dense(dense.reshape(*dense.shape[:2], *network.input.shape))
    return run_chip(network, spikes, probes)


def _listed(rows: Array, n_source: int, n_target: int) -> Sparse:
    """[source, target, weight, ..] as synapses; equal pairs are added, zeros dropped."""
    key = rows[:, 0] * n_target + rows[:, 1]
    pairs, where = np.unique(key, return_inverse=True)
    weight = np.zeros(len(pairs), dtype=np.int64)
    np.add.at(weight, where, rows[:, 2])
    pairs, weight = pairs[weight != 0], weight[weight != 0]
    counts = np.bincount(pairs // n_target, minlength=n_source)
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return Sparse(indptr, (pairs % n_target).astype(np.int32), weight)


def _narrow(synapses: Synapses) -> Synapses:
    """Lists of synapses with 16-bit weights, where they fit: millions are common."""
    weight = np.asarray(synapses.weight)
    if not isinstance(synapses, Sparse) or not len(weight):
        return synapses
    fits = int(weight.min()) > -(2**15) and int(weight.max()) < 2**15
    return replace(synapses, weight=weight.astype(np.int16)) if fits else synapses


def _or_zero(value: Any) -> Any:
    return 0.0 if value is None else value
