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
)
from snnstack.cli.show import band, percent, print_json, progress, size, table

if TYPE_CHECKING:
    from snnstack.report.bench import BenchRow

DEMO_BOARDS = ("microbit-v1", "nucleo-l152re", "nucleo-l4r5zi", "nucleo-h7a3zi-q",
               "nucleo-u575zi-q", "esp32-c3")  # fmt: skip


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--board", "boards", multiple=True, required=True, help="May be repeated.")
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
@model_options
@json_option
def bench(
    model: Path, boards: tuple[str, ...], data: Path, calibrate: Path | None,
    samples: int | None, verify_samples: int, period: float | None, granularity: Any,
    as_json: bool, **choices: Any,
) -> None:  # fmt: skip
    """Measure MODEL on boards: accuracy, agreement, latency, energy, memory per inference."""
    from snnstack import api

    with progress("running") as update:
        rows = api.bench(
            model, boards, data, calibrate=calibrate, options=options(choices),
            granularity=granularity, samples=samples, verify_samples=verify_samples,
            period_s=period, progress=lambda board, done, total: update(done, total),
        )  # fmt: skip
    if as_json:
        print_json([row.to_dict() for row in rows])
    else:
        show_rows(rows)


def show_rows(rows: Sequence[BenchRow]) -> None:
    """The benchmark as a table, with what a reader must know below it."""
    header = ["board", "accuracy", "float", "spikes equal", "bit-exact", "latency ms",
              "energy uJ", "synops", "flash", "RAM"]  # fmt: skip
    shown = []
    for row in rows:
        latency, energy = row.performance.latency, row.performance.energy.total
        memory = [size(row.memory[k]["used"]) if k in row.memory else "-" for k in ("flash", "ram")]
        shown.append(
            [
                row.board,
                percent(row.accuracy),
                percent(row.accuracy_float),
                percent(row.spike_agreement),
                "yes" if row.bit_exact else f"NO ({row.verified.mismatches})",
                band(*(1e3 * value for value in latency)),
                band(*energy),
                f"{row.synops:.0f}",
                *memory,
            ]
        )
    table("per inference", header, shown)
    for row in rows:
        click.echo(f"{row.board}: {row.performance.basis}, against {row.verified.against}")
        for warning in row.performance.energy.warnings:
            click.echo(f"  {warning}")


@click.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("snnstack-demo"),
              show_default=True, metavar="DIR", help="A new directory for all programs.")  # fmt: skip
@click.option("--board", "boards", multiple=True, default=DEMO_BOARDS, help="May be repeated.")
@json_option
def demo(output: Path, boards: tuple[str, ...], as_json: bool) -> int:
    """Compile a trained digits network for several boards, prove it equal, print the table."""
    from snnstack import api
    from snnstack.errors import TargetError, fail

    model, test = _example("digits.nir"), _example("digits_test.npz")
    if output.exists():
        raise fail(TargetError, str(output), "already exists", "remove it or give another -o")
    with progress("running in QEMU") as update:
        rows = api.bench(
            model, boards, test, progress=lambda board, done, total: update(done, total)
        )
    for board in boards:
        api.save(api.build(model, board, test), output / board)
    if as_json:
        print_json([row.to_dict() for row in rows])
    else:
        show_rows(rows)
        click.echo(f"programs: {output}/<board>")
    return 0 if all(row.bit_exact for row in rows) else 1


def _example(name: str) -> Path:
    """A file of the source tree's `examples/`."""
    from snnstack.errors import TargetError, fail

    for folder in (Path.cwd(), Path(__file__).resolve().parents[2]):
        if (folder / "examples" / name).is_file():
            return folder / "examples" / name
    what = "is not here: the demo uses the examples of the source tree"
    raise fail(TargetError, f"examples/{name}", what, "run it in a clone of the project")
