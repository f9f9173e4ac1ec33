"""What every target must do, whoever wrote it: one suite over all that are installed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snnstack.board import Board, all_boards
from snnstack.building import Build, build_steps
from snnstack.errors import CapacityError
from snnstack.program import MANIFEST, digest
from snnstack.reference import run_quantized
from snnstack.report.equality import compare
from snnstack.target import backend, compiler, emulator, target_names
from snnstack.trace import Spikes, Trace
from tests.conformance.networks import EXAMPLES, accepted, equal, events, steps_of, wide_example

NEEDS = {
    "loihi": pytest.mark.needs_lava,
    "mcu": pytest.mark.needs_qemu,
    "spinnaker2": pytest.mark.needs_unicorn,
}
"""What the independent run of a target needs."""
BOARDS = {board.name: board for board in all_boards() if board.target in target_names()}
RUN_ON = {
    "crossbar": ("neurram", "isaac"),
    "loihi": ("loihi1", "oheo-gulch"),
    "mcu": ("nucleo-l4r5zi", "esp32-c3"),
    "spinnaker2": ("spinnaker2-chip",),
}
"""Boards of a target that must run every example; the others differ in size only."""

BEYOND_TESTS = ("hala-point", "spinnaker2-16x48")
"""Boards with room for more neurons (a billion, 28 million) than a test can make."""

every_target = pytest.mark.parametrize("target", target_names())
every_board = pytest.mark.parametrize("board", BOARDS)
every_example = pytest.mark.parametrize("example", EXAMPLES)
Runner = Any


@cache
def built(example: str, board: str) -> Build:
    graph = accepted(EXAMPLES[example](), BOARDS[board])
    return build_steps(graph, steps_of(graph), BOARDS[board])


def first_board(target: str) -> Board:
    return next(board for board in BOARDS.values() if board.target == target)


def emulated(build: Build, spikes: Spikes, probes: Any = None) -> Trace:
    program = build.program
    wanted = program.variables if probes is None else probes
    return emulator(program.target).emulate(program, spikes, probes=wanted)


def definition(build: Build, spikes: Spikes) -> Trace:
    """The right answer, of which every emulator must be a faster form."""
    program = build.program
    own = getattr(backend(program.target), "reference", None)
    if own is None:
        return run_quantized(build.network, spikes, program.variables)
    found = own(program, build.network, spikes, program.variables)
    assert isinstance(found, Trace)
    return found


def inputs(build: Build, **size: int) -> Spikes:
    return events(build.program.port, **size)


@every_target
def test_a_target_says_what_it_is(target: str) -> None:
    machine = backend(target)
    text = (machine.__doc__ or "").strip().splitlines()[0]
    assert text.endswith("."), "the first line of the backend's docstring is shown by the CLI"
    for part in ("emit", "load", "utilization", "describe", "run", "price"):
        assert callable(getattr(machine, part))
    assert callable(compiler(target).compile)
    assert callable(emulator(target).emulate)
    assert any(board.target == target for board in BOARDS.values())


@every_target
def test_rules_are_sentences(target: str) -> None:
    assert backend(target).RULES
    for rule in backend(target).RULES:
        text = (rule.__doc__ or "").strip()
        assert re.fullmatch(r"[A-Z0-9].*\.", text, re.DOTALL), f"{rule.__name__}: {text!r}"
        assert "_" in rule.__name__, f"{rule.__name__} is no sentence"


@every_board
@every_example
def test_a_program_survives_its_directory(example: str, board: str) -> None:
    program = built(example, board).program
    machine = backend(program.target)
    files = machine.emit(program)
    assert MANIFEST in files
    again = machine.load(files)
    assert equal(again, program)
    assert machine.emit(again) == files


@every_target
def test_emission_is_the_same_in_every_process(target: str) -> None:
    board = first_board(target).name
    here = [digest(backend(target).emit(built(name, board).program)) for name in EXAMPLES]
    code = (
        "from tests.conformance.test_conformance import *\n"
        f"for name in EXAMPLES: print(digest(backend({target!r}).emit("
        f"built(name, {board!r}).program)))"
    )
    path = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": path},
    )  # fmt: skip
    assert done.stdout.split() == here, done.stderr


@every_board
@every_example
def test_programs_say_what_the_network_is(example: str, board: str) -> None:
    build = built(example, board)
    program, network = build.program, build.network
    assert program.target == BOARDS[board].target
    assert program.board == BOARDS[board]
    assert program.outputs == network.outputs
    assert program.port == network.inputs[0] or equal(program.port, network.inputs[0])
    assert program.fires == {p.name: p.threshold is not None for p in network.populations}
    assert {(p.name, "v") for p in network.populations} <= set(program.variables)
    assert program.settings["dt"] == network.dt


@every_board
@every_example
def test_programs_fit_their_board(example: str, board: str) -> None:
    program = built(example, board).program
    used = backend(program.target).utilization(program)
    assert used
    for resource, (needed, available) in used.items():
        assert 0 <= needed <= available, resource


@every_target
@every_example
def test_emulator_equals_the_integer_reference(example: str, target: str) -> None:
    build = built(example, first_board(target).name)
    spikes = inputs(build)
    found = compare(emulated(build, spikes), definition(build, spikes), "integer reference")
    assert found.differences == ()
    assert found.spikes_compared > 0
    assert found.states_compared > 0


@every_target
@every_example
def test_examples_are_awake(example: str, target: str) -> None:
    """Otherwise equality would prove nothing."""
    build = built(example, first_board(target).name)
    for name, fired in emulated(build, inputs(build)).spikes.items():
        assert 0 < fired.total < fired.batch * fired.steps * fired.n, name


@every_target
@every_example
def test_samples_do_not_see_each_other(example: str, target: str) -> None:
    """Neither the size of a batch nor its order changes a sample."""
    build = built(example, first_board(target).name)
    spikes = inputs(build)
    whole = emulated(build, spikes)
    dense = spikes.dense()
    backwards = emulated(build, Spikes.from_dense(dense[::-1]))
    for sample in range(spikes.batch):
        alone = emulated(build, spikes.samples(sample, sample + 1))
        for name, fired in whole.spikes.items():
            expected = fired.samples(sample, sample + 1).dense()
            np.testing.assert_array_equal(alone.spikes[name].dense(), expected)
            turned = backwards.spikes[name].dense()[spikes.batch - 1 - sample]
            np.testing.assert_array_equal(turned, expected[0])
        for probe, values in whole.states.items():
            np.testing.assert_array_equal(alone.states[probe][0], values[sample])


@every_target
@every_example
def test_probing_changes_nothing(example: str, target: str) -> None:
    build = built(example, first_board(target).name)
    spikes = inputs(build)
    plain, probed = emulated(build, spikes, ()), emulated(build, spikes)
    assert dict(plain.states) == {}
    for name, fired in probed.spikes.items():
        np.testing.assert_array_equal(plain.spikes[name].dense(), fired.dense())


@every_target
@every_example
def test_counts_are_those_of_the_trace(example: str, target: str) -> None:
    build = built(example, first_board(target).name)
    spikes = inputs(build)
    trace = emulated(build, spikes)
    for population in build.network.populations:
        counts = trace.counts[population.name]
        for values in (counts.synops, counts.updates, counts.spikes):
            assert values.shape == (spikes.batch,)
        fired = trace.spikes.get(population.name)
        sums = np.zeros(spikes.batch) if fired is None else fired.per_neuron().sum(axis=1)
        np.testing.assert_array_equal(counts.spikes, sums, err_msg=population.name)
        steps = spikes.steps + getattr(build.program, "drain", 0)
        assert (counts.updates <= population.n * steps).all()


@every_target
@every_example
def test_runs_of_one_step_and_silence_are_possible(example: str, target: str) -> None:
    build = built(example, first_board(target).name)
    nothing = Spikes.from_dense(np.zeros((1, 1, *build.program.port.shape), np.uint8))
    trace = emulated(build, nothing)
    assert compare(trace, definition(build, nothing), "integer reference").mismatches == 0
    steps = 1 + getattr(build.program, "drain", 0)
    assert {values.shape[1] for values in trace.states.values()} == {steps}


@pytest.mark.parametrize(
    ("target", "example", "board"),
    [
        pytest.param(target, example, board.name, marks=[NEEDS[target]] if target in NEEDS else [])
        for target in target_names()
        for board in BOARDS.values()
        if board.target == target
        for example in EXAMPLES
        if board.name in RUN_ON.get(target, (board.name,))
    ],
)
def test_the_independent_run_equals_the_emulator(target: str, example: str, board: str) -> None:
    build = built(example, board)
    program, machine = build.program, backend(target)
    spikes, seen = inputs(build, batch=2, steps=10), []
    run = machine.run(
        program, spikes, probes=program.variables, progress=lambda *done: seen.append(done)
    )
    trace = emulated(build, spikes)
    assert compare(trace, run, machine.describe(program)).differences == ()
    assert seen[-1] == (2, 2)
    cost = machine.price(program, run if run.counts else trace)
    for band in (cost.latency, cost.energy.total):
        assert 0 < band.low <= band.typical <= band.high


@pytest.mark.parametrize("board", [b for b in BOARDS if b not in BEYOND_TESTS])
def test_too_large_a_network_is_refused_with_what_it_needs(board: str) -> None:
    for neurons in (2**6, 2**10, 2**14, 2**18, 2**21, 2**23):
        graph = accepted(wide_example(neurons), BOARDS[board])
        try:
            build_steps(graph, steps_of(graph), BOARDS[board])
        except CapacityError as told:
            for problem in told.problems:
                numbers = re.search(r"needs (\d+) .*?(\d+) available", problem.what)
                assert numbers, str(problem)
                assert int(numbers[1]) > int(numbers[2]), str(problem)
                assert problem.hint
            return
    pytest.fail(f"{board} takes {neurons} neurons without complaint")
