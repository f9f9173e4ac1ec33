"""`ChipBuilder`: a network from integers, register by register, checked as a whole.

net = (
    ChipBuilder(generation=2)
    .input("x", 200)
    .population("n", 256, du=4095, dv=415, vth_mant=6)
    .connect("x", "n", weight)
    .build()
)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np

from snnstack.backends.loihi.chip_synapses import sign_mode, weight_problems
from snnstack.backends.loihi.network import (
    ChipInput,
    ChipNetwork,
    ChipPopulation,
    ChipReset,
    Connection,
    Cuba,
    SigmaDelta,
)
from snnstack.backends.loihi.programmed import as_program, from_integers
from snnstack.backends.loihi.ranges import outside, register, weight_outside
from snnstack.backends.loihi.weights import Signs, effective
from snnstack.dynamics.model import Model
from snnstack.errors import Problem
from snnstack.ir.draft import Draft, Geometry
from snnstack.ir.given import integers, split_by_delay
from snnstack.ir.nodes import Array, Shape
from snnstack.ir.step import Pool, Synapses
from snnstack.trace import Spikes, Trace

Convention = Literal["lava", "chip"]
"""`lava`: du is what Lava's LIF takes, one less than what the chip subtracts from 4096.
`chip`: du and dv are what is subtracted (netx `iDecay` and `vDecay`)."""


@dataclass(frozen=True)
class _Format:
    bits: int
    exponent: int
    signs: Signs | None
    port: str = "x"


class ChipBuilder:
    """Collects populations and connections; `build` checks all of it and names every fault.

    Every method returns the builder. Register values are whole numbers: one, one per neuron,
    or an array that broadcasts to the population's shape. Neurons count in C order of their
    shape; images are [C, H, W].
    """

    def __init__(self, generation: Literal[1, 2] = 2) -> None:
        self._generation: Literal[1, 2] = generation
        self._draft = Draft()
        self._inputs: list[ChipInput] = []
        self._populations: list[ChipPopulation] = []
        self._connections: list[Connection] = []
        self._outputs: tuple[str, ...] = ()
        if generation not in (1, 2):
            self._draft.note("generation", f"it is {generation!r}; there are 1 and 2")

    def input(self, name: str, shape: int | Shape, *, graded: bool = False) -> Self:
        """Where events enter; `graded` events carry signed integers (generation 2)."""
        shape = self._draft.input(name, shape)
        if graded:
            self._second(name, "graded input events")
        self._inputs.append(ChipInput(name, shape, graded))
        return self

    def population(
        self,
        name: str,
        shape: int | Shape,
        *,
        du: Any,
        dv: Any,
        vth_mant: Any,
        bias_mant: Any = 0,
        bias_exp: Any = 0,
        refractory: int = 1,
        reset: ChipReset = "zero",
        convention: Convention = "lava",
        v_init: Any = None,
        reset_interval: int | None = None,
        reset_offset: int = 0,
    ) -> Self:
        """CUBA LIF compartments, `snnstack.backends.loihi.network.Cuba`.

        `du`, `dv`: decays, 0..4095 (`convention` "chip": 0..4096). `vth_mant`: 0..131071, the
        threshold is `vth_mant << 6`; None: never fires, the membrane is the result.
        `bias_mant` -4096..4095, `bias_exp` 0..7. `refractory` 1..64 steps, 1 is none. `v_init`:
        what the membrane begins with. `reset_interval`: u and v become 0 before every step t
        (0 is the first) with t % reset_interval == reset_offset % reset_interval.
        """
        shape = self._draft.population(name, shape)

        def value(register_name: str, given: Any) -> Array:
            return register(name, register_name, given, shape, self._draft.problems)

        if convention not in ("lava", "chip"):
            self._draft.note(name, f"convention is {convention!r}; there are 'lava' and 'chip'")
        if reset not in ("zero", "subtract"):
            self._draft.note(name, f"reset is {reset!r}; there are 'zero' and 'subtract'")
        elif reset == "subtract":
            self._second(name, "reset by subtraction")
        lava = convention == "lava"
        threshold = None if vth_mant is None else value("vth_mant", vth_mant) << 6
        exponent = np.clip(value("bias_exp", bias_exp), 0, 7)
        self._draft.problems += outside(name, "refractory", refractory)
        interval = 1 if reset_interval is None else reset_interval
        self._draft.problems += outside(name, "reset_interval", interval)
        self._draft.problems += outside(name, "reset_offset", reset_offset)
        self._populations.append(
            Cuba(
                name,
                shape,
                value("du", du) + 1 if lava else value("i_decay", du),
                value("dv" if lava else "v_decay", dv),
                value("bias_mant", bias_mant) << exponent,
                threshold,
                reset,
                int(refractory),
                None if v_init is None else value("v_init", v_init),
                0 if reset_interval is None else int(reset_interval),
                int(reset_offset),
            )
        )
        return self

    def sigma_delta(
        self,
        name: str,
        shape: int | Shape,
        *,
        vth: Any,
        bias: Any = 0,
        activation: Literal["relu", "none"] = "relu",
        spike_exp: int = 0,
        state_exp: int = 6,
    ) -> Self:
        """Sigma-delta neurons (generation 2), with the parameters of Lava's `SigmaDelta`.

        State, threshold and bias are held times `2**(spike_exp + state_exp)`; what is sent is
        the change of the activation `>> state_exp`.
        """
        shape = self._draft.population(name, shape)
        self._second(name, "sigma-delta neurons")
        self._draft.problems += outside(name, "spike_exp", spike_exp)
        self._draft.problems += outside(name, "state_exp", state_exp)
        if activation not in ("relu", "none"):
            self._draft.note(name, f"activation is {activation!r}; there are 'relu' and 'none'")
        one = 1 << int(np.clip(spike_exp + state_exp, 0, 14))
        scaled = {
            key: integers(name, key, given, self._draft.problems) * one
            for key, given in (("vth", vth), ("bias", bias))
        }
        threshold = register(name, "vth", scaled["vth"], shape, self._draft.problems)
        offset = register(name, "bias", scaled["bias"], shape, self._draft.problems)
        self._populations.append(
            SigmaDelta(name, shape, offset, threshold, int(state_exp), activation)
        )
        return self

    def programmed(
        self,
        name: str,
        shape: int | Shape,
        model: Model,
        values: Mapping[str, Any] | None = None,
        *,
        options: Mapping[str, Any] | None = None,
        initial: Mapping[str, Any] | None = None,
        payload: int = 0,
    ) -> Self:
        """Neurons whose program is a step of `model` in integers (generation 2).

        `values`: its parameters, whole numbers as for registers; `initial`: of states that do not
        begin at 0. `payload`: the largest magnitude that an event carries, of a model that sends
        values. A run in which a state leaves 24 bits is refused.
        """
        shape = self._draft.population(name, shape)
        given = as_program(model, options or {}, payload), values or {}, initial or {}, payload
        self._populations.append(from_integers(name, shape, *given, self._draft.problems))
        return self

    def connect(
        self,
        source: str,
        target: str,
        weight: Any,
        *,
        port: str = "x",
        bits: int = 8,
        exponent: int = 0,
        signs: Signs | None = None,
        delay: Any = 0,
        pool: int | tuple[int, int] | None = None,
    ) -> Self:
        """Synapses `weight` [target, source]: an array or a scipy.sparse matrix.

        `weight`: stored values on the scale of 8 bits (mixed -256..254, excitatory 0..255,
        inhibitory -255..0); `bits`, `exponent` and `signs` make of them what the chip applies.
        `signs` None: excitatory or inhibitory if no weight is of the other sign, else mixed,
        as in Lava. `delay` 0..62: one, or one per synapse as [target, source]. `pool`: sum
        over windows of this size before the weights. `port`: the input of a program.
        """
        found = self._draft.matrix(source, target, weight, pool)
        if found is not None:
            synapses, pooled = found
            form = _Format(bits, exponent, signs, port)
            self._add(source, target, synapses, form, delay, pooled)
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
        bits: int = 8,
        exponent: int = 0,
        signs: Signs | None = None,
        delay: Any = 0,
        pool: int | tuple[int, int] | None = None,
    ) -> Self:
        """Cross-correlation (kernel not flipped) of [C, H, W] with shared weights.

        `weight` [C_out, C_in / groups, K_y, K_x]. `delay`: one, or one per input channel.
        """
        geometry = Geometry(stride, padding, dilation)
        found = self._draft.convolution(source, target, weight, geometry, groups, pool)
        if found is not None:
            synapses, pooled = found
            self._add(source, target, synapses, _Format(bits, exponent, signs), delay, pooled)
        return self

    def output(self, *names: str) -> Self:
        """The populations that are the network's result; by default the last one."""
        self._outputs = names
        return self

    def build(self) -> ChipNetwork:
        """The network. ModelError with every value that does not fit, never only the first."""
        self._draft.problems += self._lost_ports()
        self._draft.check(self._outputs)
        return ChipNetwork(
            self._generation,
            self._inputs[0],
            tuple(self._populations),
            tuple(self._connections),
            self._outputs or (self._populations[-1].name,),
        )

    def _add(
        self,
        source: str,
        target: str,
        stored: Synapses,
        given: _Format,
        delay: Any,
        pool: Pool | None,
    ) -> None:
        where = f"{source} -> {target}"
        signs = given.signs or sign_mode(stored.weight)
        found = list(weight_problems(where, given.bits, given.exponent, signs))
        if not found:
            found += weight_outside(where, stored.weight, signs)
        steps = integers(where, "delay", delay, found)
        found += outside(where, "delay", steps)
        parts = split_by_delay(where, stored, steps, found)
        self._draft.problems += found
        if found:
            return
        for wait, part in parts:
            weight = effective(part.weight, given.bits, given.exponent, signs)
            part = replace(part, weight=weight)
            self._connections.append(
                Connection(
                    source, target, part, wait, pool, given.bits, given.exponent, signs, given.port
                )
            )

    def _lost_ports(self) -> Iterator[Problem]:
        known = {p.name: p.ports for p in self._populations}
        for c in self._connections:
            if c.port not in known[c.target]:
                what = f"there is no input {c.port!r}, there are {', '.join(known[c.target])}"
                yield Problem(f"{c.source} -> {c.target}", what)

    def _second(self, where: str, what: str) -> None:
        if self._generation == 1:
            self._draft.note(where, f"generation 1 has no {what}", "build for generation 2")


def replay(
    network: ChipNetwork,
    spikes: Spikes | Array,
    probes: Sequence[tuple[str, str]] = (),
) -> Trace:
    """`network` on exactly the steps of `spikes`, by the definition of its arithmetic.

    `spikes`: a `Spikes`, or integers [batch, step, n] for graded input. `probes`: (population,
    "v" | "i" | "s"); "s" is what sigma-delta neurons send, their "v" is act. For recordings;
    step t of the trace is step t of the chip.
    """
    from snnstack.backends.loihi.reference import run_chip

    return run_chip(network, spikes, probes)
