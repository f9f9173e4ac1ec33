"""A layer's step as C99, written from the "c" column of the rows of `ops`: one neuron `j`.

Integers are computed in 32 bits wherever intervals prove that they fit, else in 64. Where a
neuron spikes is a branch, so that what only a spike needs is computed only there. Real numbers
are computed in the order written: compile them with -ffp-contract=off.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from snnstack.dynamics.c_place import Operand, Place, Printed
from snnstack.dynamics.c_words import (
    FINE,
    LEAST,
    MOST,
    TYPES,
    WRAPPED,
    bare,
    branch,
    number_text,
    often_written,
)
from snnstack.dynamics.expr import E, Table, constant, ordered
from snnstack.dynamics.ops import OPS
from snnstack.dynamics.reduced import LONG, Known, Roots, conditions, is_truth, known
from snnstack.dynamics.spans import Span
from snnstack.dynamics.trace import Step
from snnstack.errors import ModelError, fail


def printed(
    step: Step,
    place: Place,
    bounds: Mapping[str, Span] | None = None,
    wanted: Sequence[str] = ("state", "sent"),
    more: Mapping[str, E] | None = None,
) -> Printed:
    """The step of neuron `j` in C.

    `bounds`: intervals of states and inputs by name, 32 bits where none is given. `wanted`:
    kinds of results; those of "reads", "active" and "fits" go to `place.result`, as do `more`
    expressions, by name. Raises `ModelError` for an operation that integers do not have.
    """
    roots = {name: e for name, e in sorted(step.roots.items()) if name.split(" ")[0] in wanted}
    roots |= more or {}
    writer = _Writer(step, place)
    case = known(step, bounds or {})
    lines = writer.block(case, case.reduced(roots), {})
    return Printed(tuple(lines), tuple(writer.arrays), tuple(writer.tables))


Names = dict[int, Operand]


class _Writer:
    """Text of expressions, and which arrays and tables they read."""

    def __init__(self, step: Step, place: Place) -> None:
        self.step, self.place, self.integer = step, place, step.neurons.integer
        self.number = step.neurons.number
        self.arrays: dict[str, None] = {}
        self.tables: dict[Table, None] = {}
        self.taken: set[str] = {f"next_{name}" for name in step.neurons.model.states}
        self.held: dict[str, str] = {}

    def block(self, case: Known, roots: Roots, names: Names) -> list[str]:
        """The statements that compute `roots` and put them where they belong."""
        condition = self._parted(case, roots)
        if condition is None:
            lines = self._named(case, list(ordered(roots.values())), roots.values(), names)
            return lines + self._done(case, roots, names)
        cases = [case.assuming(condition, holds) for holds in (True, False)]
        then, other = (part.reduced(roots) for part in cases)
        both = {k: e for k, e in then.items() if other[k] is e and k != "sent"}
        shared = [condition, *both.values()]
        inside = {id(e) for e in ordered(other.values())}
        common = {id(e): e for e in ordered(shared)}
        common |= {id(e): e for e in ordered(then.values()) if id(e) in inside}
        uses = [*shared, *then.values(), *other.values()]
        lines = self._named(case, list(ordered(common.values())), uses, names)
        test = self.place.rare if condition is roots.get("sent") else "{}".format
        text = bare(self._text(case, condition, names).text)
        lines += self._done(case, both, names)
        then, other = ({k: e for k, e in part.items() if k not in both} for part in (then, other))
        joined = self.place.joined and condition is roots.get("sent")
        held = self._held(cases, then, other) if joined else {}
        lines += self._begun(case, held, names)
        other = {k: e for k, e in other.items() if k not in held}
        self.held |= {name: f"next_{name.split()[1]}" for name in held}
        blocks = [self.block(c, r, dict(names)) for c, r in zip(cases, (then, other), strict=True)]
        lines += branch(test(text), *blocks)
        for name in held:
            lines.append(f"{self.place.state(name.split()[1])} = {self.held.pop(name)};")
        return lines

    def _held(self, cases: Sequence[Known], then: Roots, other: Roots) -> dict[str, E]:
        """States that change with a spike and without: what they are without."""
        return {
            k: e for k, e in other.items() if k.startswith("state ")
            and not _stays(cases[0], k, then[k]) and not _stays(cases[1], k, e)
        }  # fmt: skip

    def _begun(self, case: Known, held: Roots, names: Names) -> list[str]:
        """Variables of states, with what they are without a spike, whatever comes."""
        lines = self._named(case, list(ordered(held.values())), held.values(), names)
        for name, e in held.items():
            text = self._stored(self._text(case, e, names))
            lines.append(f"{TYPES[self.number]} next_{name.split()[1]} = {text};")
        return lines

    def _parted(self, case: Known, roots: Roots) -> E | None:
        """A condition worth a branch: one that rules a spike out, else the spike itself."""
        sent = roots.get("sent")
        if sent is None or sent.op == "const" or not is_truth(sent):
            return None
        for condition in conditions(roots.values()):
            if any(e.op == "input" for e in ordered([condition])) or condition is sent:
                continue
            for holds in (True, False):
                fewer = case.assuming(condition, holds).reduced({"sent": sent})["sent"]
                if fewer.op == "const":
                    return condition
        return sent

    def _named(self, case: Known, nodes: Sequence[E], uses: Iterable[E], names: Names) -> list[str]:
        """A constant for each of `nodes` that is used more than once, or is read from memory."""
        often = often_written(uses)
        lines = []
        for e in nodes:
            if id(e) in names or e.op in ("const", "param"):
                continue
            if e.op == "state" or often[id(e)] > 1:
                made = self._text(case, e, names)
                name = self._name(e)
                kind = "int32_t" if made.kind == "truth" else made.kind
                lines.append(f"const {kind} {name} = {bare(made.text)};")
                names[id(e)] = made._replace(text=name)
        return lines

    def _name(self, e: E) -> str:
        """A new name: that of a state or input with a 0, as no other has, or a number."""
        wish = f"{e.value}0" if e.op in ("state", "input") else f"t{len(self.taken)}"
        while wish in self.taken:
            wish += "_"
        self.taken.add(wish)
        return wish

    def _done(self, case: Known, roots: Roots, names: Names) -> list[str]:
        """Every result where it belongs; a state that stays as it is is left alone."""
        lines = []
        # A store last in both branches would be merged behind them, with a register moved before.
        for name, e in sorted(roots.items(), key=lambda item: item[0] == "sent"):
            kind, _, of = name.partition(" ")
            if kind == "state" and _stays(case, name, e):
                continue
            text = self._stored(self._text(case, e, names))
            if kind == "state":
                lines.append(f"{self.held.get(name) or self.place.state(of)} = {text};")
            elif kind != "sent":
                lines += filter(None, [self.place.result("_".join(name.split()), text)])
            elif constant(e) == 0:
                continue
            elif self.step.neurons.model.sends == "value":
                lines.append(self.place.value(text))
            else:
                lines.append(self.place.spike())
        return lines

    def _stored(self, made: Operand) -> str:
        """The text in the layer's numbers."""
        if self.number == "int32" and made.kind == "int64_t":
            return f"(int32_t){made.text}"
        return bare(made.text)

    def _text(self, case: Known, e: E, names: Names) -> Operand:
        if id(e) in names:
            return names[id(e)]._replace(span=case.span(e))
        if not e.args:
            return self._leaf(case, e)
        return self._operation(case, e, tuple(self._text(case, a, names) for a in e.args))

    def _leaf(self, case: Known, e: E) -> Operand:
        kind, span = self._kind(case.span(e)), case.span(e)
        match e.op:
            case "const":
                if self.integer and e.value != int(e.value):
                    problem = f"its step has the number {e.value!r}, integers are computed"
                    raise fail(ModelError, self.step.neurons.model.name, problem)
                return Operand(number_text(e.value, self.number), kind, span, e)
            case "state":
                return Operand(self.place.state(e.value), TYPES[self.number], span, e)
            case "input":
                return Operand(self.place.input(e.value), kind, span, e)
        if e.value in self.step.scalars:
            value = np.asarray(self.step.neurons.value(e.value)).flat[0]
            return Operand(number_text(value, self.number), kind, span, e)
        self.arrays[e.value] = None
        text = self.place.param(e.value)
        if kind == "int64_t" and span[1] > MOST:
            text = f"({text} + INT64_C({FINE}))"
        return Operand(text, kind, span, e)

    def _kind(self, span: Span) -> str:
        if not self.integer:
            return TYPES[self.number]
        return "int32_t" if span[0] >= LEAST and span[1] <= MOST else "int64_t"

    def _operation(self, case: Known, e: E, args: tuple[Operand, ...]) -> Operand:
        result = Operand("", "truth" if is_truth(e) else self._kind(case.span(e)), case.span(e), e)
        own = self.place.own.get(e.op)
        text = own(result, args) if own is not None else None
        if text is not None:
            return result._replace(text=text)
        work = self._work(e, result, args)
        form = self._form(e, args)
        if e.op in WRAPPED and self._leaves(e, args):
            form, work = WRAPPED[e.op], "int64_t"
        if form == "=0":
            return args[0]
        fields = {"T": work, "f": "f" if self.number == "float32" else ""}
        fields |= self._fields(e, args, work)
        free = all(a.e.op == "const" for a in args)
        texts = [a.text if a.e.op == "const" and not free else _cast(a, work) for a in args]
        if e.op == "fine_decay" and self.integer:
            texts[1] = self._missing(args[1])
        text = form.format(*texts, **fields)
        narrow = result.kind == "int32_t" and work == "int64_t"
        return result._replace(text=f"(int32_t){text}" if narrow else text)

    def _work(self, e: E, result: Operand, args: Sequence[Operand]) -> str:
        """The type in which the operation is computed."""
        if not self.integer:
            return TYPES[self.number]
        spans = [result.span]
        if e.op in ("decay", "mulshift", "shrunk"):
            spans.append(OPS["mul"].span(args[0].span, args[1].span))
        if e.op in ("shl", "scaled", "shrunk"):
            spans.append((0, 2 ** int(args[-1].span[1])))
        kinds = {self._kind(span) for span in spans} | {a.kind for a in args}
        wide = "int64_t" in kinds or e.op in ("fine_decay", "wrap")
        return "int64_t" if wide else "int32_t"

    def _leaves(self, e: E, args: Sequence[Operand]) -> bool:
        """Whether a sum or product may leave 64 bits: it wraps then, as the definition does."""
        if not self.integer:
            return False
        ends = [a.span for a in args[: 1 if e.op in ("shl", "scaled") else 2]]
        if e.op in ("shl", "scaled"):
            ends.append((1, 2 ** int(args[1].span[1])))
        name = e.op if e.op in ("add", "sub") else "mul"
        low, high = OPS[name].span(*ends)
        return low < -LONG or high >= LONG

    def _form(self, e: E, args: Sequence[Operand]) -> str:
        text = OPS[e.op].text
        if e.op == "lut" and args[0].span[0] >= 0 and args[0].span[1] < len(e.value.entries):
            return text["c_inside"]
        columns = ("c",) if self.integer else ("c_real", "c")
        form = next((text[c] for c in columns if c in text), None)
        if form is None:
            what = f"has no {e.op} in C"
            raise fail(ModelError, self.step.neurons.model.name, what)
        return form

    def _fields(self, e: E, args: Sequence[Operand], work: str) -> dict[str, str]:
        if isinstance(e.value, Table):
            self.tables[e.value] = None
            return {"table": self.place.table(e.value.name), "last": str(len(e.value.entries) - 1)}
        if "power" not in "".join(OPS[e.op].text.values()) and e.op != "wrap":
            return {}
        bits = constant(args[-1].e)
        if bits is None:
            return {"power": f"(({work})1 << (int){args[-1].text})"}
        return {
            "power": number_text(2 ** int(bits), self.number),
            "unused": str(64 - int(bits)),
        }

    def _missing(self, factor: Operand) -> str:
        """A factor of 32 bits as what is missing to 1."""
        if factor.e.op == "param" and factor.e.value in self.step.arrays:
            return self.place.param(factor.e.value)
        if factor.e.op == "const":
            return number_text(factor.e.value - FINE, self.number)
        return f"({factor.text} - INT64_C({FINE}))"


def _stays(case: Known, name: str, e: E) -> bool:
    """Whether the result called "state <name>" is what the state is already."""
    before = case.leaf("state", name.split()[1])
    return e is before or (e.op == "const" and case.span(before) == (e.value, e.value))


def _cast(operand: Operand, work: str) -> str:
    narrow = work == "int64_t" and operand.kind == "int32_t"
    return f"(int64_t){operand.text}" if narrow else operand.text
