"""Train for a target: `torch_module`, and `qat`, whose forward pass is the target's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from snnstack.board import Board, all_boards, load_board
from snnstack.building import Build, check_choices, with_losses
from snnstack.errors import ModelError, TargetError, ToolError, fail, raise_if_any
from snnstack.foreign import vouching
from snnstack.frontends.data import Data
from snnstack.frontends.in_memory import given
from snnstack.frontends.torch_door import eager, is_module
from snnstack.integers import for_target, quantise_for
from snnstack.ir.graph import Graph
from snnstack.ir.nodes import Array
from snnstack.ir.step import StepGraph
from snnstack.live import read_module
from snnstack.loading import before_pruning, discretised, load
from snnstack.passes.options import Options
from snnstack.program import Program
from snnstack.quant.calibration import Calibration, measured
from snnstack.quant.losses import warnings_of
from snnstack.quant.network import QuantizedNetwork
from snnstack.quant.regrid import held
from snnstack.quant.scales import Granularity
from snnstack.quant.silent import reused
from snnstack.refine import Refined, refined
from snnstack.report.readout import aligned
from snnstack.samples import JUDGING_SAMPLES, Samples, judged_stream, real_as_spikes, run_float
from snnstack.target import Progress, compiler, emulator, target_names
from snnstack.trace import Spikes, Trace
from snnstack.training.checkpoint import Checkpoint
from snnstack.training.recipe import Recipe

if TYPE_CHECKING:
    from snnstack.training.module import StepModule
    from snnstack.training.neurons import Observed, Surrogate

Model = str | Path | Graph | StepGraph | Any


@vouching
def torch_module(
    model: Model,
    *,
    options: Options | None = None,
    sample: Any = None,
    surrogate: Surrogate | None = None,
    trust: bool = False,
) -> StepModule:
    """A model file, graph or torch module as a torch module with trainable weights and biases.

    `trust`: files are read in this process, without limits of time and memory (docs/security.md).
    """
    return _module()(_read(model, options, sample)[1], None, surrogate)


@vouching
def qat(
    model: Model,
    *,
    target: str | Board,
    calibrate: Samples | None = None,
    weight_bits: int | None = None,
    granularity: Granularity = "neuron",
    options: Options | None = None,
    sample: Any = None,
    surrogate: Surrogate | None = None,
    progress: Progress | None = None,
    trust: bool = False,
) -> StepModule:
    """`torch_module` that computes what `target` (or one board of it) does, spike for spike.

    In every forward pass the weights are quantised for the target, the program is compiled and
    emulated; gradients take the emulated membranes and pass straight through the rounding.
    `calibrate`: samples that scales are fitted to, once, before training; neurons that never fire
    in them are tried as copies of busy ones (`snnstack.quant.silent`). None: assumed activity.
    `trained` gives the program. `progress` is told trials of scales and roundings, done and at
    most to come. `trust` as in `torch_module`.
    """
    board = _board(target)
    check_choices(granularity, weight_bits, "fast")
    calibrate = None if calibrate is None else given(calibrate)
    graph, steps = _read(model, options, sample, calibrate)
    whole = None
    if graph is not None and not is_module(model):
        whole = before_pruning(model, options, calibrate, graph)
    calibrate = None if calibrate is None else _as_spikes(graph, steps, calibrate)
    steps = for_target(steps, board.target)
    start = _start(steps, board, calibrate, granularity, weight_bits, progress)
    fixed = (granularity, weight_bits, start.first, graph, whole)
    machine = OnTarget(board, start.calibration, *fixed)
    machine.compiled(start.graph)  # what the target refuses is said before any training
    return _module()(start.graph, machine, surrogate, start.real)


def trained(module: StepModule) -> Build:
    """The program of a module made by `qat`: what its last forward pass would compute now."""
    steps = module.step_graph()
    network, program = _machine(module).compiled(steps, told=True)
    return Build(None, steps, network, program, None)


@vouching
def fit(
    module: StepModule,
    data: Samples,
    recipe: Recipe | None = None,
    progress: Progress | None = None,
    *,
    strict: bool = False,
    checkpoint: Checkpoint | None = None,
    trust: bool = False,
) -> Build:
    """The best program that training `module` (of `qat`) on `data` leads to.

    Every batch is varied, given to the float network and to the target's, and the latter moved
    towards the labels, where there are any, and towards what the float network does. Judged, on
    `data` after every epoch, and returned is the running mean of the parameters; `module` ends
    with those of the returned program. `progress` is told epochs done, and in all. `strict`: what
    its quantisation loses beyond stated shares (`snnstack.quant.losses`) is a ModelError.
    `checkpoint`: a file that holds the training after every epoch, to go on from. `trust` as in
    `torch_module`.
    """
    from snnstack.training.loop import fitted

    data = _as_spikes(_machine(module).graph, module.graph, data)
    built = fitted(module, data, recipe or Recipe(), progress, checkpoint)
    raise_if_any(ModelError, warnings_of(built.program.settings) if strict else ())
    return built


@dataclass(frozen=True, eq=False)
class OnTarget:
    """A board as a function of weights and input; scales are those of `first`.

    `graph` says what samples the network takes, where that is not spikes; `whole` is the float
    network before pruning, where it was pruned.
    """

    board: Board
    calibration: Calibration | None
    granularity: Granularity
    weight_bits: int | None
    first: QuantizedNetwork
    graph: Graph | None = None
    whole: StepGraph | None = None

    def compiled(self, steps: StepGraph, told: bool = False) -> tuple[QuantizedNetwork, Program]:
        """The integers for the present weights, and their program; `told`: with their losses."""
        network = quantise_for(
            steps, self.board, self.calibration, self.granularity, self.weight_bits, self.first
        )
        if told:
            network = with_losses(network, steps, self.calibration)
        return network, compiler(self.board.target).compile(network, self.board)

    def __call__(self, steps: StepGraph, spikes: Spikes) -> Observed:
        """Quantise, compile, emulate; everything back in volts and on the input's clock."""
        from snnstack.training.neurons import Observed

        network, program = self.compiled(steps)
        probes = [(p.name, "v") for p in network.populations if (p.name, "v") in program.variables]
        trace = emulator(program.target).emulate(program, spikes, probes=probes)
        trace = aligned(trace, spikes.steps)
        scales = {p.name: p.scale for p in network.populations}
        names = [p.name for p in steps.populations]
        flat = (spikes.batch, spikes.steps, -1)
        return Observed(
            weights=tuple(np.array(p.synapses.weight) for p in held(steps, network).projections),
            spikes={n: trace.spikes[n].dense().reshape(flat) for n in names if n in trace.spikes},
            membranes={
                name: trace.states[name, variable] / scales[name] for name, variable in probes
            },
        )


def _machine(module: StepModule) -> OnTarget:
    """What `module` was made for."""
    if not isinstance(module.machine, OnTarget):
        raise fail(TargetError, "module", "was not made for a target", "make it with snnstack.qat")
    return module.machine


def _read(
    model: Model, options: Options | None, sample: Any, calibrate: Samples | None = None
) -> tuple[Graph | None, StepGraph]:
    """The graph, where there is one, and its steps."""
    if isinstance(model, StepGraph):
        return None, model
    if is_module(model):
        model, options = read_module(eager(model), sample, options), None
    graph = load(model, options, calibrate=calibrate)
    return graph, discretised(graph)


def _as_spikes(graph: Graph | None, steps: StepGraph, data: Samples) -> Samples:
    """Samples as the network takes them."""
    return data if graph is None else real_as_spikes(graph, steps, data) or data


def _board(target: str | Board) -> Board:
    """A board by name, or the first board of a target."""
    if isinstance(target, Board):
        return target
    if not isinstance(target, str) or target not in target_names():
        return load_board(target)
    boards = [board for board in all_boards() if board.target == target]
    if not boards:
        raise fail(TargetError, target, "has no board", "name a board file")
    return max(boards, key=_room)


def _room(board: Board) -> float:
    """How much a board holds: training should not stop at its size."""
    return max((figure.value for figure in board.capacity.values()), default=0.0)


@dataclass(frozen=True, eq=False)
class _Start:
    """What training begins with: a graph, the network whose scales it keeps, and whence."""

    graph: StepGraph
    first: QuantizedNetwork
    real: StepGraph
    calibration: Calibration | None = None


def _start(
    steps: StepGraph,
    board: Board,
    calibrate: Samples | None,
    granularity: Granularity,
    weight_bits: int | None,
    progress: Progress | None,
) -> _Start:
    """With samples: the best that quantising without training finds, with silent neurons as they
    are or as copies of busy ones.
    """
    if calibrate is None:
        return _Start(steps, quantise_for(steps, board, None, granularity, weight_bits), steps)
    data = judged_stream(calibrate, steps, JUDGING_SAMPLES).read()
    found: list[tuple[Refined, _Start]] = []
    for candidate in _candidates(steps, data):
        real = run_float(candidate, data)
        fit = measured(candidate, data.spikes, real)

        def quantised(
            graph: StepGraph, like: QuantizedNetwork | None = None, fit: Calibration = fit
        ) -> QuantizedNetwork:
            return quantise_for(graph, board, fit, granularity, weight_bits, like)

        best = refined(candidate, board, data, real, quantised, progress)
        found.append((best, _Start(best.graph, best.like, candidate, fit)))
    return max(found, key=lambda pair: pair[0].score)[1]


def _candidates(steps: StepGraph, data: Data) -> list[StepGraph]:
    other = reused(steps, _counts(run_float(steps, data)))
    return [steps] if other is steps else [steps, other]


def _counts(trace: Trace) -> dict[str, Array]:
    """Spikes of every neuron over all samples."""
    return {name: s.per_neuron().sum(axis=0) for name, s in trace.spikes.items()}


def _module() -> type[StepModule]:
    try:
        from snnstack.training.module import StepModule
    except ImportError as error:
        raise fail(ToolError, "torch", "is not installed", "pip install torch") from error
    return StepModule
