"""Verbs that measure: `bench` and `demo`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from snnstack.cli.options import (
    POSITIVE,
    ann_choice,
    ann_options,
    calibrate_option,
    data_option,
    granularity_option,
    json_option,
    model_options,
    options,
    quality_option,
    set_option,
    strict_option,
    weight_bits_option,
    with_figures,
)
from snnstack.cli.program import is_new
from snnstack.cli.show import print_json, progress, say, say_lines, say_losses
from snnstack.cli.verb import OutputDirectory, OutputFile, Verb
from snnstack.foreign_text import visible

if TYPE_CHECKING:
    from snnstack.api import Build
    from snnstack.report.bench import BenchRefusal, BenchRow

DEMO_BOARDS = ("microbit-v1", "nucleo-l152re", "nucleo-l4r5zi", "nucleo-h7a3zi-q",
               "nucleo-u575zi-q", "esp32-c3", "oheo-gulch", "spinnaker2-chip",
               "neurram")  # fmt: skip
DEMO_CHIPS = 4
DEMO_PAGE = "report.html"


@click.command(cls=Verb, short_help="Measure a model on boards.")
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
@ann_options
@click.option("--keep-going", is_flag=True,
              help="A board that cannot take the model becomes a row that says why.",
              )  # fmt: skip
@set_option
@granularity_option
@weight_bits_option
@quality_option
@strict_option
@model_options
@json_option
@click.option("--csv", "csv_file", type=OutputFile(".csv"), metavar="FILE",
              help="Also write the rows as CSV.")  # fmt: skip
@click.option("--html", "html_file", type=OutputFile(".html", ".htm"), metavar="FILE",
              help="Also write one self-contained page with figures.")  # fmt: skip
@click.pass_obj
def bench(
    written: list[str], /, model: Path, boards: tuple[str, ...], data: str,
    calibrate: str | None, samples: int | None, verify_samples: int, period: float | None,
    seeds: int, keep_going: bool, figures: tuple[str, ...], granularity: Any,
    weight_bits: int | None, quality: Any, strict: bool, as_json: bool, csv_file: Path | None,
    html_file: Path | None, **choices: Any,
) -> int:  # fmt: skip
    """Measure MODEL on boards: accuracy, agreement, latency, energy, memory per inference.

    Exit code 1 if a board's run is not the emulator's, spike for spike and state for state (or
    that of a network without spikes not what its accuracy was counted with), or if a board could
    not take the model.
    """
    from snnstack import api
    from snnstack.cli.bench_tables import show_rows

    refused: list[BenchRefusal] = []
    ann = ann_choice(choices)
    with progress("emulating") as update:
        rows = api.bench(
            model, [with_figures(board, figures) for board in boards], data,
            calibrate=calibrate, options=options(choices), granularity=granularity,
            weight_bits=weight_bits, quality=quality, strict=strict, samples=samples,
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
            say(f"written: {name}")
        if calibrate is None:
            say("scales fitted to the samples themselves: --calibrate names others")
    for row in rows:
        say_losses(row.settings, row.board)
    _say_refused(refused)
    return 0 if _all_equal(rows) and not refused else 1


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


@click.command(cls=Verb, short_help="Compile, verify and measure a trained digits network.")
@click.option("-o", "--output", type=OutputDirectory(), default=Path("snnstack-demo"),
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
    from snnstack.cli.bench_tables import show_rows
    from snnstack.files import write_file
    from snnstack.report.page import page

    is_new(output)
    model, test, train = (_example(f"digits{end}") for end in (".nir", "_test.npz", "_train.npz"))
    kept: list[Build] = []
    refused: list[BenchRefusal] = []
    with progress("emulating") as update:
        rows = api.bench(
            model, boards, test, calibrate=train, seeds=DEMO_CHIPS, progress=update,
            ann=api.Ann(weights=_example("digits_ann.npz")), keep=kept.append,
            refused=refused.append,
        )  # fmt: skip
    plain = [row.to_dict() for row in rows] + [row.to_dict() for row in refused]
    api.save_all({built.program.board.name: built for built in kept}, output)
    written.append(str(output))
    write_file(page(plain).encode(), output / DEMO_PAGE)
    if as_json:
        print_json(plain)
    else:
        show_rows(rows)
        say()
        say(f"page: {output}/{DEMO_PAGE}")
        say(f"programs: {output}/<board>")
    _say_refused(refused)
    return 0 if _all_equal(rows) and not refused else 1


def _all_equal(rows: Sequence[BenchRow]) -> bool:
    """Whether every run, of the opponents too, gave what it had to."""
    exact = all(row.bit_exact is not False for row in rows)
    return exact and not any(row.ann is not None and row.ann.mismatches for row in rows)


def _say_refused(refused: Sequence[BenchRefusal]) -> None:
    """Why a board is not in the table, one line for each problem."""
    for refusal in refused:
        for problem in refusal.problems:
            say_lines(f"error: {visible(refusal.board)}: {problem}", err=True)


def _example(name: str) -> Path:
    """A file of the source tree's `examples/`."""
    from snnstack.errors import TargetError, fail

    here, package = Path.cwd(), Path(__file__).resolve().parents[2]
    for folder in (package, here, *here.parents):
        if (folder / "examples" / name).is_file():
            return folder / "examples" / name
    what = "is not here: the demo uses the examples of the source tree"
    raise fail(TargetError, f"examples/{name}", what, "run it in a clone of the project")
