"""The seam: what a target's three modules provide, found through entry points."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Protocol, cast

from snnstack.board import Board
from snnstack.energy.performance import Performance
from snnstack.errors import Problem, TargetError, fail
from snnstack.ir.step import StepGraph
from snnstack.program import Program
from snnstack.quant.calibration import Calibration
from snnstack.quant.network import QuantizedNetwork
from snnstack.quant.numerics import Numerics
from snnstack.quant.scales import Granularity
from snnstack.trace import Spikes, Trace

Progress = Callable[[int, int], None]
"""Called as `progress(done, total)` while something long is under way."""

BACKENDS, COMPILERS, EMULATORS = (
    "snnstack.backends",
    "snnstack.compilers",
    "snnstack.emulators",
)


@dataclass(frozen=True)
class Way:
    """How a real board is reached, as far as the user said: None leaves it to the target."""

    address: str | None = None
    port: str | None = None
    runner: str | None = None


class Backend(Protocol):
    """What the machine is: its numbers, its limits, its programs and how they are run.

    More names are looked for. `numerics(weight_bits)` is `NUMERICS` with weights of another
    width, where the target has several; `measured(program)`: the program with the memory that its
    tools make of it, or as it is where they are missing.
    `quantise`, a `Quantiser`, replaces the general one where a target's integers have more
    structure than `Numerics` says; `reference(program, network, spikes,
    probes)` replaces the integer reference where the target's definition is not that of
    `QuantizedNetwork`. `STATISTICAL = True` marks an analogue
    target: an emulation with a seed is one chip of many, never "the" result; see `statistical`.
    `LATE_RESETS = True` says that the target does what a `QuantizedPopulation` says about reset
    "none" and about a `reset_time` other than "now"; without it such models are refused.
    `SEVERAL_INPUTS = True` says that it takes networks of several inputs as they are; for others
    they become one (`snnstack.passes.one_input`).
    `IMPORT_RULES = True`: `quantise` knows the granularity "import", the rules of the maker's own
    importer, and is then given a graph whose gains are not folded into the weights.
    `agreements(program, spikes)` compares analogue quantities, each within a stated tolerance:
    a sequence of `snnstack.report.equality.Agreement`, shown by `verify`. `views(program)`:
    pictures for a page (`snnstack.report.views`). `opponent(program, net, given, period_s, steps)`:
    the `Performance` of `net`, an `Int8Opponent` of the same shape without spikes, on the board,
    and what it computes there from `given`; `basis` says from which input rate on an inference
    of so many `steps` costs more.
    `wiring(program)`: what operations are counted on (`snnstack.report.operations.Wiring`) for
    a program whose integers came from a file.
    `clipped(program, rows)`: what converters clipped, `snnstack.report.clipping.Clipped` by
    tile, from `rows` {name: {count: sum}} of a run's counts.
    `netlists(program, tiles, chip, rows)`: {file name: SPICE netlist} of an analogue circuit.
    `run_on(program, spikes, on, way, *, probes=(), progress=None)` runs samples on a real board,
    named `on` and reached by `way` (a `Way`), and brings its trace back: spikes, and those
    states that it can read; `describe_on(program, way)` names that board in a report.
    """

    NUMERICS: Numerics
    RULES: Sequence[Callable[..., Iterator[Problem]]]

    def emit(self, program: Any) -> dict[str, bytes]:
        """Everything a program's directory holds: {relative path: content}, deterministic."""

    def load(self, files: Mapping[str, bytes]) -> Program:
        """The program of a directory that `emit` wrote."""

    def utilization(self, program: Any) -> Mapping[str, tuple[int, int]]:
        """{resource: (used, available)}."""

    def describe(self, program: Any) -> str:
        """What `run` executes on, e.g. the simulator, its machine and the C compiler."""

    def run(
        self,
        program: Any,
        spikes: Spikes,
        *,
        probes: Sequence[tuple[str, str]] = (),
        progress: Progress | None = None,
    ) -> Trace:
        """Execute what was emitted on the machine or its nearest stand-in."""

    def price(self, program: Any, trace: Trace, period_s: float | None = None) -> Performance:
        """Energy and latency per inference, from the counts of one `run` or emulation.

        `period_s`: seconds from one inference to the next; None: back to back.
        """


class Quantiser(Protocol):
    """A target's own way to integers; one without `weight_bits` or `like` is not asked for them."""

    def __call__(
        self,
        graph: StepGraph,
        board: Board,
        calibration: Calibration | None = None,
        granularity: Granularity = ...,
        weight_bits: int | None = None,
        like: QuantizedNetwork | None = None,
    ) -> QuantizedNetwork:
        """The integers for `graph`, whose gains are 1 (`fold_gains`).

        `calibration`: what the float network did with samples; None: what is usual. `granularity`:
        one scale per neuron or per population, as far as the target has a choice. `weight_bits`
        None: the width it has of its own accord. `like`: keep the scales of this network.
        Raises ModelError for what cannot be represented, TargetError for a width it has not.
        """


class Compiler(Protocol):
    """To the machine.

    One more function is looked for: `calibrate(program, sources)` fits what depends on data (the
    ranges of converters) to `sources`, the spikes of the input and of every population by name.
    """

    def compile(self, network: QuantizedNetwork, board: Board) -> Program:
        """The placed network; CapacityError names every limit it exceeds."""


class Emulator(Protocol):
    """Instead of the machine."""

    def emulate(
        self,
        program: Any,
        spikes: Spikes,
        *,
        seed: int | None = None,
        probes: Sequence[tuple[str, str]] = (),
    ) -> Trace:
        """What the program computes, with event counts.

        `seed` None: the exact machine, bit for bit. A number: one physical chip of an analogue
        target, the same for the same number; digital targets ignore it.
        """


@cache
def _found(group: str) -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=group)}


def target_names() -> tuple[str, ...]:
    """Targets that have a backend, a compiler and an emulator."""
    complete = set(_found(BACKENDS)) & set(_found(COMPILERS)) & set(_found(EMULATORS))
    return tuple(sorted(complete))


def backend(target: str) -> Backend:
    """The backend module of `target`."""
    return cast(Backend, _module(BACKENDS, target))


def statistical(target: str) -> bool:
    """Whether chips of this kind differ, so that a seeded emulation is one draw of many."""
    return bool(getattr(backend(target), "STATISTICAL", False))


def compiler(target: str) -> Compiler:
    """The compiler module of `target`."""
    return cast(Compiler, _module(COMPILERS, target))


def emulator(target: str) -> Emulator:
    """The emulator module of `target`."""
    return cast(Emulator, _module(EMULATORS, target))


def offered(module: Any, name: str) -> Callable[..., Any] | None:
    """The function `name` of a target's module, None if there is none.

    A package also has its submodules as attributes; a file of that name is no function.
    """
    found = getattr(module, name, None)
    return found if callable(found) else None


def _module(group: str, target: str) -> Any:
    points = _found(group)
    if target not in points:
        near = get_close_matches(target, points) or sorted(points)
        what = f"unknown target; known: {', '.join(near) or 'none'}"
        raise fail(TargetError, target, what, "list them with `snnstack targets`")
    return points[target].load()
