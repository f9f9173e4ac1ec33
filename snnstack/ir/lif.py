"""The LIF family's own names for its numbers, on a population whose model is `cuba_lif`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snnstack.dynamics.model import Model
from snnstack.dynamics.neurons.cuba_lif import CUBA_LIF
from snnstack.ir.nodes import Array, Compare, ResetTime

NUMBERS = ("alpha", "beta", "gain_in", "gain", "bias", "leak", "threshold", "v_reset")
CHOICES = ("reset", "compare", "reset_time", "alpha_bits", "beta_bits")


def of_family(model: Model) -> bool:
    """Whether `model` is that of the family, also one that came from another process."""
    return model.step is CUBA_LIF.step


class LifNumbers:
    """Reads a population of the LIF family: arrays [n], in C order of its shape.

    `beta` None: no synaptic current. `threshold` None: does not fire; v is the result. `reset`
    "set" puts v to `v_reset`; `reset_time` says when (see `snnstack.ir.step`). During `refractory`
    steps after a spike, v keeps its value after the reset and the neuron does not fire. A
    population of another model has none of these: AttributeError.
    """

    model: Any
    values: Mapping[str, Any]
    options: Mapping[str, Any]

    @property
    def is_lif(self) -> bool:
        """Whether it is of the family."""
        return of_family(self.model)

    def _number(self, name: str) -> Any:
        try:
            return self.values[name]
        except KeyError:
            raise AttributeError(f"no number {name!r}", name=name, obj=self) from None

    @property
    def alpha(self) -> Array:
        """What is left of v after a step."""
        return self._number("alpha")  # type: ignore[no-any-return]

    @property
    def beta(self) -> Array | None:
        """What is left of the synaptic current after a step."""
        return self.values.get("beta")

    @property
    def gain_in(self) -> Array:
        """What the current takes of the input."""
        return self._number("gain_in")  # type: ignore[no-any-return]

    @property
    def gain(self) -> Array:
        """What the membrane takes of the current, or of the input."""
        return self._number("gain")  # type: ignore[no-any-return]

    @property
    def bias(self) -> Array:
        """Constant input."""
        return self._number("bias")  # type: ignore[no-any-return]

    @property
    def leak(self) -> Array:
        """What is added to v in every step."""
        return self._number("leak")  # type: ignore[no-any-return]

    @property
    def threshold(self) -> Array | None:
        """Where v fires."""
        return self.values.get("threshold")

    @property
    def v_reset(self) -> Array:
        """Where a reset "set" puts v."""
        return self._number("v_reset")  # type: ignore[no-any-return]

    @property
    def reset(self) -> Any:
        """What a spike does to v: "set", "subtract" or "none"."""
        return self.options.get("reset", "set")

    @property
    def reset_time(self) -> ResetTime:
        """When the reset acts."""
        return self.options.get("reset_time", "now")  # type: ignore[no-any-return]

    @property
    def compare(self) -> Compare:
        """Whether v must pass its threshold or may equal it."""
        return self.options.get("compare", "gt")  # type: ignore[no-any-return]

    @property
    def refractory(self) -> int:
        """Steps without a spike after one."""
        return int(self.values.get("pause", 0))


def family(numbers: Mapping[str, Any], choices: Mapping[str, Any]) -> dict[str, Any]:
    """`model`, `values` and `options` of a population of the family.

    `numbers`: those of `NUMBERS` and "shift", None: has none; `choices`: `CHOICES` and
    "refractory".
    """
    values = {name: value for name, value in numbers.items() if value is not None}
    options = {name: c for name, c in choices.items() if name in CHOICES and c is not None}
    refractory = choices.get("refractory", 0)
    options |= {"current": "beta" in values, "fires": "threshold" in values}
    options |= {"refractory": refractory > 0}
    return {"model": CUBA_LIF, "values": values | {"pause": refractory}, "options": options}


def changed(population: Any, changes: Mapping[str, Any]) -> dict[str, Any]:
    """`values` and `options` of a population of the family, with some of them changed."""
    numbers = {k: v for k, v in population.values.items() if k != "pause"}
    choices = {**population.options, "refractory": population.refractory}
    if unknown := sorted(set(changes) - {*NUMBERS, "shift", *CHOICES, "refractory"}):
        raise TypeError(f"no number or choice of the LIF family: {', '.join(unknown)}")
    for name, value in changes.items():
        (choices if name in (*CHOICES, "refractory") else numbers)[name] = value
    found = family(numbers, choices)
    return {"values": found["values"], "options": {**population.options, **found["options"]}}


def missing(population: Any) -> list[str]:
    """Numbers that a quantised population of the family lacks."""
    if not population.is_lif:
        return []
    needed = {"alpha", "shift", "bias", "leak", "v_reset", "pause"}
    needed |= {"beta"} if population.options.get("current") else set()
    needed |= {"threshold"} if population.options.get("fires", True) else set()
    return sorted(needed - set(population.values))
