"""A layer's step as a function in LLVM's assembly, written from the rows of `ops`.

    update(n, x, parameters, states, flags, active, sent) -> 1, or 0 if a number does not fit

All but n are pointers: `x` [row, n] sums of this step, `parameters` the block that
`parameter_block` makes, `states` [row, n] (see `rows`), `flags` uint8 [n]: who sends, `active`
int32 [n], counted up, `sent` int64 [n]: the values of a model that sends values, of real numbers
the bits of the float64. No two of them overlap.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from snnstack.dynamics.expr import LEAVES, E, Table, ordered
from snnstack.dynamics.functions import LIBM
from snnstack.dynamics.model import Neurons
from snnstack.dynamics.ops import OPS
from snnstack.dynamics.trace import Step

TYPES = {"int16": "i16", "int32": "i32", "int64": "i64", "float32": "float", "float64": "double"}
SUFFIX = {"i32": "i32", "i64": "i64", "float": "f32", "double": "f64"}
BITS = {"i16": 16, "i32": 32, "i64": 64}
DECLARED = """
declare {T} @llvm.smin.{S}({T}, {T})
declare {T} @llvm.smax.{S}({T}, {T})
declare {T} @llvm.abs.{S}({T}, i1)
"""
DECLARED_REAL = """
declare {T} @llvm.fabs.{S}({T})
declare {T} @llvm.floor.{S}({T})
""" + "".join(f"declare double @{name}(double)\n" for name in LIBM)


class Port(NamedTuple):
    """How one input of a model is read from the sums of a step.

    All of a sum, or one packed half. `bits`: of the lower half; `row`: which row of the sums.
    """

    part: Literal["whole", "nothing", "low", "high"]
    bits: int = 0
    row: int = 0


def rows(step: Step, probed: bool) -> tuple[str, ...]:
    """What the rows of a layer's states hold: its states, then what probes read, if `probed`."""
    shown = tuple(f"reads_{name}" for name in step.of("reads")) if probed else ()
    return (*step.states, *shown)


def parameter_block(step: Step) -> NDArray[Any]:
    """The parameters as `update` reads them: numbers for all, then rows of numbers [n] each."""
    neurons = step.neurons
    alone = [np.asarray(neurons.value(name)).flat[0] for name in step.scalars]
    each = [np.broadcast_to(np.asarray(neurons.value(name)), neurons.n) for name in step.arrays]
    return np.concatenate([_stored(alone, neurons), *(_stored(row, neurons) for row in each)])


def _stored(values: Any, neurons: Neurons) -> NDArray[Any]:
    """In the layer's numbers; a factor of 32 bits by its lowest 32: what is missing to 1."""
    exact = np.int64 if neurons.integer else np.dtype(neurons.number)
    return np.asarray(values, dtype=exact).astype(neurons.number)


def assembly(step: Step, x: str, ports: Sequence[Port], probed: bool) -> str:
    """The module text of a step; `x`: number type of the sums."""
    return _Writer(step, x, probed).module(dict(zip(step.neurons.model.inputs, ports, strict=True)))


class _Writer:
    """Lines of one function, and names for what they compute."""

    def __init__(self, step: Step, x: str, probed: bool) -> None:
        self.step, self.rows, self.probed = step, rows(step, probed), probed
        self.kind, self.sum = TYPES[step.neurons.number], TYPES[x]
        self.integer = step.neurons.integer
        self.lines: list[str] = []
        self.made = 0

    def module(self, ports: Mapping[str, Port]) -> str:
        fields = {"T": self.kind, "S": SUFFIX[self.kind]}
        declared = (DECLARED if self.integer else DECLARED_REAL).format(**fields)
        nodes, same = shared(self.step.roots)
        before = self._bases(sorted({port.row for port in ports.values()} - {0}))
        self.lines = []
        values = self._values(nodes, same, ports)
        self._results({name: values[id(same[id(e)])] for name, e in self.step.roots.items()})
        tables = dict.fromkeys(e.value for e in nodes if isinstance(e.value, Table))
        return "\n".join([*map(_constant_array, tables), declared, *before, *self.lines, *_END])

    def name(self) -> str:
        self.made += 1
        return f"%t{self.made}"

    def put(self, text: str) -> str:
        """The name of what the instruction `text` computes."""
        name = self.name()
        self.lines.append(f"  {name} = {text}")
        return name

    def load(self, kind: str, base: str) -> str:
        at = self.put(f"getelementptr {kind}, ptr {base}, i64 %j")
        return self.put(f"load {kind}, ptr {at}, !llvm.access.group !1")

    def store(self, kind: str, value: str, base: str) -> None:
        at = self.put(f"getelementptr {kind}, ptr {base}, i64 %j")
        self.lines.append(f"  store {kind} {value}, ptr {at}, !llvm.access.group !1")

    def _bases(self, sums: Sequence[int]) -> list[str]:
        """The head of the function: where every row begins, and parameters that are one number.

        `sums`: rows of sums after the first.
        """
        step, kind = self.step, self.kind
        pointers = ("%x", "%p", "%s", "%flags", "%active", "%sent")
        given = ", ".join(f"ptr noalias {name}" for name in pointers)
        head = [f"define i64 @update(i64 %n, {given}) {{", "entry:"]
        for k, name in enumerate(step.scalars):
            head.append(f"  %kp_{name} = getelementptr {kind}, ptr %p, i64 {k}")
            head.append(f"  %k_{name} = load {kind}, ptr %kp_{name}")
        for k, name in enumerate(step.arrays):
            head.append(f"  %o_{name} = mul i64 %n, {k}")
            head.append(f"  %q_{name} = add i64 %o_{name}, {len(step.scalars)}")
            head.append(f"  %p_{name} = getelementptr {kind}, ptr %p, i64 %q_{name}")
        for k, name in enumerate(self.rows):
            head.append(f"  %r_{name} = mul i64 %n, {k}")
            head.append(f"  %s_{name} = getelementptr {kind}, ptr %s, i64 %r_{name}")
        for k in sums:
            head.append(f"  %xo_{k} = mul i64 %n, {k}")
            head.append(f"  %x_{k} = getelementptr {self.sum}, ptr %x, i64 %xo_{k}")
        return [*head, *_LOOP]

    def _values(
        self, nodes: Sequence[E], same: Mapping[int, E], ports: Mapping[str, Port]
    ) -> dict[int, str]:
        """The name, or the text of a constant, of every node."""
        packed = any(port.part in ("low", "high") for port in ports.values())
        total = self.load(self.sum, "%x") if packed else ""
        values: dict[int, str] = {}
        for e in nodes:
            if e.op in LEAVES:
                values[id(e)] = self._leaf(e, total, ports)
            else:
                args = [same[id(a)] for a in e.args]
                values[id(e)] = self._operation(e, args, [values[id(a)] for a in args])
        return values

    def _leaf(self, e: E, total: str, ports: Mapping[str, Port]) -> str:
        match e.op:
            case "const":
                return self._constant(e.value)
            case "state":
                return self.load(self.kind, f"%s_{e.value}")
            case "param" if e.value in self.step.scalars:
                return f"%k_{e.value}"
            case "param":
                return self.load(self.kind, f"%p_{e.value}")
        return self._port(total, ports[e.value])

    def _constant(self, value: Any) -> str:
        if self.integer:
            return str(int(value))
        exact = float(np.dtype(self.step.neurons.number).type(value))
        return "0x" + struct.pack(">d", exact).hex().upper()

    def _port(self, total: str, port: Port) -> str:
        """The sum, or a packed half of it, in the layer's numbers."""
        kind = self.sum
        if port.part == "nothing":
            return self._constant(0)
        if port.part == "whole":
            total = self.load(self.sum, f"%x_{port.row}" if port.row else "%x")
        if port.part == "low":
            mask = (1 << port.bits) - 1
            total, kind = self.put(f"and i64 {self._wide(total)}, {mask}"), "i64"
        elif port.part == "high":
            down = self.put(f"ashr i64 {self._wide(total)}, {port.bits}")
            total, kind = self.put(f"sub i64 0, {down}"), "i64"
        if port.part != "whole":  # each half fits int32, from which float32 is faster
            total, kind = self.put(f"trunc i64 {total} to i32"), "i32"
        if kind == self.kind:
            return total
        if not self.integer:
            return self.put(f"sitofp {kind} {total} to {self.kind}")
        how = "sext" if BITS[kind] < BITS[self.kind] else "trunc"
        return self.put(f"{how} {kind} {total} to {self.kind}")

    def _wide(self, total: str) -> str:
        return total if self.sum == "i64" else self.put(f"sext {self.sum} {total} to i64")

    def _operation(self, e: E, args: Sequence[E], texts: Sequence[str]) -> str:
        row = OPS[e.op]
        of_truths = bool(args) and _truth(args[0])
        columns = ["llvm_truth"] if of_truths else []
        columns += [f"llvm_{self.step.neurons.number}", "llvm" if self.integer else "llvm_real"]
        form = next(row.text[c] for c in columns if c in row.text)
        fields = {"T": self.kind, "S": SUFFIX[self.kind]}
        if isinstance(e.value, Table):
            fields |= {"table": f"@{e.value.name}", "last": str(len(e.value.entries) - 1)}
            fields |= {"length": str(len(e.value.entries))}
        if form.startswith("="):
            return texts[int(form[1:])]
        temporaries = {letter: self.name() for letter in "abcdefghijk" if f"{{{letter}}}" in form}
        lines = form.format(*texts, **fields, **temporaries).split("; ")
        self.lines += [f"  {line}" for line in lines[:-1]]
        return self.put(lines[-1])

    def _results(self, roots: Mapping[str, str]) -> None:
        """Every result is computed before any state changes."""
        self._send(roots)
        if "active" in roots:
            one, before = self.put(f"zext i1 {roots['active']} to i32"), self.load("i32", "%active")
            self.store("i32", self.put(f"add i32 {before}, {one}"), "%active")
        for name in self.step.of("reads") if self.probed else ():
            self.store(self.kind, roots[f"reads {name}"], f"%s_reads_{name}")
        for name in self.step.of("state"):
            self.store(self.kind, roots[f"state {name}"], f"%s_{name}")
        self.lines.append(f"  %fits = and i1 %fit, {roots.get('fits', 'true')}")

    def _send(self, roots: Mapping[str, str]) -> None:
        sent = roots.get("sent", "false")
        if self.step.neurons.model.sends == "value":
            self.store("i64", self._payload(sent), "%sent")
            differs = "icmp ne" if self.integer else "fcmp une"
            sent = self.put(f"{differs} {self.kind} {sent}, {self._constant(0)}")
        elif sent in ("0", "1"):
            sent = "true" if sent == "1" else "false"
        self.store("i8", self.put(f"zext i1 {sent} to i8"), "%flags")

    def _payload(self, sent: str) -> str:
        """A value that is sent, in 64 bits."""
        if self.kind == "i64":
            return sent
        if self.integer:
            return self.put(f"sext {self.kind} {sent} to i64")
        if self.kind == "float":
            sent = self.put(f"fpext float {sent} to double")
        return self.put(f"bitcast double {sent} to i64")


def _truth(e: E) -> bool:
    return e.op in OPS and OPS[e.op].truth


def shared(roots: Mapping[str, E]) -> tuple[list[E], dict[int, E]]:
    """What is computed, once each and arguments first; and for every node the one that stands for
    it, by identity.
    """
    unique: dict[Any, E] = {}
    same: dict[int, E] = {}
    for e in ordered(roots.values()):
        same[id(e)] = unique.setdefault((e.op, e.value, *(id(same[id(a)]) for a in e.args)), e)
    return list(unique.values()), same


def _constant_array(table: Table) -> str:
    entries = ", ".join(f"i32 {entry}" for entry in table.entries)
    return f"@{table.name} = private constant [{len(table.entries)} x i32] [{entries}]"


_LOOP = (
    "  %some = icmp sgt i64 %n, 0",
    "  br i1 %some, label %loop, label %done",
    "loop:",
    "  %j = phi i64 [ 0, %entry ], [ %next, %loop ]",
    "  %fit = phi i1 [ true, %entry ], [ %fits, %loop ]",
)
_END = (
    "  %next = add nuw nsw i64 %j, 1",
    "  %more = icmp slt i64 %next, %n",
    "  br i1 %more, label %loop, label %done, !llvm.loop !0",
    "done:",
    "  %all = phi i1 [ true, %entry ], [ %fits, %loop ]",
    "  %result = zext i1 %all to i64",
    "  ret i64 %result",
    "}",
    '!0 = distinct !{!0, !{!"llvm.loop.parallel_accesses", !1}}',
    "!1 = distinct !{}",
    "",
)
