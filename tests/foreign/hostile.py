"""HDF5 files that lead out of themselves, in circles, or claim what they do not hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

SECRET = np.arange(3.0)


def external_storage(file: Any, name: str) -> None:
    """The values lie in a file beside this one."""
    Path(file.filename).with_name("secret.bin").write_bytes(SECRET.tobytes())
    made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    made.set_external(b"secret.bin", 0, SECRET.nbytes)
    low(file, name, made)


def virtual(file: Any, name: str) -> None:
    """The values lie in a data set of another file."""
    other = Path(file.filename).with_name("secret.h5")
    with h5py.File(other, "w") as secret:
        secret["x"] = SECRET
    layout = h5py.VirtualLayout(shape=(3,), dtype="f8")
    layout[:] = h5py.VirtualSource(str(other), "x", shape=(3,))
    file.create_virtual_dataset(name, layout)


def unknown_filter(file: Any, name: str) -> None:
    """A filter that HDF5 would look for among its plug-ins; data set without a chunk written."""
    made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    made.set_chunk((3,))
    made.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, (3,))
    low(file, name, made)


def soft_link(file: Any, name: str) -> None:
    """The name of a place."""
    file[name] = h5py.SoftLink("/elsewhere")


def external_link(file: Any, name: str) -> None:
    """The name of a place in another file."""
    file[name] = h5py.ExternalLink("/etc/passwd", "/")


def cycle(file: Any, name: str) -> None:
    """A group that holds the root."""
    file.create_group(name)["again"] = file["/"]


def diamonds(file: Any, name: str) -> None:
    """Forty groups, each twice in the one before: 2**40 ways to the last."""
    group = file.create_group(name)
    for _ in range(35):
        inner = group.create_group("a")
        group["b"] = inner
        group = inner


def gigabytes(file: Any, name: str) -> None:
    """Never written: a few bytes that stand for 13 GB of nothing."""
    file.create_dataset(name, shape=(13 * 10**9 // 8,), dtype="f8", chunks=(2**20,))


def bomb(file: Any, name: str) -> None:
    """Zeros, packed as densely as gzip can."""
    file.create_dataset(name, data=np.zeros(2**22), compression="gzip", chunks=(2**22,))


def low(file: Any, name: str, made: Any) -> None:
    """A data set of three numbers with the creation properties `made`."""
    space = h5py.h5s.create_simple((3,))
    links = h5py.h5p.create(h5py.h5p.LINK_CREATE)
    links.set_create_intermediate_group(True)
    h5py.h5d.create(file.id, name.encode(), h5py.h5t.IEEE_F64LE, space, made, links)


ELSEWHERE = "a link to elsewhere, not data (store the data in the file)"
OUTSIDE = "kept in other files, not in this one (store the data in the file)"
HOSTILE: dict[str, tuple[Callable[[Any, str], None], str]] = {
    "external storage": (external_storage, f"NAME is {OUTSIDE}"),
    "virtual data set": (virtual, f"NAME is {OUTSIDE}"),
    "unknown filter": (
        unknown_filter,
        "NAME is packed by the filter 32015, which HDF5 loads from elsewhere "
        "(store it with gzip, or say --trust for a file that you trust)",
    ),
    "soft link": (soft_link, f"NAME is {ELSEWHERE}"),
    "external link": (external_link, f"NAME is {ELSEWHERE}"),
    "cycle": (
        cycle,
        "NAME/again is nested more than 40 deep: it leads back to / "
        "(copy the data instead of linking to it)",
    ),
    "diamonds": (
        diamonds,
        "it names more than 100000 groups and data sets (are groups linked to one another?)",
    ),
}
"""{kind: (what makes it, what is said)}; NAME is where it was put."""
