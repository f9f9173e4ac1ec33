"""`Rule`: how synapses learn, as data. `Plastic`: a rule with the numbers of one projection."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, get_args

from snnstack.dynamics.expr import E, lift
from snnstack.dynamics.model import Field, Names
from snnstack.errors import ModelError, fail

Changes = Mapping[str, E]
Part = Callable[[Names], Changes]
GIVEN = ("pre", "post", "modulator", "back")
"""What a rule may read besides its own states and parameters."""
PARTS = ("on_pre", "on_post", "each_step")
Order = Literal["at once", "deferred"]
ORDERS: tuple[str, ...] = get_args(Order)


@dataclass(frozen=True)
class Memory:
    """A trace of a neuron: what is left of its earlier spikes.

    It is multiplied by the parameter `decay` once a step (None: it stays); a spike then adds
    what the neuron sent ("add"), or the trace becomes that ("set": the newest spike alone).
    """

    name: str
    decay: str | None = None
    jump: Literal["add", "set"] = "add"


@dataclass(frozen=True)
class Rule:
    """A plasticity rule: traces, and what changes a synapse.

    `pre`, `post`: traces of the neurons on either side. `synapse`: states of a synapse besides its
    weight `w`, which begin at 0. `on_pre`, `on_post`, `each_step` get a `Names` with an attribute
    for each of these, for each parameter, each of `reads` (states of the target neuron after its
    step) and of `GIVEN`; they return what becomes of `w` and of synapse states. `pre` and `post`
    among the given are what the two neurons sent in this step, 0 for nothing. `back(n)` is summed
    over all targets of a source, which reads it as `n.back`. `modulated`: reads `n.modulator`,
    a third factor. `source`: of the equation.
    """

    name: str
    parameters: tuple[Field, ...]
    pre: tuple[Memory, ...] = ()
    post: tuple[Memory, ...] = ()
    synapse: tuple[str, ...] = ()
    on_pre: Part | None = None
    on_post: Part | None = None
    each_step: Part | None = None
    back: Callable[[Names], E] | None = None
    reads: tuple[str, ...] = ()
    modulated: bool = False
    source: str = ""

    @property
    def states(self) -> tuple[str, ...]:
        """What is kept per synapse: the weight first."""
        return ("w", *self.synapse)

    @property
    def inputs(self) -> tuple[str, ...]:
        """What comes from elsewhere in every step."""
        given = ["pre", "post"]
        given += ["modulator"] if self.modulated else []
        given += ["back"] if self.back is not None else []
        return (*given, *self.reads)


@dataclass(frozen=True)
class Plastic:
    """A rule on the synapses of one projection.

    `values`: by parameter one number. `modulator`: the population or input whose events are the
    third factor, one element for all synapses or one for each target. `order`: when what
    happens (`docs/numerics.md`): "at once", or "deferred" to the next spike of the source, as
    SpiNNaker does it.
    """

    rule: Rule
    values: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    modulator: str | None = None
    order: Order = "at once"

    def __post_init__(self) -> None:
        if isinstance(self.values, dict):
            object.__setattr__(self, "values", MappingProxyType(dict(self.values)))

    def value(self, name: str) -> Any:
        """The value of the parameter called `name`, or its default."""
        default = next(f.default for f in self.rule.parameters if f.name == name)
        return self.values.get(name, default)


def parts_of(rule: Rule) -> dict[str, dict[str, E]]:
    """The expressions of a rule: by part what becomes of each state; "back": {"back": its term}.

    Raises ModelError for a part that asks for what is not there, or sets what is no state.
    """
    names = Names(**_leaves(rule))
    found = {part: _called(rule, part, names) for part in PARTS}
    if rule.back is not None:
        found["back"] = {"back": lift(rule.back(names))}
    for part in PARTS:
        for name in found[part]:
            if name not in rule.states:
                what = f"its {part} sets {name!r}, no state of a synapse"
                raise fail(ModelError, rule.name, what, f"it has {', '.join(rule.states)}")
    return found


def _leaves(rule: Rule) -> dict[str, E]:
    kept = [*rule.states, *(m.name for m in (*rule.pre, *rule.post))]
    leaves = {name: E("state", value=name) for name in kept}
    leaves |= {f.name: E("param", value=f.name) for f in rule.parameters}
    return leaves | {name: E("input", value=name) for name in rule.inputs}


def _called(rule: Rule, part: str, names: Names) -> dict[str, E]:
    function: Part | None = getattr(rule, part)
    if function is None:
        return {}
    try:
        return {name: lift(e) for name, e in function(names).items()}
    except AttributeError as error:
        hint = "traces, synapse states, parameters, and what the rule says it reads"
        what = f"its {part} asks for {error.name!r}"
        raise fail(ModelError, rule.name, what, hint) from None
    except TypeError as error:
        raise fail(ModelError, rule.name, f"its {part} cannot be traced: {error}") from None
