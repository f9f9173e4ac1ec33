"""Cycles from counted instructions: what each kind costs on a core, plus flash that makes it wait.

    cycles = issue * instructions + load * (loads - paired) + word * words + store * stores
             + taken * taken jumps + multiply, divide ... + wait_states * lines of constants

QEMU counts instructions exactly and knows no time. A constant that is read once per inference
comes from flash line by line; a set of constants that fits the cache is taken to stay there.
Low: flash never waits. High: no loads overlap and every taken jump waits for flash as well.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from snnstack.backends.mcu.events import encode, fan_outs, largest_step, trace_bytes
from snnstack.backends.mcu.hardware import hardware
from snnstack.backends.mcu.layout import plan
from snnstack.backends.mcu.mix import Mix, measure
from snnstack.backends.mcu.program import Layer, Program
from snnstack.backends.mcu.qemu import machine
from snnstack.backends.mcu.run import build_qemu, check_run, run
from snnstack.board import Board, Status
from snnstack.energy import Band, Factor
from snnstack.errors import ModelError, TargetError, fail
from snnstack.trace import Spikes

SKIP_TEST = 32
"""At most so many instructions test whether input reached a block of neurons, and clear it."""


@dataclass(frozen=True)
class CoreCosts:
    """Cycles of an instruction (`issue`) and what each kind takes beyond that."""

    issue: float
    load: float
    word: float
    store: float
    taken: float
    multiply: float
    long_multiply: float
    divide: float
    status: Status
    source: str


_TRM = "technical reference manual of the core, from memory, not checked against it"
_M4 = CoreCosts(1, 1, 1, 0, 2, 0, 0, 6, "estimated", f"Cortex-M4 {_TRM}; checked: L4R5ZI ad")
_M7 = CoreCosts(0.48, 0, 0.5, 0, 1, 0, 0, 6, "estimated", "dual issue; fitted to row H7A3ZI-Q ad")
COSTS: Mapping[str, CoreCosts] = MappingProxyType(
    {
        "cortex-m0": CoreCosts(1, 1, 1, 1, 2, 0, 0, 0, "estimated", f"Cortex-M0 {_TRM}"),
        "cortex-m0plus": CoreCosts(1, 1, 1, 1, 1, 0, 0, 0, "estimated", f"Cortex-M0+ {_TRM}"),
        "cortex-m3": CoreCosts(1, 1, 1, 0, 2, 0.5, 3, 6, "estimated", f"Cortex-M3 {_TRM}"),
        "cortex-m4": _M4,
        "cortex-m7": _M7,
        "cortex-m33": replace(_M4, source="taken as a Cortex-M4; row U575ZI-Q ad was left out"),
        "cortex-m55": replace(_M4, load=0.5, store=0.5, source="Helium in two beats, assumed"),
        "cortex-m85": replace(_M7, source="taken as a Cortex-M7, no measurement was found"),
        "rv32": CoreCosts(1, 1, 0, 0, 2, 0, 0, 20, "estimated", "small in-order core, assumed"),
    }
)  # fmt: skip
"""By core; see `mlperf` for the rows."""


def cycles(mix: Mix, board: Board, constant_bytes: float) -> Band:
    """Cycles of a run of `mix` on `board` that reads `constant_bytes` from flash.

    Raises `TargetError` if the board has no `[hardware.flash_reads]`.
    """
    known = hardware(board)
    reads = known.flash_reads
    if reads is None:
        what = "has no [hardware.flash_reads]"
        raise fail(TargetError, f"board {board.name}", what, "say how its flash is read")
    costs = COSTS[known.core]
    core = _core_cycles(mix, costs)
    lines = float(np.ceil(constant_bytes / reads.line_bytes))
    waits = lines * reads.wait_states
    typical = core + (waits if constant_bytes > reads.cache_bytes else 0.0)
    high = core + costs.load * mix.paired + waits + mix.taken * min(reads.wait_states, 10)
    return Band(core, typical, high)


def _core_cycles(mix: Mix, costs: CoreCosts) -> float:
    """Without flash."""
    return (
        costs.issue * mix.instructions
        + costs.load * (mix.loads - mix.paired)
        + costs.word * mix.words
        + costs.store * mix.stores
        + costs.taken * mix.taken
        + costs.multiply * mix.multiplies
        + costs.long_multiply * mix.long_multiplies
        + costs.divide * mix.divides
    )


def cpi(mix: Mix, board: Board, constant_bytes: float) -> Factor:
    """The same as cycles per instruction: give it to `clocked_energy` and `latency`."""
    band = cycles(mix, board, constant_bytes)
    low, typical, high = (value / max(1, mix.instructions) for value in band)
    costs = COSTS[hardware(board).core]
    source = f"instruction mix from QEMU; {costs.source}"
    return Factor("cpi", low, typical, high, "cycles/instruction", costs.status, source)


@dataclass(frozen=True)
class Cycles:
    """Of one inference, or of one step: exact instructions, their mix, cycles and seconds."""

    mix: Mix
    constant_bytes: float
    cycles: Band
    seconds: Band


def inference_cycles(program: Program, spikes: Spikes, *, toolchain: str | None = None) -> Cycles:
    """Mean over the samples of `spikes`, from their instruction mix in QEMU."""
    check_run(program, spikes, ())
    mix = program_mix(program, spikes, toolchain=toolchain)
    synops = sum(
        float(c.synops.sum()) for c in run(program, spikes, toolchain=toolchain).counts.values()
    )
    share = 1 / max(1, spikes.batch)
    fixed = _parameter_bytes(program) * spikes.steps
    return _cycles(program.board, mix.scaled(share), synops * share + fixed)


def worst_step(program: Program, *, count: int = 1, toolchain: str | None = None) -> Cycles:
    """The longest time step: every input element spikes `count` times and every neuron fires.

    Thresholds are lowered until every neuron fires in every step; after as many steps as the
    longest delay all routes carry all events, and the step after that is the one returned.
    For real time, take `seconds.high`.
    """
    busy = replace(program, layers=tuple(_always_firing(layer) for layer in program.layers))
    steps = 1 + max((route.delay for x in program.layers for route in x.routes), default=0)
    mixes = [
        program_mix(busy, _everything(program, steps + extra, count), toolchain=toolchain)
        for extra in (0, 1)
    ]
    sources = {x.name: x.n for x in program.layers}
    synops = sum(
        float(fan_outs(route).sum()) * (1 if route.source in sources else count)
        for x in program.layers
        for route in x.routes
    )
    step = mixes[1] - mixes[0]
    step = replace(step, instructions=step.instructions + _looking(program))
    return _cycles(program.board, step, synops + _parameter_bytes(program))


def _looking(program: Program) -> int:
    """Instructions that look for neurons to skip; where all fire, none is looked for."""
    return sum(SKIP_TEST * (x.n // x.quiet) for x in plan(program).layers if x.quiet)


def _cycles(board: Board, mix: Mix, constant_bytes: float) -> Cycles:
    band = cycles(mix, board, constant_bytes)
    clock = float(board.clock.value)
    return Cycles(mix, constant_bytes, band, Band(*(value / clock for value in band)))


def _everything(program: Program, steps: int, count: int) -> Spikes:
    dense = np.full((1, steps, *program.input.shape), count, dtype=np.uint8)
    return Spikes.from_dense(dense)


def _always_firing(layer: Layer) -> Layer:
    """A layer whose threshold lies below any membrane that its input can leave."""
    if not layer.fires:
        return layer
    if not layer.is_lif:
        hint = "run samples that keep it busy, and take their longest step"
        what = f"nobody knows what makes neurons of the model {layer.model.name} fire always"
        raise fail(ModelError, layer.name, what, hint)
    reach = np.full(layer.n, -(2**28), dtype=np.int32)
    zeros = np.zeros_like(reach)
    return layer.with_lif(threshold=reach, reset="set", reset_time="now", v_reset=zeros)


def _parameter_bytes(program: Program) -> float:
    """Bytes of per-neuron constants that one step reads."""
    arrays = (v for x in plan(program).layers for v in x.parameters.values())
    return float(sum(v.size for v in arrays if not isinstance(v, int)))


def program_mix(program: Program, spikes: Spikes, *, toolchain: str | None = None) -> Mix:
    """What the emitted firmware executes for `spikes`, all samples, without the test program."""
    found = machine(hardware(program.board).qemu_machine)
    with tempfile.TemporaryDirectory(prefix="snnstack-") as name:
        folder = Path(name) / "firmware"
        defines = (f"-DSNN_MAX_EVENTS={max(1, largest_step(spikes))}u",)
        image = build_qemu(program, folder, "test/harness.c", toolchain, defines=defines)
        net = program.c_name
        return measure(
            found, image.elf, data=encode(program, spikes, ()),
            room=trace_bytes(program, spikes, ()),
            without={f"{net}_events", f"{net}_probe"},
        )  # fmt: skip
