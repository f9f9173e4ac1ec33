"""Neurons of a spiking step, from how its states change; the equations of `snnstack.ir.step`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from snnstack.errors import ModelError, Problem, fail
from snnstack.frontends.onnx_states import has_part
from snnstack.frontends.onnx_terms import (
    ONE,
    Atom,
    Terms,
    add,
    alike,
    constant,
    is_switch,
    near,
    single,
    times,
)
from snnstack.frontends.onnx_values import Walk
from snnstack.ir.nodes import Array, Compare, Reset, ResetTime

HINT = (
    "a step is read whose states are leaky membranes and synaptic currents, reset by subtraction, "
    "to a value or not at all; else give the trained module itself: snnstack.load(module, sample)"
)


@dataclass(frozen=True, eq=False)
class Resetting:
    """How neurons fire and are reset. `late`: the comparison of the membrane before the step."""

    fires: Atom
    threshold: Array
    compare: Compare
    reset: Reset = "none"
    time: ResetTime = "now"
    v_reset: Array = field(default_factory=lambda: np.zeros(()))
    refractory: int = 0
    wait: Atom | None = None

    def fired(self, shape: tuple[int, ...]) -> Terms:
        """What is sent."""
        found = single(self.fires, shape)
        if self.wait is None:
            return found
        both = times(found, single(self.wait, shape))
        assert both is not None
        return add(found, both, -1.0)


Update = tuple[Terms, Resetting]
"""A membrane's change without any reset, and how it is reset."""
Changes = Mapping[str, Terms]
"""{state: what it is after the step}."""
Linear = tuple[Array, Array | None, Array, Array, Terms]
"""(alpha, beta, gain, leak, drive) of `Neurons`."""


@dataclass(frozen=True, eq=False)
class Neurons:
    """One population; arrays have the shape (1, ...) of its state. `drive` is its input."""

    state: str
    shape: tuple[int, ...]
    alpha: Array
    beta: Array | None
    gain: Array
    leak: Array
    drive: Terms
    after: Terms
    firing: Resetting | None

    def sent(self) -> Terms:
        """Its spikes, or the membrane of what does not fire."""
        return self.after if self.firing is None else self.firing.fired(self.shape)


@dataclass(frozen=True, eq=False)
class Found:
    """`past`: {state that only remembers: what it will be}; `currents`: synaptic ones."""

    neurons: tuple[Neurons, ...]
    past: Mapping[str, Terms]


def recognised(walk: Walk, after: Mapping[str, str]) -> Found:
    """All populations of a step; ModelError for a state whose change is none of a neuron."""
    new = {state: walk.of(output) for state, output in after.items()}
    waits = {s for s in new if _is_wait(walk, s, new[s])}
    past = {s: e for s, e in new.items() if s not in waits and _is_past(walk, s, new)}
    rest = {s: e for s, e in new.items() if s not in waits and s not in past}
    currents = {s for s in rest if _is_current(s, rest)}
    made = [_neurons(walk, s, rest, new) for s in rest if s not in currents]
    return Found(tuple(made), past)


def _is_wait(walk: Walk, state: str, after: Terms) -> bool:
    """Whether it counts down to zero."""
    positive = [walk.positive[a] for a in after.atoms if a.kind == "positive"]
    return any(p.atoms == {Atom("state", state)} for p in positive)


def _is_past(walk: Walk, state: str, new: Changes) -> bool:
    """Whether it only keeps what something sent, for the next step."""
    own, after = Atom("state", state), new[state]
    if has_part(walk, own, after):
        return False
    atom = after.only()
    if atom is not None and atom.kind == "layer":
        return walk.layers[atom].source.only() is not None and _flattens(walk, atom)
    if (atom is not None and atom.kind != "unknown") or (after.atoms and is_switch(after)):
        return True
    key = after.key()
    return any(
        e.key() == key and has_part(walk, Atom("state", s), e) for s, e in new.items() if s != state
    )


def _flattens(walk: Walk, atom: Atom) -> bool:
    return type(walk.layers[atom].node).__name__ == "Flatten"


def _is_current(state: str, new: Changes) -> bool:
    """Whether it is linear and part of another state's change."""
    own, after = Atom("state", state), new[state]
    used = any(own in e.atoms for s, e in new.items() if s != state)
    return used and own in after.atoms and all(len(p) <= 1 for p in after.parts)


def _neurons(walk: Walk, state: str, new: Changes, every: Changes) -> Neurons:
    own, after = Atom("state", state), new[state]
    for update, firing in (*_firings(walk, own, after, every), (after, None)):
        made = _linear(own, update, new)
        if made is not None:
            alpha, beta, gain, leak, drive = made
            shape = walk.of(state).shape
            return Neurons(state, shape, alpha, beta, gain, leak, drive, after, firing)
    raise ModelError(_not_read(walk, state, after))


def _not_read(walk: Walk, state: str, after: Terms) -> Problem:
    unknown = [a for a in after.atoms if a.kind == "unknown"]
    if unknown:
        what = f"{walk.unknown[unknown[0]]} is no operation of a neuron or layer that is read"
        return Problem(unknown[0].name, what, f"it is part of the state {state!r}; {HINT}")
    return Problem(state, "is a state that changes as in no neuron that is known", HINT)


def _linear(own: Atom, update: Terms, new: Changes) -> Linear | None:
    """(alpha, beta, gain, leak, drive) of an update without resets."""
    if any(len(p) > 1 or any(a.kind in ("unknown", "positive") for a in p) for p in update.parts):
        return None
    alpha, rest = update.factor(own), update.without(own)
    ones, zeros = np.ones(update.shape), np.zeros(update.shape)
    inner = [a for a in rest.atoms if a.kind == "state" and a.name in new]
    if not inner:
        return alpha, None, ones, zeros, rest
    if len(inner) > 1 or inner[0] == own:
        return None
    current, (name,) = new[inner[0].name], inner
    beta = current.factor(name)
    gain = np.where(beta == 0.0, 1.0, rest.factor(name) / np.where(beta == 0.0, 1.0, beta))
    through = times(constant(gain), current)
    if through is None or any(a.kind == "unknown" for a in current.atoms):
        return None
    left = add(rest, through, -1.0)
    if any(not near(left.factor(p), 0.0) for p in left.parts if p != ONE):
        return None
    leak = left.factor(ONE)
    leak = np.where(np.abs(leak) < 1e-12, 0.0, leak)
    return alpha, beta, gain, leak, current.without(name)


# Firing and resetting


def _firings(walk: Walk, own: Atom, after: Terms, every: Changes) -> Iterator[Update]:
    """(the update without any reset, how it is reset) for every comparison that would fit."""
    late = [a for a, f in walk.firings.items() if _is_late(f.terms, own)]
    wait = next((a for a in after.atoms if _is_waiting(walk, a, every)), None)
    base = after if wait is None else after.put(wait, 0)
    used = _used(walk, every)
    for fires in (atom for atom in walk.firings if atom in used):
        for before in (*(a for a in late if a != fires), None):
            found = _reset(walk, own, base, fires, before)
            if found is not None:
                update, made = found
                yield update, _waiting(walk, made, wait, every)


def _used(walk: Walk, every: Changes) -> set[Atom]:
    """Comparisons that something comes of: a state, a result, what a layer reads."""
    results = (walk.of(name) for name in walk.onnx.outputs)
    read = (layer.source for layer in walk.layers.values())
    return {atom for terms in (*every.values(), *results, *read) for atom in terms.atoms}


def _is_late(terms: Terms, own: Atom) -> bool:
    return terms.atoms == {own} and bool(np.all(terms.factor(own) == 1.0))


def _is_waiting(walk: Walk, atom: Atom, every: Changes) -> bool:
    only = walk.firings[atom].terms.only() if atom.kind == "fires" else None
    return only is not None and only.name in every and _is_wait(walk, only.name, every[only.name])


def _waiting(walk: Walk, made: Resetting, wait: Atom | None, every: Changes) -> Resetting:
    """With its refractory time: a state set to it by a spike, and counted down to zero."""
    if wait is None:
        return made
    state = walk.firings[wait].terms.only()
    assert state is not None
    after = every[state.name].put(wait, 0)
    set_to, counted = after.put(made.fires, 1).constant(), after.put(made.fires, 0).only()
    one = add(single(state, after.shape), constant(1.0), -1.0)
    period = None if set_to is None else np.unique(set_to)
    whole = period is not None and len(period) == 1 and float(period[0]).is_integer()
    if period is None or not whole or counted is None or not alike(walk.positive[counted], one):
        raise fail(ModelError, state.name, "is no refractory time that counts down by 1", HINT)
    return replace(made, refractory=int(period[0]), wait=wait)


def _reset(walk: Walk, own: Atom, base: Terms, fires: Atom, late: Atom | None) -> Update | None:
    """What `fires` and `late` do in `base`; None if that is no reset."""
    firing = walk.firings[fires]
    if firing.terms.shape != base.shape:
        return None
    still, spiked = base.put(fires, 0), base.put(fires, 1)
    firing = replace(firing, terms=_to_scale(own, firing.terms, still))
    offset = add(still, firing.terms, -1.0)
    threshold = (offset if late is None else offset.put(late, 0)).constant()
    if threshold is None:
        return None
    made = Resetting(fires, threshold, firing.compare)
    amount, level = constant(threshold), spiked.constant()
    if late is None:
        if alike(still, spiked):
            return still, made
        if alike(add(still, amount, -1.0), spiked):
            return still, replace(made, reset="subtract")
        return None if level is None else (still, replace(made, reset="v_reset", v_reset=level))
    first = walk.firings[late]
    if first.compare != firing.compare or not near(-first.terms.factor(ONE), threshold):
        return None
    return _late(own, base, made, late, firing.terms)


def _to_scale(own: Atom, compared: Terms, still: Terms) -> Terms:
    """A comparison of a membrane that was scaled first, as one of the membrane itself."""
    has, wanted = compared.factor(own), still.factor(own)
    if not np.all(has) or np.any(wanted * has <= 0.0) or near(has, wanted):
        return compared
    scaled = times(constant(wanted / has), compared)
    if scaled is None:
        return compared
    parts = {
        p: still.factor(p) if p != ONE and near(scaled.factor(p), still.factor(p)) else f
        for p, f in scaled.parts.items()
    }  # rounding of the factor leaves nothing over
    return Terms(scaled.shape, parts)


def _late(own: Atom, base: Terms, made: Resetting, late: Atom, compared: Terms) -> Update | None:
    """A reset that looks at the membrane before the step."""
    amount, update = constant(made.threshold), add(compared, constant(made.threshold))
    usual, reset = update.put(late, 0), update.put(late, 1)
    still, spiked = base.put(made.fires, 0), base.put(made.fires, 1)
    subtracts = alike(add(usual, amount, -1.0), reset)
    if alike(still, spiked) and alike(still, update):
        if subtracts:
            return usual, replace(made, reset="subtract", time="next")
        level = reset.constant()
        if level is not None:
            return usual, replace(made, reset="v_reset", time="next_all", v_reset=level)
        alpha = usual.factor(own)
        moved = add(reset, usual.without(own), -1.0).constant()
        if moved is None:
            return None
        level = np.where(alpha == 0.0, 0.0, moved / np.where(alpha == 0.0, 1.0, alpha))
        return usual, replace(made, reset="v_reset", time="next", v_reset=level)
    again = add(update, times(single(late, base.shape), amount) or amount)
    if subtracts and alike(still, again) and alike(spiked, add(again, amount, -1.0)):
        return usual, replace(made, reset="subtract", time="recheck")
    return _never_late(still.put(late, 0), spiked.put(late, 0), made)


def _never_late(still: Terms, spiked: Terms, made: Resetting) -> Update | None:
    """A reset at once to a level below the threshold: no step begins above it."""
    level = spiked.constant()
    if level is None or np.any(level > made.threshold) or np.any(made.threshold < 0.0):
        return None
    if made.compare == "ge" and (np.any(level == made.threshold) or not np.all(made.threshold)):
        return None
    return still, replace(made, reset="v_reset", v_reset=level)
