"""The command line: `snnstack VERB`. Thin: every verb is a function of `snnstack`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from snnstack.cli.bench import bench, demo
from snnstack.cli.look import boards, info, targets
from snnstack.cli.program import compile_, emulate, verify
from snnstack.errors import SnnstackError

INTERRUPTED = "interrupted: nothing was written"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show where an error was raised.")
@click.version_option(package_name="snnstack")
def cli(debug: bool) -> None:
    """Take a trained spiking network to hardware, and prove that it still works there."""


for command in (info, targets, boards, compile_, emulate, verify, bench, demo):
    cli.add_command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point. Exit code 0: done; 1: one clear message was printed; 2: wrong usage."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    sys.exit(_run(given))


def _run(arguments: list[str]) -> int:
    debug = "--debug" in arguments
    try:
        result = cli.main(_debug_first(arguments), prog_name="snnstack", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.UsageError as error:
        error.show()
        return 2
    except (KeyboardInterrupt, click.Abort):
        if debug:
            raise
        click.echo(INTERRUPTED, err=True)
        return 1
    except SnnstackError as error:
        if debug:
            raise
        for problem in error.problems:
            click.echo(f"error: {problem}", err=True)
        return 1
    except (MemoryError, OSError) as error:
        if debug:
            raise
        click.echo(f"error: {str(error) or type(error).__name__}", err=True)
        return 1


def _debug_first(arguments: list[str]) -> list[str]:
    """`--debug` may stand anywhere."""
    rest = [argument for argument in arguments if argument != "--debug"]
    return (["--debug"] if len(rest) < len(arguments) else []) + rest
