"""Write traces to an .npz, batch by batch: spikes as address-events, states as they are."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from snnstack.files import disk_errors, replacing
from snnstack.ir.nodes import Array
from snnstack.trace import Trace


@contextmanager
def trace_file(path: Path) -> Iterator[Callable[[Trace], None]]:
    """A function that takes the traces of consecutive batches; at the end `path` has them all.

    Arrays `<population>/indptr`, `/indices`, `/shape` [batch, steps, *shape], `/<variable>`, and
    `/values` of events that carry numbers, like `indices`. The events of step t of sample b are
    `indices[indptr[b * steps + t]:indptr[... + 1]]`. Batches wait
    on the disk, beside `path`, not in memory. If anything fails, `path` stays as it was.
    """
    with ExitStack() as stack:
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        columns: dict[str, _Column] = {}
        shapes: dict[str, Array] = {}

        def add(name: str, rows: Array) -> None:
            with disk_errors(path):
                if name not in columns:
                    spool = stack.enter_context(tempfile.TemporaryFile(dir=path.parent))
                    columns[name] = _Column(spool)
                columns[name].add(rows)

        def keep(trace: Trace) -> None:
            for name, spikes in trace.spikes.items():
                before = columns.get(f"{name}/indptr")
                ends = spikes.indptr if before is None else spikes.indptr[1:] + before.last
                add(f"{name}/indptr", ends)
                add(f"{name}/indices", spikes.indices)
                if spikes.values is not None:
                    add(f"{name}/values", spikes.values)
                samples = spikes.batch + (int(shapes[name][0]) if name in shapes else 0)
                shapes[name] = np.array([samples, spikes.steps, *spikes.shape])
            for (name, variable), values in trace.states.items():
                add(f"{name}/{variable}", values)

        yield keep
        with replacing(path) as file:
            _write(file, columns, shapes)


def _write(file: IO[bytes], columns: dict[str, _Column], shapes: dict[str, Array]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, column in columns.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                column.copy_to(member)
        for name, shape in shapes.items():
            with archive.open(f"{name}/shape.npy", "w") as member:
                np.lib.format.write_array(member, shape)  # type: ignore[no-untyped-call]


class _Column:
    """Rows of one array, on the disk until their number is known."""

    def __init__(self, spool: IO[bytes]) -> None:
        self.spool, self.rows, self.last = spool, 0, 0
        self.kind: tuple[np.dtype, tuple[int, ...]] | None = None

    def add(self, rows: Array) -> None:
        self.kind = (rows.dtype, rows.shape[1:])
        self.rows += len(rows)
        self.last = int(rows[-1]) if rows.ndim == 1 and len(rows) else self.last
        self.spool.write(rows.tobytes())

    def copy_to(self, member: IO[bytes]) -> None:
        assert self.kind is not None
        dtype, shape = self.kind
        header = {
            "descr": np.lib.format.dtype_to_descr(dtype),  # type: ignore[no-untyped-call]
            "fortran_order": False,
            "shape": (self.rows, *shape),
        }
        np.lib.format.write_array_header_2_0(member, header)  # type: ignore[no-untyped-call]
        self.spool.seek(0)
        shutil.copyfileobj(self.spool, member)
