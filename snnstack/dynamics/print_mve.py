"""A layer's step for Helium: neurons `j` to `j + 3` in one register, a branch only for spikes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from snnstack.dynamics.c_words import INDENT, LEAST, MOST, number_text
from snnstack.dynamics.expr import E, constant, ordered
from snnstack.dynamics.reduced import Known, Roots, is_truth, known
from snnstack.dynamics.spans import Span
from snnstack.dynamics.trace import Step

FORMS: Mapping[str, str] = MappingProxyType(
    {
        "add": "vaddq_s32({0}, {1})",
        "sub": "vsubq_s32({0}, {1})",
        "mul": "vmulq_s32({0}, {1})",
        "shl": "vshlq_n_s32({0}, {bits})",
        "scaled": "vshlq_n_s32({0}, {bits})",
        "sra": "vshrq_n_s32({0}, {bits})",
        "sat": "vmaxq_s32(vminq_s32({0}, {1}), vnegq_s32({1}))",
        "wrap": "vshrq_n_s32(vshlq_n_s32({0}, {unused}), {unused})",
        "min": "vminq_s32({0}, {1})",
        "max": "vmaxq_s32({0}, {1})",
        "abs": "vabsq_s32({0})",
        "gt": "vcmpgtq_s32({0}, {1})",
        "ge": "vcmpgeq_s32({0}, {1})",
        "eq": "vcmpeqq_s32({0}, {1})",
        "and": "(mve_pred16_t)({0} & {1})",
        "or": "(mve_pred16_t)({0} | {1})",
        "not": "(mve_pred16_t)~{0}",
        "where": "vpselq_s32({1}, {2}, {0})",
    }
)
"""The "mve" column of the operations: what has none is done neuron by neuron."""
SAME_TRUTH = "(mve_pred16_t)~({0} ^ {1})"
Own = Callable[[E, tuple[str, ...]], "str | None"]


@dataclass(frozen=True)
class Lanes:
    """How four neurons are read and written, each a function of a name (see `Place`).

    `leaf`: the vector of a state, an input or a parameter; `spikes`: the statements for lanes
    that spike, given the predicate. `result`: the statement for another root.
    """

    leaf: Callable[[E], str]
    store: Callable[[str, str], str]
    spikes: Callable[[str], tuple[str, ...]]
    result: Callable[[str, str], str]
    rare: Callable[[str], str]
    own: Mapping[str, Own]


def four(
    step: Step, lanes: Lanes, bounds: Mapping[str, Span], more: Mapping[str, E]
) -> tuple[str, ...]:
    """Statements for four neurons; none where an operation has no form, or needs 64 bits."""
    case = known(step, bounds)
    states = {name: e for name, e in sorted(step.roots.items()) if name.startswith("state ")}
    sent = {name: e for name, e in step.roots.items() if name == "sent"}
    try:
        return tuple(_Vectors(step, lanes, case).lines({**states, **sent, **more}))
    except LookupError:
        return ()


class _Vectors:
    """Lines, and the names of what they compute."""

    def __init__(self, step: Step, lanes: Lanes, case: Known) -> None:
        self.step, self.given, self.case = step, lanes, case
        self.names: dict[int, str] = {}
        self.taken = {f"next_{name}" for name in step.neurons.model.states}

    def lines(self, roots: Roots) -> list[str]:
        """All of a step."""
        roots = self.case.reduced(roots)
        sent = roots.get("sent")
        states = {k: e for k, e in roots.items() if k.startswith("state ")}
        if sent is None or sent.op == "const":
            if sent is not None and sent.value:
                raise LookupError("spikes always")
            return [*self._named(states.values()), *self._stored(states)]
        quiet = self.case.assuming(sent, False).reduced(states)
        same = {k: e for k, e in states.items() if quiet[k] is e}
        rest = {k: e for k, e in states.items() if k not in same}
        lines = self._named([sent, *quiet.values()])
        lines += self._stored(same)
        lines += [f"int32x4_t {_next(k)} = {self._text(quiet[k])};" for k in rest]
        others = {k: e for k, e in roots.items() if k not in states and k != "sent"}
        inner = self._named([*rest.values(), *others.values()])
        inner += [f"{_next(k)} = {self._text(e)};" for k, e in rest.items()]
        inner += [self.given.result(k, self._text(e)) for k, e in others.items() if e.op != "const"]
        inner += self.given.spikes(self._text(sent))
        test = self.given.rare(self._text(sent))
        lines += [f"if ({test}) {{", *(INDENT + line for line in inner), "}"]
        return lines + [self.given.store(k.split()[1], _next(k)) for k in rest]

    def _stored(self, states: Roots) -> list[str]:
        kept = ((k.split()[1], e) for k, e in states.items())
        changed = [(n, e) for n, e in kept if not (e.op == "state" and e.value == n)]
        return [self.given.store(name, self._text(e)) for name, e in changed]

    def _named(self, roots: Iterable[E]) -> list[str]:
        """A name for everything that is computed or read."""
        lines = []
        for e in ordered(roots):
            if e.op == "const" or id(e) in self.names or self._inside(e):
                continue
            text = self.given.leaf(e) if not e.args else self._operation(e)
            kind = "mve_pred16_t" if is_truth(e) else "int32x4_t"
            name = self._name(e)
            lines.append(f"const {kind} {name} = {text};")
            self.names[id(e)] = name
        return lines

    def _inside(self, e: E) -> bool:
        """Whether it is a factor that its kernel reads by itself."""
        return e.op == "param" and self.case.span(e)[1] > MOST

    def _name(self, e: E) -> str:
        name = f"{e.value}0" if e.op in ("state", "input", "param") else f"t{len(self.taken)}"
        while name in self.taken:
            name += "_"
        self.taken.add(name)
        return name

    def _text(self, e: E) -> str:
        if e.op == "const":
            return f"vdupq_n_s32({number_text(e.value, 'int32')})"
        return self.names.get(id(e), "")

    def _operation(self, e: E) -> str:
        low, high = self.case.span(e)
        if low < LEAST or high > MOST:
            raise LookupError("64 bits")
        texts = tuple(self._text(a) for a in e.args)
        if e.op in self.given.own:
            made = self.given.own[e.op](e, texts)
            if made is None:
                raise LookupError(e.op)
            return made
        truths = [is_truth(a) for a in e.args]
        if e.op == "where" and any(truths[1:]):
            raise LookupError("a choice of truths")
        form = SAME_TRUTH if e.op == "eq" and all(truths) else FORMS[e.op]
        bits = constant(e.args[-1])
        if ("bits" in form or "unused" in form) and bits is None:
            raise LookupError("bits that differ")
        return form.format(*texts, bits=bits, unused=32 - int(bits or 0))


def _next(name: str) -> str:
    return f"next_{name.split()[1]}"
