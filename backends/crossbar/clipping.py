"""Which tiles' converters clipped, from the counts of an emulated chip."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from snnstack.backends.crossbar.hardware import hardware
from snnstack.backends.crossbar.program import Program
from snnstack.report.clipping import Clipped

REMEDY = (
    "--calibrate on data as busy as this, or take a wider range: --set hardware.adc_bits={more}, "
    "or 0: no loss"
)


def clipped(program: Program, rows: Mapping[str, Mapping[str, int]]) -> Iterator[Clipped]:
    """Every tile of a lossy converter whose conversions `rows` {tile: {count: sum}} counts."""
    bits = hardware(program.board).adc_bits
    if bits == 0:
        return
    for tile in program.tiles:
        row = rows.get(tile.name, {})
        if row.get("conversions"):
            where = f"{tile.name} ({tile.route.source} -> {tile.route.target})"
            remedy = REMEDY.format(more=min(bits + 2, 16))
            yield Clipped(where, row["clipped"], row["conversions"], remedy)
