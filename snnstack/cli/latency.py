"""The verb `latency`: how long the longest possible step takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from snnstack.cli.options import json_option
from snnstack.cli.show import print_json, say
from snnstack.cli.verb import Verb
from snnstack.report.numbers import band


@click.command(cls=Verb, short_help="The longest time step of a microcontroller program.")
@click.argument("directory", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--count", type=click.IntRange(min=1, max=255), default=1, show_default=True,
              metavar="N", help="Spikes of every input element in that step.")  # fmt: skip
@json_option
def latency(directory: Path, count: int, as_json: bool) -> None:
    """How long a step of DIR takes when every input spikes and every neuron fires.

    Instructions are executed and counted in QEMU; cycles and time are estimates on top.
    """
    from snnstack.api import open_program
    from snnstack.errors import TargetError, fail
    from snnstack.target import backend, offered

    program, _ = open_program(directory)
    worst = offered(backend(program.target), "worst_step")
    if worst is None:
        what = f"is a program for {program.target}: only microcontrollers have a longest step"
        raise fail(TargetError, program.name, what)
    found = _found(program, worst(program, count=count))
    if as_json:
        print_json(found)
    else:
        _show(found)


def _found(program: Any, step: Any) -> dict[str, Any]:
    names = ("low", "typical", "high")
    return {
        "board": program.board.name,
        "instructions": step.mix.instructions,
        "cycles": dict(zip(names, step.cycles, strict=True)),
        "ms": {n: 1e3 * s for n, s in zip(names, step.seconds, strict=True)},
        "step_ms": 1e3 * program.dt,
        "real_time": step.seconds.high <= program.dt,
    }


def _show(found: dict[str, Any]) -> None:
    say(f"{found['board']}: every input spikes, every neuron fires")
    say(f"  {found['instructions']} instructions, counted in QEMU")
    low, typical, high = (found["ms"][name] for name in ("low", "typical", "high"))
    say(f"  {band(low, typical, high)} ms, estimated: typical (lowest-highest)")
    verdict = "always fits" if found["real_time"] else "may not fit"
    say(f"  {verdict} the {found['step_ms']:g} ms of a step")
