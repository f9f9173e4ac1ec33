"""The independent run of a program: Lava where it is installed, else the plain definition.

Whoever shows the result shows `describe` with it, so that nobody takes one for the other.
"""

from __future__ import annotations

from collections.abc import Sequence

from snnstack.backends.loihi import lava
from snnstack.backends.loihi.program import Program
from snnstack.backends.loihi.proof import check_input
from snnstack.backends.loihi.run_reference import reference
from snnstack.ir.nodes import Array
from snnstack.target import Progress
from snnstack.trace import Spikes, Trace


def describe(program: Program) -> str:
    """What `run` executes on; without Lava, that it is missing and how to install it."""
    if lava.installed():
        return lava.describe(program)
    return f"the integer reference, plain numpy; Lava is not installed ({lava.INSTALL})"


def run(
    program: Program,
    spikes: Spikes | Array,
    *,
    probes: Sequence[tuple[str, str]] = (),
    progress: Progress | None = None,
) -> Trace:
    """`program` on `spikes` and `program.drain` empty steps, in what `describe` names."""
    check_input(program, spikes)
    if lava.installed():
        return lava.run(program, spikes, probes=probes, progress=progress)
    found = reference(program, None, spikes, probes)
    if progress is not None:
        batch = spikes.batch if isinstance(spikes, Spikes) else len(spikes)
        progress(batch, batch)
    return found
