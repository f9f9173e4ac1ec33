"""The command line: `snnstack VERB`. Thin: every verb is a function of `snnstack`."""

from __future__ import annotations

import io
import os
import re
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import click

from snnstack.cli.bench import bench, demo
from snnstack.cli.convert import convert
from snnstack.cli.device import flash, run
from snnstack.cli.export import export
from snnstack.cli.latency import latency
from snnstack.cli.look import boards, info, targets
from snnstack.cli.netlist import netlist
from snnstack.cli.program import compile_, emulate, verify
from snnstack.cli.report import report
from snnstack.cli.show import say_lines
from snnstack.cli.sweep import sweep
from snnstack.cli.train import train
from snnstack.errors import SnnstackError

_ENDLESS = re.compile(r"\S{500,}")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show where an error was raised.")
@click.version_option(package_name="snnstack")
def cli(debug: bool) -> None:
    """Take a trained spiking network to hardware, and prove that it still works there."""


for command in (
    info,
    targets,
    boards,
    convert,
    export,
    compile_,
    train,
    emulate,
    verify,
    netlist,
    flash,
    run,
    latency,
    bench,
    report,
    sweep,
    demo,
):
    cli.add_command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point. Exit code 0: done; 1: one clear message was printed; 2: wrong usage."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    with _terminable():
        status = _run(given)
    sys.exit(status)


def _run(arguments: list[str]) -> int:
    debug = "--debug" in arguments
    written: list[str] = []
    try:
        # Standalone mode would turn Ctrl-C and every error into click's own messages.
        result = cli.main(_debug_first(arguments), "snnstack", standalone_mode=False, obj=written)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.UsageError as error:
        shown = io.StringIO()
        error.show(shown)
        say_lines(_brief(shown.getvalue()).rstrip("\n"), err=True)
        return 2
    except BrokenPipeError:
        _drop_output()
        return 1
    except (KeyboardInterrupt, Exception) as error:
        if debug:
            raise
        for line in _message(error, written):
            say_lines(_brief(line), err=True)
        return 1


def _message(error: BaseException, written: Sequence[str]) -> list[str]:
    """What the user is told; an error nobody foresaw is said to be ours."""
    if isinstance(error, KeyboardInterrupt | click.Abort):
        done = f"{', '.join(written)} was written" if written else "nothing was written"
        return [f"interrupted: {done}"]
    if isinstance(error, SnnstackError):
        return [f"error: {problem}" for problem in error.problems]
    if isinstance(error, MemoryError):
        return ["error: memory: not enough for this run (fewer samples need less)"]
    if isinstance(error, OSError):
        _drop_output()
        where = f"{error.filename}: " if error.filename else ""
        return [f"error: {where}{error.strerror or error}"]
    kind = f"{type(error).__name__}: {error}".partition("\n")[0]
    return [f"error: snnstack itself failed: {kind} (--debug shows where; please report it)"]


def _brief(text: str) -> str:
    """Without the middle of words that nobody reads to their end."""
    return _ENDLESS.sub(lambda word: f"{word[0][:60]}...({len(word[0])} characters)", text)


def _drop_output() -> None:
    """Nobody reads standard output any more: Python's last flush must not fail as well."""
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        return
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM and SIGHUP unwind like an exception: no simulator, no temporary file stays."""

    def stop(number: int, frame: Any) -> None:
        sys.exit(128 + number)

    default = signal.SIG_DFL  # under `nohup` SIGHUP is ignored, and stays so
    numbers = [n for n in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) == default]
    for number in numbers:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, default)


def _debug_first(arguments: list[str]) -> list[str]:
    """`--debug` may stand anywhere."""
    rest = [argument for argument in arguments if argument != "--debug"]
    return (["--debug"] if len(rest) < len(arguments) else []) + rest
