"""Output neurons that never spike: an output of that class can never be found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack.trace import Trace

NAMED = 12
"""Neurons that are named; the rest is counted."""


@dataclass(frozen=True)
class Dead:
    """Of the `of` neurons of `output` those of `neurons` never spike; `lost`: they do in float."""

    output: str
    of: int
    neurons: tuple[int, ...]
    lost: tuple[int, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)

    def __str__(self) -> str:
        if len(self.neurons) == self.of:
            text = f"output {self.output} never spikes on these samples"
        else:
            of = f"{len(self.neurons)} of {self.of} neurons"
            text = f"output {self.output}: {of} never spike on these samples: "
            text += listed(self.neurons)
        return f"{text}; in float {listed(self.lost)} do" if self.lost else text


def listed(neurons: Sequence[int]) -> str:
    """Numbers, the first of many.

    >>> listed([3, 7]), listed(range(14))
    ('3, 7', '0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 2 more')
    """
    shown = ", ".join(map(str, neurons[:NAMED]))
    return shown + (f" and {len(neurons) - NAMED} more" if len(neurons) > NAMED else "")


class Fired:
    """How often every neuron of the outputs fires, added up over runs."""

    def __init__(self, outputs: Sequence[str]) -> None:
        self.outputs = tuple(outputs)
        self._here: dict[str, NDArray[np.int64]] = {}
        self._float: dict[str, NDArray[np.int64]] = {}

    def add(self, trace: Trace, real: Trace | None = None) -> None:
        """One more run, and the float network's on the same samples."""
        _add(self._here, self.outputs, trace)
        if real is not None:
            _add(self._float, self.outputs, real)

    def dead(self) -> tuple[Dead, ...]:
        """Of every output that fires and has neurons that never did."""
        found = []
        for name, counts in self._here.items():
            silent = np.flatnonzero(counts == 0)
            before = self._float.get(name)
            lost = () if before is None else tuple(silent[before[silent] > 0].tolist())
            if len(silent):
                found.append(Dead(name, len(counts), tuple(silent.tolist()), lost))
        return tuple(found)


def dead_of(outputs: Sequence[str], trace: Trace, real: Trace | None = None) -> tuple[Dead, ...]:
    """Those of a single run."""
    fired = Fired(outputs)
    fired.add(trace, real)
    return fired.dead()


def _add(sums: dict[str, NDArray[np.int64]], outputs: Sequence[str], trace: Trace) -> None:
    for name in outputs:
        if name in trace.spikes:
            counts = np.asarray(trace.spikes[name].per_neuron().sum(axis=0), dtype=np.int64)
            sums[name] = sums[name] + counts if name in sums else counts
