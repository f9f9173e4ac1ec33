"""The verb `sweep`: many points of a grid, resumable."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from snnstack.cli.show import progress, say
from snnstack.cli.verb import OutputDirectory, Verb

SHOWN = 5
"""Reasons and errors that are printed; the tables hold all."""


@click.command(cls=Verb, short_help="Measure a model over a grid of choices.")
@click.argument("source", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=OutputDirectory(), metavar="DIR",
              help="Folder of the results. Points that it holds already are not run again.",
              )  # fmt: skip
@click.option("--vary", multiple=True, metavar="NAME=VALUES",
              help="An axis: board=a,b weight_bits=8,4 seed=0..9; may be repeated.",
              )  # fmt: skip
@click.option("--data", metavar="DATA", help="Samples, where SOURCE is a model.")
@click.option("--calibrate", metavar="DATA", help="Fit the scales to these samples.")
@click.option("--samples", type=click.IntRange(min=1), metavar="N", help="Only the first N.")
@click.option("--verify-samples", type=click.IntRange(min=0), metavar="N",
              help="Samples per point that run on the independent machine. [default: 0]",
              )  # fmt: skip
@click.option("--workers", type=click.IntRange(min=1), metavar="N",
              help="Points that run side by side. [default: one per processor]",
              )  # fmt: skip
@click.option("--scheduler", metavar="ADDRESS", help="Run on the Dask cluster at tcp://HOST:PORT.")
@click.option("--parquet", is_flag=True, help="Also write results.parquet.")
def sweep(
    source: Path, output: Path, vary: tuple[str, ...], workers: int | None, scheduler: str | None,
    parquet: bool, **given: Any,
) -> int:  # fmt: skip
    """Measure every point of a grid. SOURCE: a sweep's .toml file, or a model with --vary.

    Results are results.csv and results.html in DIR. A sweep that was interrupted, even killed,
    goes on where it stopped when the same command is given again. Exit code 1 if a point failed,
    or if none could be built.
    """
    from snnstack.sweep.run import sweep as run

    spec = _spec(source, vary, {k: v for k, v in given.items() if v is not None})
    with progress("points") as update:
        found = run(
            spec, output, processes=workers, scheduler=scheduler, parquet=parquet,
            progress=lambda done, total: update("points", done, total),
        )  # fmt: skip
    reasons = [row["why"] for row in found.rows if row["status"] != "ok"]
    refused = len(reasons)
    again = f", {found.reused} of them from before" if found.reused else ""
    say(f"{len(found.rows)} of {len(spec)} points{again}; {refused} could not be built")
    for path in found.written:
        say(f"written: {path}")
    for why in list(dict.fromkeys(reasons))[:SHOWN]:
        say(f"could not be built: {why}", err=True)
    for point, error in found.failed[:SHOWN]:
        say(f"error: {point}: {type(error).__name__}: {error}", err=True)
    if found.failed:
        say(f"error: sweep: {len(found.failed)} points failed (run it again)", err=True)
    return 1 if found.failed or refused == len(found.rows) else 0


def _spec(source: Path, vary: tuple[str, ...], given: dict[str, Any]) -> Any:
    """From the file, with options over it; or from options alone."""
    from snnstack.sweep.spec import make_spec, parse_axis, read_spec

    grid = dict(map(parse_axis, vary))
    if source.suffix != ".toml":
        return make_spec({"model": str(source), **given, "grid": grid}, "sweep")
    spec = read_spec(source)
    whole: dict[str, Any] = {
        "data": spec.data, "calibrate": spec.calibrate, "samples": spec.samples,
        "verify_samples": spec.verify_samples, **spec.fixed, **given,
        "grid": {name: list(values) for name, values in spec.axes.items()} | grid,
    }  # fmt: skip
    return make_spec({k: v for k, v in whole.items() if v is not None}, str(source))
