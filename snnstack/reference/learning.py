"""What a plastic projection does in one step: the definition of both orders.

`docs/numerics.md`, "Learning at once" and "Learning at the next spike of the source". Dense, in
plain numpy; every sample has weights of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from snnstack.dynamics.expr import E, ordered
from snnstack.dynamics.ops import OPS
from snnstack.dynamics.rule import Memory, Plastic, parts_of
from snnstack.ir.nodes import Array


class Learner:
    """The synapses of one projection while they learn.

    `synapse`: by name [batch, target, source], the weight is "w"; `pre` [batch, 1, source] and
    `post` [batch, target, 1]: the traces. Starts from `weight` [target, source].
    """

    def __init__(self, plastic: Plastic, weight: Array, batch: int) -> None:
        rule = plastic.rule
        targets, sources = weight.shape
        self._rule, self._parts = rule, parts_of(rule)
        self._values = {f.name: np.float64(plastic.value(f.name)) for f in rule.parameters}
        shape = (batch, targets, sources)
        self.synapse: dict[str, Array] = {name: np.zeros(shape) for name in rule.states}
        self.synapse["w"] += weight
        self.pre: dict[str, Array] = {m.name: np.zeros((batch, 1, sources)) for m in rule.pre}
        self.post: dict[str, Array] = {m.name: np.zeros((batch, targets, 1)) for m in rule.post}

    @property
    def weights(self) -> Array:
        """[batch, target, source]."""
        return self.synapse["w"]

    def deliver(self, seen: Array) -> Array:
        """What events `seen` [batch, source] put into the targets: [batch, target]."""
        return np.asarray(np.einsum("bts,bs->bt", self.weights, seen))

    def __call__(
        self, pre: Array, post: Array, given: Mapping[str, Array], modulator: Array | None
    ) -> None:
        """Learn from one step.

        `pre` [batch, source]: the events that arrived; `post` [batch, target]: those sent.
        `given`: states of the targets that the rule reads, likewise; `modulator` [batch, 1 or
        target].
        """
        inputs = {"pre": pre[:, None, :], "post": post[:, :, None]}
        inputs |= {name: value[:, :, None] for name, value in given.items()}
        inputs |= {} if modulator is None else {"modulator": modulator[:, :, None]}
        self._decay(self._rule.pre, self.pre)
        self._decay(self._rule.post, self.post)
        if "back" in self._parts:
            term = self._found("back", inputs)["back"]
            inputs["back"] = np.asarray(term).sum(axis=1, keepdims=True)
        self._change("on_pre", inputs, inputs["pre"] != 0)
        _jump(self._rule.pre, self.pre, inputs["pre"])
        self._change("on_post", inputs, inputs["post"] != 0)
        _jump(self._rule.post, self.post, inputs["post"])
        self._change("each_step", inputs, np.True_)

    def first_post(self, pre: Array, post: Array) -> None:
        """The same with the target's event before the source's, and nothing but these two."""
        inputs = {"pre": pre[:, None, :], "post": post[:, :, None]}
        self._decay(self._rule.pre, self.pre)
        self._decay(self._rule.post, self.post)
        self._change("on_post", inputs, inputs["post"] != 0)
        _jump(self._rule.post, self.post, inputs["post"])
        self._change("on_pre", inputs, inputs["pre"] != 0)
        _jump(self._rule.pre, self.pre, inputs["pre"])

    def _decay(self, memories: tuple[Memory, ...], traces: dict[str, Array]) -> None:
        for memory in memories:
            if memory.decay is not None:
                traces[memory.name] = traces[memory.name] * self._values[memory.decay]

    def _change(self, part: str, inputs: Mapping[str, Array], at: Any) -> None:
        """All expressions of a part read the states before it."""
        found = self._found(part, inputs)
        for name, value in found.items():
            self.synapse[name] = np.where(at, value, self.synapse[name])

    def _found(self, part: str, inputs: Mapping[str, Array]) -> dict[str, Any]:
        known = {**self.pre, **self.post, **self.synapse}
        done: dict[int, Any] = {}
        for e in ordered(self._parts[part].values()):
            args = [done[id(a)] for a in e.args]
            done[id(e)] = self._leaf(e, known, inputs) if not args else OPS[e.op].real(np, *args)
        return {name: done[id(e)] for name, e in self._parts[part].items()}

    def _leaf(self, e: E, known: Mapping[str, Array], inputs: Mapping[str, Array]) -> Any:
        match e.op:
            case "state":
                return known[e.value]
            case "param":
                return self._values[e.value]
            case "input":
                return inputs[e.value]
        return np.float64(e.value)


class Deferred:
    """The same where a machine looks at a row of synapses only when its source fires.

    `weights` are those that the row in memory holds; what targets have written since the source's
    last spike is not in it. A spike brings the weight that it has just made, `delay` steps later.
    """

    def __init__(self, plastic: Plastic, weight: Array, batch: int) -> None:
        self._learner = Learner(plastic, weight, batch)
        self.weights = self._learner.weights.copy()

    def __call__(self, pre: Array, post: Array) -> Array:
        """What the events `pre` [batch, source] of a step bring to the targets, when they arrive.

        `post` [batch, target]: the events that the targets sent `delay` steps ago.
        """
        self._learner.first_post(pre, post)
        self.weights = np.where(pre[:, None, :] != 0, self._learner.weights, self.weights)
        return np.asarray(np.einsum("bts,bs->bt", self.weights, pre))


def _jump(memories: tuple[Memory, ...], traces: dict[str, Array], sent: Array) -> None:
    for memory in memories:
        old = traces[memory.name]
        traces[memory.name] = np.where(sent != 0, sent, old) if memory.jump == "set" else old + sent
