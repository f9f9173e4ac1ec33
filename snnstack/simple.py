"""`NetworkProgram`: a ready-made program for targets that execute the integer network itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from snnstack.board import Board
from snnstack.errors import Problem
from snnstack.ir.nodes import Metadata, node
from snnstack.ir.step import CONNECTION_KINDS, Projection, StepInput
from snnstack.program import with_manifest
from snnstack.quant.network import QuantizedNetwork, QuantizedPopulation
from snnstack.quant.numerics import Numerics
from snnstack.reference import run_quantized
from snnstack.saved_networks import network_problems, opened
from snnstack.serial import to_files
from snnstack.trace import Spikes, Trace

FORMAT = 1
STEM = "program"
NETWORK_KINDS = (
    QuantizedNetwork,
    QuantizedPopulation,
    Projection,
    *CONNECTION_KINDS,
    StepInput,
    Numerics,
)
"""Every dataclass that a `QuantizedNetwork` consists of."""


@node
class NetworkProgram:
    """A network on a board, without a form of its own: for simple targets and for a start."""

    network: QuantizedNetwork
    board: Board

    @property
    def target(self) -> str:
        """That of the board."""
        return self.board.target

    @property
    def name(self) -> str:
        """The network's name."""
        return str(self.network.settings.get("name", "network"))

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the result populations."""
        return self.network.outputs

    @property
    def settings(self) -> Metadata:
        """How the model was read, discretised and quantised."""
        return self.network.settings

    @property
    def port(self) -> StepInput:
        """The input as the model declares it."""
        return self.network.port

    @property
    def fires(self) -> dict[str, bool]:
        """{population: whether it sends spikes}."""
        return {p.name: p.fires for p in self.network.populations}

    @property
    def variables(self) -> tuple[tuple[str, str], ...]:
        """Every (population, variable) that can be probed."""
        currents = [(p.name, "i") for p in self.network.populations if p.beta is not None]
        return (*((p.name, "v") for p in self.network.populations), *currents)


def emit(program: NetworkProgram) -> dict[str, bytes]:
    """Manifest, structure and arrays: {relative path: content}, a target's `emit`."""
    files = to_files(program, STEM)
    return with_manifest(program, files, FORMAT)


def load(files: Mapping[str, bytes]) -> NetworkProgram:
    """The program in the files that `emit` made; TargetError for anything else."""
    kinds = (NetworkProgram, *NETWORK_KINDS)
    program: NetworkProgram = opened(files, STEM, kinds, _problems)
    return program


def _problems(program: NetworkProgram) -> Iterator[Problem]:
    return network_problems(program.network)


def emulate(
    program: NetworkProgram,
    spikes: Spikes,
    *,
    seed: int | None = None,
    probes: Sequence[tuple[str, str]] = (),
) -> Trace:
    """The integer reference, a target's `emulate`: exact, but dense and slow."""
    return run_quantized(program.network, spikes, probes)
