"""Write a `Trace` to an .npz: spikes as address-events, states as they are."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from snnstack.files import write_file
from snnstack.ir.nodes import Array
from snnstack.trace import Trace


def write_trace(trace: Trace, path: Path) -> None:
    """Arrays `<population>/indptr`, `/indices`, `/shape` [batch, steps, *shape], `/<variable>`.

    The events of step t of sample b are `indices[indptr[b * steps + t]:indptr[... + 1]]`.
    """
    arrays: dict[str, Array] = {}
    for name, spikes in trace.spikes.items():
        arrays[f"{name}/indptr"] = spikes.indptr
        arrays[f"{name}/indices"] = spikes.indices
        arrays[f"{name}/shape"] = np.array([spikes.batch, spikes.steps, *spikes.shape])
    for (name, variable), values in trace.states.items():
        arrays[f"{name}/{variable}"] = values
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    write_file(buffer.getvalue(), path)
