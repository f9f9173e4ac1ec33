"""Verbs on boards: `flash` and `run`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from snnstack.cli.options import data_option, json_option
from snnstack.cli.program import say_foreign, show_equality
from snnstack.cli.show import print_json, progress, say, table
from snnstack.cli.verb import Verb

if TYPE_CHECKING:
    from snnstack.program import Program
    from snnstack.trace import Trace

IMAGE = Path("build") / "board.elf"
"""Where `flash` puts the self-test's firmware, inside the program's directory."""
runner_option = click.option(
    "--runner", metavar="TOOL", help="pyocd, openocd, esptool, uf2 or copy. [default: the board's]"
)


@click.command(cls=Verb, short_help="Write a program's firmware to its board.")
@click.argument("directory", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--image", type=click.Path(path_type=Path), metavar="ELF",
              help="A firmware of your own instead of the self-test.")  # fmt: skip
@runner_option
@click.option("--port", metavar="DEVICE", help="Serial port, for boards flashed over one.")
@click.option("--dry-run", is_flag=True, help="Only print the commands.")
@click.pass_obj
def flash(
    written: list[str], /, directory: Path, image: Path | None, runner: str | None,
    port: str | None, dry_run: bool,
) -> None:  # fmt: skip
    """Build the self-test of DIR and write it to the board.

    The self-test reports through the debug probe; `snnstack run` reads results back.
    """
    from snnstack.api import open_program
    from snnstack.backends.mcu import flash as mcu

    program, _ = open_program(directory)
    _is_mcu(program)
    if image is None:
        say_foreign(program, directory)
    file = image or directory / IMAGE
    plan = mcu.plan_flash(program.board, file, tool=runner, port=port)
    if dry_run:
        for line in plan.lines():
            say(line)
        return
    if image is None:
        _build(program, file)
        written.append(str(file))
    for line in plan.lines():
        say(line)
    mcu.flash(plan)
    say(f"{program.name} is on {program.board.title}")


def _build(program: Any, file: Path) -> None:
    import tempfile

    from snnstack.backends.mcu.flash import build_board
    from snnstack.files import write_file

    with tempfile.TemporaryDirectory(prefix="snnstack-") as folder:
        made = build_board(program, Path(folder) / "firmware")
        write_file(made.elf.read_bytes(), file)


@click.command("run", cls=Verb, short_help="Run samples on the board and compare.")
@click.argument("directory", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--on", "board", required=True, metavar="BOARD", help="The board DIR was made for.")
@data_option
@click.option("--samples", type=click.IntRange(min=1), default=4, show_default=True, metavar="N",
              help="Only the first N.")  # fmt: skip
@click.option("--address", metavar="IP", help="Network address of a SpiNNaker 2 machine.")
@click.option("--port", metavar="DEVICE",
              help="Serial port of a board with the emitted Device sketch. [default: by probe]",
              )  # fmt: skip
@runner_option
@json_option
def run(
    directory: Path, board: str, data: str, samples: int, address: str | None, port: str | None,
    runner: str | None, as_json: bool,
) -> int:  # fmt: skip
    """Run samples of DATA on a real board and compare with the emulator, spike for spike."""
    from snnstack.api import emulate, open_program
    from snnstack.report.equality import compare
    from snnstack.running import judged_samples
    from snnstack.target import Way

    program, _ = open_program(directory)
    machine = _with_boards(program)
    say_foreign(program, directory)
    way = Way(address, port, runner)
    spikes = judged_samples(program, data, samples).read().spikes
    with progress("building") as update:
        found = machine.run_on(
            program, spikes, board, way, probes=program.variables,
            progress=partial(update, "running"),
        )  # fmt: skip
    states = tuple(probe for probe in program.variables if probe in found.states)
    emulated = emulate(program, spikes, probes=states)
    equal = compare(emulated, found, machine.describe_on(program, way))
    if as_json:
        print_json({**equal.to_dict(), "cycles": _cycles(found)})
    else:
        show_equality(equal)
        _show_cycles(program, found)
    return 1 if equal.mismatches else 0


def _with_boards(program: Program) -> Any:
    """The backend of `program`, if it can run real boards."""
    from snnstack.errors import TargetError, fail
    from snnstack.target import backend, offered

    machine = backend(program.target)
    if offered(machine, "run_on") is None:
        what = f"is a program for {program.target}, whose boards cannot be run from here"
        raise fail(TargetError, program.name, what)
    return machine


def _cycles(found: Trace) -> dict[str, float]:
    """Mean cycles per sample of every part, those of the input being reset and taking in."""
    cycles = {name: c.other.get("cycles") for name, c in found.counts.items()}
    return {name: float(c.mean()) for name, c in cycles.items() if c is not None}


def _show_cycles(program: Program, found: Trace) -> None:
    cycles = _cycles(found)
    if not any(cycles.values()):
        say("no cycles were counted (a sketch counts them with SNN_PROFILE defined)")
        return
    milliseconds = 1e3 / float(program.board.clock.value)
    rows = [[name, f"{c:.0f}", f"{c * milliseconds:.4g}"] for name, c in cycles.items()]
    total = sum(cycles.values())
    rows.append(["total", f"{total:.0f}", f"{total * milliseconds:.4g}"])
    clock = f"{program.board.clock.value / 1e6:g} MHz"
    table(f"mean of a sample, at {clock}", ["part", "cycles", "ms"], rows)


def _is_mcu(program: Program) -> None:
    from snnstack.errors import TargetError, fail

    if program.target != "mcu":
        what = f"is a program for {program.target}, only those for mcu are written to boards"
        raise fail(TargetError, program.name, what)
