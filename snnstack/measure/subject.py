"""What is measured, and how: `Subject` and `Choices`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snnstack.building import Build
from snnstack.door import positive, whole
from snnstack.program import Program
from snnstack.quant.network import QuantizedNetwork
from snnstack.report.readout import ReadOut
from snnstack.samples import Samples


@dataclass(frozen=True)
class Ann:
    """Measure a network without spikes beside: int8, of the same widths, on the same board.

    `train`: labelled samples that it is trained on (with torch). `weights`: an .npz of a trained
    one instead (`snnstack.frontends.opponent_file`). With neither it is priced, and its accuracy
    is unknown. `windows`: counts of events that it reads of every input, one after the other in
    time; None: 1, or 8 for a network with loops or delays. `fit`: samples that the scales of
    read weights are fitted to; None: those that are measured.
    """

    train: Samples | None = None
    weights: str | Path | None = None
    windows: int | None = None
    fit: Samples | None = None


MOST_CHIPS = 100_000
"""That one benchmark draws: days of work."""
MOST_SECONDS = 1e9
"""Between two inferences: thirty years, longer than any battery."""


@dataclass(frozen=True)
class Choices:
    """What a benchmark does besides emulating: see `snnstack.bench`.

    `verify_samples` 0: no comparison, and an independent run only where the price needs one.
    `seed`: emulate this chip of an analogue target instead of the exact machine. `strict`:
    converters that clip beyond the stated share are a ModelError.
    `readout`: None for the one that the program says.
    """

    verify_samples: int = 16
    period_s: float | None = None
    seeds: int = 0
    ann: Ann | None = None
    figures: bool = True
    seed: int | None = None
    strict: bool = False
    readout: ReadOut | None = None

    def __post_init__(self) -> None:
        """TargetError for a number out of its range."""
        whole(self.verify_samples, "verify_samples", 0)
        whole(self.seeds, "seeds", 0, MOST_CHIPS)
        whole(self.seed, "seed", 0)
        positive(self.period_s, "period_s", "seconds", MOST_SECONDS)


@dataclass(frozen=True, eq=False)
class Subject:
    """What is measured; `conversion`: the report of its compilation as plain data.

    `network` None: the program's integers came from a file; what operations are counted on is
    then the backend's `wiring`, where it has one.
    """

    program: Program
    network: QuantizedNetwork | None
    conversion: Mapping[str, Any] | None

    @classmethod
    def of(cls, built: Build) -> Subject:
        """A build without its float side."""
        report = None if built.conversion is None else built.conversion.to_dict()
        return cls(built.program, built.network, report)
