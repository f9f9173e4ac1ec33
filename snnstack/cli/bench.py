"""Verbs that measure: `bench` and `demo`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from snnstack.cli.options import (
    POSITIVE,
    calibrate_option,
    data_option,
    granularity_option,
    json_option,
    model_options,
    options,
    weight_bits_option,
)
from snnstack.cli.program import is_new
from snnstack.cli.show import band, percent, print_json, progress, settings_line, table

if TYPE_CHECKING:
    from snnstack.api import Build
    from snnstack.report.bench import BenchRow

DEMO_BOARDS = ("microbit-v1", "nucleo-l152re", "nucleo-l4r5zi", "nucleo-h7a3zi-q",
               "nucleo-u575zi-q", "esp32-c3")  # fmt: skip

HEADER = ("board", "accuracy %", "spikes equal %", "exact", "latency ms", "energy uJ",
          "flash KiB", "RAM KiB")  # fmt: skip


@click.command(short_help="Measure a model on boards.")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--board", "boards", multiple=True, required=True,
              help="A name from `snnstack boards`, or a .toml file; may be repeated.",
              )  # fmt: skip
@data_option
@calibrate_option
@click.option("--samples", type=click.IntRange(min=1), metavar="N", help="Only the first N.")
@click.option("--verify-samples", type=click.IntRange(min=1), default=16, show_default=True,
              help="Samples that run on the independent machine and give latency and energy.",
              metavar="N")  # fmt: skip
@click.option("--period", type=POSITIVE, metavar="SECONDS",
              help="One inference every so often, asleep in between. [default: back to back]",
              )  # fmt: skip
@granularity_option
@weight_bits_option
@model_options
@json_option
def bench(
    model: Path, boards: tuple[str, ...], data: str, calibrate: str | None,
    samples: int | None, verify_samples: int, period: float | None, granularity: Any,
    weight_bits: int | None, as_json: bool, **choices: Any,
) -> int:  # fmt: skip
    """Measure MODEL on boards: accuracy, agreement, latency, energy, memory per inference.

    Exit code 1 if a board's run is not the emulator's, spike for spike and state for state.
    """
    from snnstack import api

    with progress("emulating") as update:
        rows = api.bench(
            model, boards, data, calibrate=calibrate, options=options(choices),
            granularity=granularity, weight_bits=weight_bits, samples=samples,
            verify_samples=verify_samples, period_s=period, progress=update,
        )  # fmt: skip
    if as_json:
        print_json([row.to_dict() for row in rows])
    else:
        show_rows(rows)
        if calibrate is None:
            click.echo("scales fitted to the samples themselves: --calibrate names others")
    return 0 if all(row.bit_exact for row in rows) else 1


def show_rows(rows: Sequence[BenchRow]) -> None:
    """The benchmark as a table, with what a reader must know below it."""
    first = rows[0]
    click.echo(f"{first.settings['name']}: {settings_line(first.settings)}")
    float_ = percent(first.accuracy_float)
    click.echo(f"{first.samples} samples of {first.steps} steps, float accuracy {float_}")
    click.echo()
    table("mean of an inference: expected (lowest-highest), ~ estimated", HEADER, _cells(rows))
    for row in rows:
        events = f"{row.synops:.0f} synops, {row.spikes:.0f} spikes"
        click.echo(f"{row.board}: {events}; {row.performance.basis}")
        click.echo(f"  {_verdict(row)}")
        for warning in row.performance.energy.warnings:
            click.echo(f"  {warning}")


def _cells(rows: Sequence[BenchRow]) -> list[list[str]]:
    cells = []
    for row in rows:
        cost, memory = row.performance, row.memory
        kib = [f"{memory[k]['used'] / 1024:.1f}" if k in memory else "-" for k in ("flash", "ram")]
        mark = "~" if row.board_status == "estimated" else ""
        shares = (row.accuracy, row.spike_agreement)
        cells.append(
            [
                row.board,
                *("-" if share is None else f"{100 * share:.2f}" for share in shares),
                "yes" if row.bit_exact else "NO",
                mark + band(*(1e3 * value for value in cost.latency)),
                mark + band(*cost.energy.total),
                *kib,
            ]
        )
    return cells


def _verdict(row: BenchRow) -> str:
    found = row.verified
    return f"{found.mismatches} mismatches in {found.samples} samples against {found.against}"


@click.command(short_help="Compile, verify and measure a trained digits network.")
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("snnstack-demo"),
              show_default=True, metavar="DIR", help="A new directory for all programs.",
              )  # fmt: skip
@click.option("--board", "boards", multiple=True, default=DEMO_BOARDS, show_default=True,
              help="May be repeated.")  # fmt: skip
@json_option
@click.pass_obj
def demo(written: list[str], /, output: Path, boards: tuple[str, ...], as_json: bool) -> int:
    """Compile a trained digits network for several boards, prove it equal, print the table."""
    from snnstack import api

    is_new(output)
    model, test, train = (_example(f"digits{end}") for end in (".nir", "_test.npz", "_train.npz"))
    kept: list[Build] = []
    with progress("emulating") as update:
        rows = api.bench(model, boards, test, calibrate=train, progress=update, keep=kept.append)
    api.save_all({built.program.board.name: built for built in kept}, output)
    written.append(str(output))
    if as_json:
        print_json([row.to_dict() for row in rows])
    else:
        show_rows(rows)
        click.echo(f"programs: {output}/<board>")
    return 0 if all(row.bit_exact for row in rows) else 1


def _example(name: str) -> Path:
    """A file of the source tree's `examples/`."""
    from snnstack.errors import TargetError, fail

    here, package = Path.cwd(), Path(__file__).resolve().parents[2]
    for folder in (package, here, *here.parents):
        if (folder / "examples" / name).is_file():
            return folder / "examples" / name
    what = "is not here: the demo uses the examples of the source tree"
    raise fail(TargetError, f"examples/{name}", what, "run it in a clone of the project")
