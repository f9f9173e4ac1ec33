"""The verb `netlist`: circuits of an analogue program, for SPICE."""

from __future__ import annotations

from pathlib import Path

import click

from snnstack.cli.program import is_new
from snnstack.cli.show import say
from snnstack.cli.verb import OutputDirectory, Verb

_MOST = 65536
"""Rows beyond which nobody has an array."""


def _rows(context: click.Context, option: click.Parameter, value: str | None) -> list[int] | None:
    """The numbers in a list like 0,3,8-15."""
    if value is None:
        return None
    found: list[int] = []
    for part in value.split(","):
        first, dash, last = part.partition("-")
        ends = [first.strip(), last.strip() if dash else first.strip()]
        if not all(end.isdecimal() and len(end) < 6 for end in ends):
            raise click.BadParameter(f"{value!r} is not a list like 0,3,8-15", context, option)
        low, high = map(int, ends)
        if not low <= high < _MOST:
            raise click.BadParameter(f"{part.strip()!r} is not a range of rows", context, option)
        found += range(low, high + 1)
    return found


@click.command(cls=Verb, short_help="Write a crossbar program's circuits for SPICE.")
@click.argument("directory", type=click.Path(path_type=Path), metavar="DIR")
@click.option("-o", "--output", required=True, type=OutputDirectory(), metavar="OUT",
              help="The new directory of the netlists.")  # fmt: skip
@click.option("--tile", "tiles", type=click.IntRange(min=0), multiple=True, metavar="N",
              help="Only this tile; may be repeated.")  # fmt: skip
@click.option("--chip", type=click.IntRange(min=0), metavar="SEED",
              help="Cells as they came out on this chip, not as they were asked for.")  # fmt: skip
@click.option("--rows", callback=_rows, metavar="LIST",
              help="Rows that are driven, e.g. 0,3,8-15. [default: all]")  # fmt: skip
@click.pass_obj
def netlist(
    written: list[str], /, directory: Path, output: Path, tiles: tuple[int, ...],
    chip: int | None, rows: list[int] | None,
) -> None:  # fmt: skip
    """Write the circuits of the tiles of DIR as SPICE netlists into the new directory OUT.

    Every wire segment and every cell is an element; `ngspice -b OUT/tile_0.cir` prints the
    currents of all columns.
    """
    from snnstack.api import open_program
    from snnstack.errors import TargetError, fail
    from snnstack.files import write_directory
    from snnstack.target import backend, offered

    is_new(output)
    program, _ = open_program(directory)
    own = offered(backend(program.target), "netlists")
    if own is None:
        what = f"a program for {program.target} has no analogue circuits"
        raise fail(TargetError, str(directory), what, "netlists are of crossbar programs")
    files = own(program, list(tiles) or None, chip=chip, rows=rows)
    write_directory(files, output)
    written.append(str(output))
    for name, content in files.items():
        say(f"{output / name}: {content.splitlines()[0].decode().removeprefix('* ')}")
