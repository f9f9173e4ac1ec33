"""A benchmark as tables, with what a reader must know below them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from snnstack.cli.show import say, settings_line, table
from snnstack.report.document import Row, rows_of
from snnstack.report.numbers import band, digits, percent
from snnstack.report.readout import readout_said
from snnstack.report.shown import headline, operations_text, ratio

if TYPE_CHECKING:
    from snnstack.report.bench import BenchRow
    from snnstack.report.opponent import AnnResult

HEADER = ("board", "accuracy %", "spikes equal %", "exact", "latency ms", "energy uJ",
          "flash KiB", "RAM KiB")  # fmt: skip
RESOURCES = ("board", "cores", "fullest", "per s", "uJ, 90 % of draws", "ACs", "MACs", "dense",
             "silent")  # fmt: skip
OPPONENTS = ("board", "accuracy", "without spikes", "energy uJ", "without spikes uJ", "times that",
             "latency ms", "without spikes ms")  # fmt: skip


def show_rows(rows: Sequence[BenchRow]) -> None:
    """The benchmark as a table, with what a reader must know below it."""
    first = rows[0]
    checked = [as_row(row) for row in rows]
    say(f"{first.settings['name']}: {settings_line(first.settings)}")
    float_ = headline(checked[0]).accuracy_float
    say(f"class: {readout_said(first.settings)}")
    say(f"{first.samples} samples of {first.steps} steps, float accuracy {float_}")
    say()
    table("mean of an inference: expected (lowest-highest), ~ estimated", HEADER, _cells(checked))
    for row in rows:
        for line in _notes(row):
            say(line)
    say()
    table(_operations_title(checked), RESOURCES, _resources(checked))
    _show_opponents(rows)


def as_row(row: BenchRow) -> Row:
    """The row as `--json` prints it: what is shown is what is printed."""
    (found,) = rows_of([row.to_dict()], row.board)
    assert isinstance(found, Row)
    return found


def _operations_title(rows: Sequence[Row]) -> str:
    """With what was counted."""
    of = dict.fromkeys(r.operations.counted_on for r in rows if r.operations is not None)
    return f"resources, and operations per inference (NeuroBench) of {' or '.join(of) or 'nothing'}"


def _show_opponents(rows: Sequence[BenchRow]) -> None:
    """Where there are networks without spikes: accuracy and cost of either side by side."""
    both = [(row, row.ann) for row in rows if row.ann is not None]
    if not both:
        return
    fit = both[0][1].fit
    say()
    table(f"beside {fit.widths} without spikes, int8, one pass", OPPONENTS, _beside(both))
    say(f"it reads {fit.given}; {fit.trained}")
    for verdict, boards in _grouped((a.fit.verdict(r.accuracy), r.board) for r, a in both):
        if verdict:
            say(f"{boards}: {verdict}")
    if fit.left_out:
        say(f"left out: {', '.join(fit.left_out)}")
    if fit.accuracy_float is not None:
        say(f"before rounding to int8: {percent(fit.accuracy_float)}")
    for row, ann in both:
        say(f"{row.board}: {ann.performance.basis}")
    for words, boards in _grouped((_proof(ann), row.board) for row, ann in both):
        say(f"{boards}: {words}")


def _proof(ann: AnnResult) -> str:
    """Whether the kernels compute what accuracy was counted with."""
    return (
        f"{ann.mismatches} of its outputs for {ann.verified_samples} samples in QEMU differ from "
        "those of its definition, by which accuracy is counted"
    )


def _grouped(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """(words, all boards that they hold for), each words once."""
    found: dict[str, list[str]] = {}
    for words, board in pairs:
        found.setdefault(words, []).append(board)
    return [(words, ", ".join(boards)) for words, boards in found.items()]


def _beside(both: Sequence[tuple[BenchRow, AnnResult]]) -> list[list[str]]:
    cells = []
    for row, ann in both:
        cost = ann.performance
        cells.append(
            [
                row.board,
                percent(row.accuracy),
                "unknown" if ann.fit.accuracy is None else percent(ann.fit.accuracy),
                digits(row.performance.energy.total.typical),
                band(*cost.energy.total),
                ratio(row.performance.energy.total, cost.energy.total),
                digits(row.performance.latency.typical * 1e3),
                digits(cost.latency.typical * 1e3),
            ]
        )
    return cells


def _notes(row: BenchRow) -> Iterator[str]:
    """What the figures of a row rest on."""
    events = f"{row.synops:.0f} synops, {row.spikes:.0f} spikes"
    yield f"{row.board}: {events}; {row.performance.basis}"
    yield f"  {_verdict(row)}"
    if row.chips is not None:
        yield f"  {row.chips}"
    if row.memory_basis:
        yield f"  memory: {row.memory_basis}"
    for note in (*row.notes, *row.performance.energy.warnings):
        yield f"  {note}"


def _resources(rows: Sequence[Row]) -> list[list[str]]:
    cells = []
    for row in rows:
        head = headline(row)
        shown = [head.cores, head.fullest, head.per_second, head.interval_uj]
        cells.append([row.board, *shown, *operations_text(row)])
    return cells


def _cells(rows: Sequence[Row]) -> list[list[str]]:
    cells = []
    for row in rows:
        head, mark = headline(row), "~" if row.board_status == "estimated" else ""
        cells.append(
            [
                row.board,
                *(share.removesuffix(" %") for share in (head.accuracy, head.spikes_equal)),
                head.exact,
                mark + head.latency_ms,
                mark + head.energy_uj,
                head.flash_kib,
                head.ram_kib,
            ]
        )
    return cells


def _verdict(row: BenchRow) -> str:
    found = row.verified
    return f"{found.mismatches} mismatches in {found.samples} samples against {found.against}"
