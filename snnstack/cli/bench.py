"""Verbs that measure: `bench` and `demo`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    quality_option,
    set_option,
    weight_bits_option,
    with_figures,
)
from snnstack.cli.program import is_new
from snnstack.cli.show import (
    band,
    digits,
    percent,
    print_json,
    progress,
    settings_line,
    table,
)

if TYPE_CHECKING:
    from snnstack.api import Build
    from snnstack.report.bench import BenchRefusal, BenchRow
    from snnstack.report.operations import Operations

DEMO_BOARDS = ("microbit-v1", "nucleo-l152re", "nucleo-l4r5zi", "nucleo-h7a3zi-q",
               "nucleo-u575zi-q", "esp32-c3", "oheo-gulch", "spinnaker2-chip",
               "neurram")  # fmt: skip
DEMO_CHIPS = 4
DEMO_PAGE = "report.html"

HEADER = ("board", "accuracy %", "spikes equal %", "exact", "latency ms", "energy uJ",
          "flash KiB", "RAM KiB")  # fmt: skip
RESOURCES = ("board", "cores", "fullest", "per s", "uJ, 90 % of draws", "ACs", "MACs", "dense",
             "silent")  # fmt: skip


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
@click.option("--seeds", type=click.IntRange(min=0), default=0, show_default=True, metavar="N",
              help="Chips of an analogue target to draw: mean, spread, worst, yield.",
              )  # fmt: skip
@click.option("--ann", is_flag=True,
              help="Also price a network of the same shape without spikes on the same board.",
              )  # fmt: skip
@click.option("--keep-going", is_flag=True,
              help="A board that cannot take the model becomes a row that says why.",
              )  # fmt: skip
@set_option
@granularity_option
@weight_bits_option
@quality_option
@model_options
@json_option
@click.option("--csv", "csv_file", type=click.Path(path_type=Path), metavar="FILE",
              help="Also write the rows as CSV.")  # fmt: skip
@click.option("--html", "html_file", type=click.Path(path_type=Path), metavar="FILE",
              help="Also write one self-contained page with figures.")  # fmt: skip
@click.pass_obj
def bench(
    written: list[str], /, model: Path, boards: tuple[str, ...], data: str,
    calibrate: str | None, samples: int | None, verify_samples: int, period: float | None,
    seeds: int, ann: bool, keep_going: bool, figures: tuple[str, ...], granularity: Any,
    weight_bits: int | None, quality: Any, as_json: bool, csv_file: Path | None,
    html_file: Path | None, **choices: Any,
) -> int:  # fmt: skip
    """Measure MODEL on boards: accuracy, agreement, latency, energy, memory per inference.

    Exit code 1 if a board's run is not the emulator's, spike for spike and state for state, or
    if a board could not take the model.
    """
    from snnstack import api

    refused: list[BenchRefusal] = []
    with progress("emulating") as update:
        rows = api.bench(
            model, [with_figures(board, figures) for board in boards], data,
            calibrate=calibrate, options=options(choices), granularity=granularity,
            weight_bits=weight_bits, quality=quality, samples=samples,
            verify_samples=verify_samples,
            period_s=period, seeds=seeds, ann=ann,
            progress=update,
            figures=as_json or html_file is not None,
            refused=refused.append if keep_going else None,
        )  # fmt: skip
    plain = [row.to_dict() for row in rows] + [row.to_dict() for row in refused]
    _write_files(plain, csv_file, html_file, written)
    if as_json:
        print_json(plain)
    else:
        show_rows(rows)
        for name in written:
            click.echo(f"written: {name}")
        if calibrate is None:
            click.echo("scales fitted to the samples themselves: --calibrate names others")
    _say_refused(refused)
    return 0 if all(row.bit_exact is not False for row in rows) and not refused else 1


def _write_files(
    rows: list[dict[str, Any]], csv_file: Path | None, html_file: Path | None, written: list[str]
) -> None:
    """The rows as files; each name is added to `written`."""
    from snnstack.files import write_file
    from snnstack.report.flat import csv_text, flat
    from snnstack.report.page import page

    if csv_file is not None:
        write_file(csv_text(map(flat, rows)).encode(), csv_file)
        written.append(str(csv_file))
    if html_file is not None:
        write_file(page(rows).encode(), html_file)
        written.append(str(html_file))


def show_rows(rows: Sequence[BenchRow]) -> None:
    """The benchmark as a table, with what a reader must know below it."""
    first = rows[0]
    click.echo(f"{first.settings['name']}: {settings_line(first.settings)}")
    float_ = percent(first.accuracy_float)
    click.echo(f"{first.samples} samples of {first.steps} steps, float accuracy {float_}")
    click.echo()
    table("mean of an inference: expected (lowest-highest), ~ estimated", HEADER, _cells(rows))
    for row in rows:
        for line in _notes(row):
            click.echo(line)
    click.echo()
    table("resources, and operations per inference (NeuroBench)", RESOURCES, _resources(rows))


def _notes(row: BenchRow) -> Iterator[str]:
    """What the figures of a row rest on."""
    events = f"{row.synops:.0f} synops, {row.spikes:.0f} spikes"
    yield f"{row.board}: {events}; {row.performance.basis}"
    yield f"  {_verdict(row)}"
    if row.chips is not None:
        yield f"  {row.chips}"
    if row.ann is not None:
        energy, latency = row.ann.energy.total, row.ann.latency.typical * 1e3
        ratio = row.performance.energy.total.typical / energy.typical
        yield (
            f"  without spikes, same shape, int8: {band(*energy)} uJ, {digits(latency)} ms; "
            f"the spiking network takes {digits(ratio)} times that energy"
        )
        yield f"    {row.ann.basis}"
    for note in (*row.notes, *row.performance.energy.warnings):
        yield f"  {note}"


def _resources(rows: Sequence[BenchRow]) -> list[list[str]]:
    cells = []
    for row in rows:
        used, available = row.cores
        name, share = max(row.utilisation.items(), key=lambda item: item[1], default=("-", 0.0))
        interval = row.performance.energy.interval()
        cells.append(
            [
                row.board,
                f"{used}/{available}",
                f"{100 * share:.3g} % {name.replace('_', ' ')}",
                digits(row.throughput.typical),
                f"{digits(interval.low, 2)}-{digits(interval.high, 2)}",
                *_operations(row.operations),
            ]
        )
    return cells


def _operations(found: Operations | None) -> list[str]:
    if found is None:
        return ["-"] * 4
    counts = (found.effective_acs, found.effective_macs, found.dense)
    return [*map(digits, counts), percent(found.activation_sparsity)]


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
    """Compile a trained digits network for boards of every target, prove it equal, measure it.

    DIR gets a program for each board, and report.html: one page about all of them.
    """
    from snnstack import api
    from snnstack.files import write_file
    from snnstack.report.page import page

    is_new(output)
    model, test, train = (_example(f"digits{end}") for end in (".nir", "_test.npz", "_train.npz"))
    kept: list[Build] = []
    refused: list[BenchRefusal] = []
    with progress("emulating") as update:
        rows = api.bench(
            model, boards, test, calibrate=train, seeds=DEMO_CHIPS, progress=update,
            keep=kept.append, refused=refused.append,
        )  # fmt: skip
    plain = [row.to_dict() for row in rows] + [row.to_dict() for row in refused]
    api.save_all({built.program.board.name: built for built in kept}, output)
    written.append(str(output))
    write_file(page(plain).encode(), output / DEMO_PAGE)
    if as_json:
        print_json(plain)
    else:
        show_rows(rows)
        click.echo(f"\npage: {output}/{DEMO_PAGE}")
        click.echo(f"programs: {output}/<board>")
    _say_refused(refused)
    return 0 if all(row.bit_exact is not False for row in rows) and not refused else 1


def _say_refused(refused: Sequence[BenchRefusal]) -> None:
    """Why a board is not in the table, one line for each problem."""
    for refusal in refused:
        for problem in refusal.problems:
            click.echo(f"error: {refusal.board}: {problem}", err=True)


def _example(name: str) -> Path:
    """A file of the source tree's `examples/`."""
    from snnstack.errors import TargetError, fail

    here, package = Path.cwd(), Path(__file__).resolve().parents[2]
    for folder in (package, here, *here.parents):
        if (folder / "examples" / name).is_file():
            return folder / "examples" / name
    what = "is not here: the demo uses the examples of the source tree"
    raise fail(TargetError, f"examples/{name}", what, "run it in a clone of the project")
