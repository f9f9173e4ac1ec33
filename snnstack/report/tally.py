"""`Tally`: what the runs of consecutive batches add up to, without keeping the runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from snnstack.frontends.data import Data
from snnstack.report.dead import Dead, Fired
from snnstack.report.readout import ReadOut, aligned, classes
from snnstack.trace import Trace

COUNTS = ("spikes", "synops", "updates")


@dataclass(frozen=True)
class Tally:
    """`accuracy` is None without labels; `rows` {population or core: {count: sum}}; `dead`:
    output neurons that never spike.
    """

    samples: int
    accuracy: float | None
    rows: Mapping[str, Mapping[str, int]]
    dead: tuple[Dead, ...] = ()


def tally(
    runs: Iterable[tuple[Data, Trace]],
    outputs: Sequence[str],
    keep: Callable[[Trace], None] | None = None,
    readout: ReadOut | None = None,
) -> Tally:
    """Sums over all batches, classes by `readout`; `keep` is given every trace."""
    samples = right = labelled = 0
    fired = Fired(outputs)
    rows: dict[str, dict[str, int]] = {}
    for data, trace in runs:
        samples += data.spikes.batch
        fired.add(trace)
        if data.labels is not None:
            found = classes(aligned(trace, data.spikes.steps), outputs, readout)
            right += int((found == data.labels).sum())
            labelled += len(data.labels)
        for name, counts in trace.counts.items():
            row = rows.setdefault(name, dict.fromkeys(COUNTS, 0))
            for count in COUNTS:
                row[count] += int(getattr(counts, count).sum())
            for count, values in counts.other.items():
                row[count] = row.get(count, 0) + int(values.sum())
        if keep is not None:
            keep(trace)
    complete = samples > 0 and labelled == samples
    return Tally(samples, right / samples if complete else None, rows, fired.dead())
