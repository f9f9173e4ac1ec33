"""A benchmark as tables, with what a reader must know below them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from snnstack.cli.show import band, digits, percent, say, settings_line, table

if TYPE_CHECKING:
    from snnstack.report.bench import BenchRow
    from snnstack.report.operations import Operations
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
    say(f"{first.settings['name']}: {settings_line(first.settings)}")
    float_ = percent(first.accuracy_float)
    say(f"{first.samples} samples of {first.steps} steps, float accuracy {float_}")
    say()
    table("mean of an inference: expected (lowest-highest), ~ estimated", HEADER, _cells(rows))
    for row in rows:
        for line in _notes(row):
            say(line)
    say()
    table("resources, and operations per inference (NeuroBench)", RESOURCES, _resources(rows))
    _show_opponents(rows)


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
                digits(row.performance.energy.total.typical / cost.energy.total.typical),
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
