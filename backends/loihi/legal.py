"""What Loihi's neurons compute: the operations of generation 2, and what others become there.

Generation 1 has the fixed compartment and nothing else (`snnstack.backends.loihi.network.Cuba`).
Neurons of generation 2 run a program. Its instruction set is not published, nor is an assembler;
each figure below says where it is from, or that it is assumed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from snnstack.dynamics.c_words import tables
from snnstack.dynamics.expr import LEAVES, E, Table, lift, ordered
from snnstack.dynamics.functions import FUNCTIONS
from snnstack.dynamics.model import Model
from snnstack.dynamics.neurons.cuba_lif import CUBA_LIF
from snnstack.dynamics.ops import OPS
from snnstack.dynamics.terms import least, most, scaled_product, where
from snnstack.dynamics.trace import Step, roots_of
from snnstack.dynamics.written import listed
from snnstack.errors import Problem
from snnstack.quant.fixed import Machine

STATE_BITS, REGISTER_BITS, PRODUCT_BITS = 24, 32, 48
STATE_MAX = 2 ** (STATE_BITS - 1) - 1
PAYLOADS = (8, 16, 24)
MOST_INSTRUCTIONS = 256
MOST_PORTS = 8
MOST_ENTRIES = 1024
MOST_NEURON_BYTES = 4096
WORD_BYTES = 4
FREE_NEURON_BYTES = 8
BRIEF = 'Intel Labs, "Taking Neuromorphic Computing to the Next Level with Loihi 2", 2021'

MACHINE = Machine(
    word=REGISTER_BITS,
    state_bits=STATE_BITS,
    widest_bits=STATE_BITS,
    product_bits=PRODUCT_BITS,
    payload_bits=STATE_BITS,
)
"""What the quantiser may use on generation 2."""


@dataclass(frozen=True)
class Limit:
    """A figure of generation 2: what it is, its value, and its source or "assumed"."""

    what: str
    value: int
    source: str


LIMITS = (
    Limit("bits of a state or payload", STATE_BITS, "precision in Lava's fixed_pt models"),
    Limit("bits of a number within a step", REGISTER_BITS, "assumed"),
    Limit("bits of a product before its shift", PRODUCT_BITS, "assumed: 24 by 24"),
    Limit("instructions of a step", MOST_INSTRUCTIONS, "assumed"),
    Limit("sums that synapses end in", MOST_PORTS, "assumed; as wide as a number"),
    Limit("entries of a table", MOST_ENTRIES, "assumed"),
    Limit("bytes of a neuron", MOST_NEURON_BYTES, BRIEF),
    Limit("bytes of a neuron beside the core's 128 KB", FREE_NEURON_BYTES, "assumed: 64 KB / 8192"),
)
"""Beyond the last one a neuron takes memory that would else hold synapses."""

OPERATIONS: Mapping[str, int] = MappingProxyType(
    dict.fromkeys(("add", "sub", "mul", "shl", "sra", "min", "max"), 1)
    | dict.fromkeys(("gt", "ge", "eq", "and", "or", "not", "where"), 1)
    | {"mulshift": 1, "lut": 3}
)
"""Instructions of each operation there is, assumed: a look-up holds its index in the table."""


@dataclass(frozen=True)
class Rewrite:
    """What an operation becomes: for people, and on its arguments."""

    said: str
    made: Callable[..., E]


def _wrapped(x: E, bits: E) -> E:
    half = 1 << (int(bits.value) - 1)
    return x - (((x + half) >> bits) << bits)


def _shrunk(x: E, factor: E, bits: E) -> E:
    lost = lift(0) - scaled_product(lift(0) - x, factor, bits)  # type: ignore[arg-type]
    return where(x >= 0, scaled_product(x, factor, bits), lost)  # type: ignore[arg-type]


REWRITES: Mapping[str, Rewrite] = MappingProxyType(
    {
        "sat": Rewrite("max(min(x, m), -m)", lambda x, m: most(least(x, m), lift(0) - m)),
        "abs": Rewrite("max(x, -x)", lambda x: most(x, lift(0) - x)),
        "scaled": Rewrite("x << k", lambda x, k: E("shl", (x, k))),
        "gained": Rewrite("x", lambda x, gain: x),
        "nearest": Rewrite("x", lambda x: x),
        "decay": Rewrite("mulshift(x, f, k)", scaled_product),
        "shrunk": Rewrite("where(x >= 0, mulshift(x, f, k), -mulshift(-x, f, k))", _shrunk),
        "wrap": Rewrite("x - (((x + 2**(k - 1)) >> k) << k)", _wrapped),
    }
)
"""Operations that the machine has not, by others that give the same integers."""

ON_TRUTHS = ("and", "or", "not", "eq", "where")
"""Operations that take truth values as they are; others take them as 0 or 1."""

BY_TABLE = (*FUNCTIONS, "div")
"""Operations on real numbers, which quantisation makes something else of."""
MADE = {"div": "a product with the reciprocal, which is a parameter or a table"}
"""What that is, where it is not a table."""


def lacking(model: Model) -> tuple[str, ...]:
    """Operations of a step, options as they are by default, for which generation 2 has nothing."""
    used = {e.op for e in ordered(roots_of(model, {}).values())}
    return tuple(sorted(used - {*LEAVES, *OPERATIONS, *REWRITES, *BY_TABLE}))


def standing(model: Model, generation: int) -> str:
    """How a generation runs `model`, in a word or two: for tables of models and targets."""
    if model is CUBA_LIF:
        return "fixed compartment"
    if generation == 1:
        return "no"
    lost = lacking(model)
    return f"no: {', '.join(lost)}" if lost else "program"


def operations_table() -> str:
    """The operations of a program as a table in Markdown."""
    rows = [f"| `{name}` | {count} | |" for name, count in OPERATIONS.items()]
    rows += [f"| `{name}` | | `{rewrite.said}` |" for name, rewrite in REWRITES.items()]
    rows += [f"| `{name}` | | {MADE.get(name, 'a table')} |" for name in BY_TABLE]
    return "\n".join(("| operation | instructions | becomes |", "| --- | --- | --- |", *rows))


def limits_table() -> str:
    """The limits of a program as a table in Markdown."""
    rows = [f"| {x.what} | {x.value:,} | {x.source} |" for x in LIMITS]
    return "\n".join(("| limit | value | source |", "| --- | --- | --- |", *rows))


def legalised(model: Model, options: Mapping[str, Any] | None = None) -> Model:
    """`model` with these `options`, a step of integers, in the machine's operations.

    An operation that it has not is left alone. Kept is what a neuron does: its states and what it
    sends, and whether numbers fit.
    """
    done: dict[int, E] = {}
    roots = roots_of(model, options or {})
    kept = {k: e for k, e in roots.items() if k.startswith("state ") or k in ("sent", "fits")}
    for e in ordered(kept.values()):
        args = tuple(done[id(a)] for a in e.args)
        args = args if e.op in ON_TRUTHS else tuple(map(_number, args))
        rewrite = REWRITES.get(e.op)
        done[id(e)] = E(e.op, args, e.value) if rewrite is None else rewrite.made(*args)
    made = {name: done[id(e)] for name, e in kept.items()}
    return replace(model, step=listed(made, model.inputs), options={}, choices={})


def _number(e: E) -> E:
    """A truth value as 0 or 1."""
    return where(e, 1, 0) if e.op in OPS and OPS[e.op].truth else e


@dataclass(frozen=True)
class Cost:
    """What a program takes: `instructions` of a step, `words` of 32 bits a neuron: states,
    parameters of its own, and sums beyond the first; `table_bytes` once a core.
    """

    instructions: int
    words: int
    table_bytes: int

    @property
    def bytes(self) -> int:
        """Of a neuron."""
        return self.words * WORD_BYTES

    @property
    def beyond_bytes(self) -> int:
        """Of a neuron, what is taken from memory that would else hold synapses."""
        return max(0, self.bytes - FREE_NEURON_BYTES)


def cost(step: Step) -> Cost:
    """Of a traced step in the machine's operations."""
    made = [e for name, e in step.roots.items() if name != "fits"]
    count = sum(OPERATIONS.get(e.op, 1) for e in ordered(made) if e.op not in LEAVES)
    model = step.neurons.model
    words = len(step.states) + len(step.arrays) + len(model.inputs) - 1
    entries = sum(len(t.entries) * (2 if _short(t) else 4) for t in tables(step))
    return Cost(count, words, entries)


def _short(table: Table) -> bool:
    return min(table.entries) >= -(2**15) and max(table.entries) < 2**15


def step_problems(name: str, step: Step) -> Iterator[Problem]:
    """Everything that keeps the program of population `name` from generation 2."""
    model, found = step.neurons.model, cost(step)
    where = f"{name}: model {model.name}"
    lost = {e.op for e in ordered(step.roots.values())} - {*LEAVES, *OPERATIONS}
    for op in sorted(lost):
        what = f"its operation {op} is none of a Loihi 2 neuron"
        yield Problem(where, what, f"there are {', '.join(sorted((*OPERATIONS, *REWRITES)))}")
    rows = (
        ("instructions", found.instructions, MOST_INSTRUCTIONS, "compute less in a step"),
        ("inputs", len(model.inputs), MOST_PORTS, "join inputs, or use several populations"),
        ("bytes a neuron", found.bytes, MOST_NEURON_BYTES, "keep fewer states and parameters"),
        *(
            (f"entries in table {t.name}", len(t.entries), MOST_ENTRIES, "use a shorter table")
            for t in tables(step)
        ),
    )
    for what, used, limit, hint in rows:
        if used > limit:
            yield Problem(where, f"has {used} {what}, a Loihi 2 neuron at most {limit}", hint)


def fixed_compartment_only(name: str, model: Model) -> Problem:
    """That generation 1 does not run `model`, and what is nearest."""
    own = sorted({e.op for e in ordered(roots_of(model, {}).values())} - {*LEAVES})
    what = (
        f"is of the model {model.name}, which computes {', '.join(own)}: neurons of Loihi 1 are "
        "the fixed compartment (decays, a threshold, a reset to zero) and have no program"
    )
    return Problem(name, what, "use LIF or CubaLIF with a reset to zero, or a Loihi 2 board")
