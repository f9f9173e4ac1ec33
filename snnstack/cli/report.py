"""The verb `report`: a page from a saved benchmark or from a program."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from snnstack.cli.options import POSITIVE, ann_choice, ann_options, readout_option
from snnstack.cli.show import say, say_dead, say_losses
from snnstack.cli.verb import OutputFile, Verb


@click.command(cls=Verb, short_help="Make one HTML page of a benchmark or a program.")
@click.argument("source", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=OutputFile(".html", ".htm"), metavar="FILE",
              help="The page: one self-contained HTML file.")  # fmt: skip
@click.option("--data", metavar="DATA",
              help="Samples to measure a program with.")  # fmt: skip
@click.option("--samples", type=click.IntRange(min=1), metavar="N", help="Only the first N.")
@click.option("--verify-samples", type=click.IntRange(min=1), default=16, show_default=True,
              metavar="N", help="Samples that run on the independent machine.",
              )  # fmt: skip
@click.option("--period", type=POSITIVE, metavar="SECONDS",
              help="One inference every so often. [default: back to back]")  # fmt: skip
@click.option("--seeds", type=click.IntRange(min=0), default=0, show_default=True, metavar="N",
              help="Chips of an analogue target to draw.")  # fmt: skip
@ann_options
@readout_option
@click.option("--title", help="The page's headline. [default: the network's name]")
def report(
    source: Path, output: Path, data: str | None, samples: int | None, verify_samples: int,
    period: float | None, seeds: int, readout: str | None, title: str | None, **choices: Any,
) -> None:  # fmt: skip
    """Make one HTML page of SOURCE: a program's directory, or what `bench --json` printed.

    A program is measured on --data first. The page loads nothing from anywhere.
    """
    from snnstack import api
    from snnstack.errors import TargetError, fail
    from snnstack.files import write_file
    from snnstack.report.document import read_rows, rows_of
    from snnstack.report.page import render

    if source.is_dir():
        if data is None:
            hint = "give --data"
            raise fail(TargetError, str(source), "a program is measured on samples", hint)
        row = api.bench_program(
            source, data, samples=samples, verify_samples=verify_samples, period_s=period,
            seeds=seeds, ann=ann_choice(choices), readout=readout,
        )  # fmt: skip
        rows = rows_of([row.to_dict()], str(source))
        say_dead(row.dead)
    else:
        rows = read_rows(source)
    write_file(render(rows, title).encode(), output)
    for one in rows:
        say_losses(getattr(one, "settings", {}), one.board)
    say(f"written: {output}")
