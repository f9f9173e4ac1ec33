"""The one door to foreign HDF5 files: nothing in them leads out of them, in circles or too far.

A file's whole tree is looked at before anything of it is handed out: links to other places, data
kept in other files, filters that load code, and groups that contain themselves are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from snnstack.errors import ModelError, Problem, SnnstackError, TargetError, fail, raise_if_any
from snnstack.files import write_file
from snnstack.foreign import trusted
from snnstack.foreign.limits import check_room

SIGNATURE = b"\x89HDF\r\n\x1a\n"
DEEPEST = 40
"""Nested groups."""
MOST_OBJECTS = 100_000
"""Groups and data sets, each as often as there are ways to it."""
LARGEST = 2**31
"""Bytes of one data set that are read at once."""
SMALL = 2**26
"""Bytes that any file may claim."""
DENSEST = 1100
"""Bytes in memory for one in the file; deflate, the densest filter, ends at 1032."""
FILTERS = {1: "gzip", 2: "shuffle", 3: "fletcher32", 4: "szip", 5: "nbit", 6: "scaleoffset",
           32000: "lzf"}  # fmt: skip
"""Those that HDF5 and h5py bring with them; all others are loaded from elsewhere."""

INSIDE = "store the data in the file"
AGAIN = "copy or download it again"
TRUST = "store it with gzip, or say --trust for a file that you trust"


def is_hdf5(path: Path) -> bool:
    """Whether a file begins as HDF5 does: at byte 0, 512, 1024 and so on, doubled each time."""
    size, at = path.stat().st_size, 0
    with path.open("rb") as file:
        while at < size:
            file.seek(at)
            if file.read(len(SIGNATURE)) == SIGNATURE:
                return True
            at = 2 * at or 512
    return False


@contextmanager
def opened(path: str, kind: type[SnnstackError]) -> Iterator[Any]:
    """The file, read-only, with everything in it looked at; `kind` with all that is refused.

    What HDF5 itself cannot open is said in a few words.
    """
    import h5py

    try:
        file = h5py.File(path, "r")
    except PermissionError:
        raise fail(kind, path, "it may not be read", "change its permissions") from None
    except OSError as error:
        stored = re.search(r"stored_eof = (\d+)", str(error))
        if stored:
            what = f"it is cut short: {Path(path).stat().st_size} of {stored.group(1)} bytes"
            raise fail(kind, path, what, AGAIN) from error
        raise
    with file:
        raise_if_any(kind, _Look(path).problems(file.id))
        yield file


class _Look:
    """A walk over a file that meets every group once; `sizes` are the objects below each."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.sizes: dict[int, int] = {}

    def problems(self, root: Any) -> Iterator[Problem]:
        import h5py

        yield from self._group(root, "", {})
        if self.sizes[h5py.h5o.get_info(root).addr] > MOST_OBJECTS:
            what = f"it names more than {MOST_OBJECTS} groups and data sets"
            yield Problem(self.path, what, "are groups linked to one another?")

    def _group(self, group: Any, name: str, above: dict[int, str]) -> Iterator[Problem]:
        """`above`: the groups that hold this one, by their places in the file."""
        import h5py

        here, size = h5py.h5o.get_info(group).addr, 0
        if here in above:
            back = f"it leads back to {above[here] or '/'}"
            what = f"{name} is nested more than {DEEPEST} deep: {back}"
            yield Problem(self.path, what, "copy the data instead of linking to it")
            return
        if len(above) > DEEPEST:
            yield Problem(self.path, f"{name} is nested more than {DEEPEST} deep")
            return
        inside = {**above, here: name}
        for key in list(group)[: MOST_OBJECTS + 1]:
            inner = f"{name}/{key.decode('utf8', 'replace')}"
            size += 1
            if group.links.get_info(key).type != h5py.h5l.TYPE_HARD:
                what = f"{inner} is a link to elsewhere, not data"
                yield Problem(self.path, what, INSIDE)
                continue
            item = h5py.h5o.open(group, key)
            if isinstance(item, h5py.h5g.GroupID):
                place = h5py.h5o.get_info(item).addr
                if place not in self.sizes:
                    yield from self._group(item, inner, inside)
                size += self.sizes.get(place, 0)
            elif isinstance(item, h5py.h5d.DatasetID):
                yield from self._dataset(item, inner)
        self.sizes[here] = size

    def _dataset(self, item: Any, name: str) -> Iterator[Problem]:
        """Before its shape is asked for: for a virtual one that opens the other files."""
        import h5py

        made = item.get_create_plist()
        if made.get_layout() == h5py.h5d.VIRTUAL or made.get_external_count():
            what = f"{name} is kept in other files, not in this one"
            yield Problem(self.path, what, INSIDE)
        used = [made.get_filter(k)[0] for k in range(made.get_nfilters())]
        foreign = [] if trusted() else [number for number in used if number not in FILTERS]
        if foreign:
            what = f"{name} is packed by the filter {foreign[0]}, which HDF5 loads from elsewhere"
            yield Problem(self.path, what, TRUST)


def oversized(item: Any, largest: float = LARGEST) -> str:
    """What is wrong with the size of a data set; "" if nothing is.

    `largest`: bytes that may be read at once; infinite for what is read in parts.
    """
    size, stored = item.nbytes, item.id.get_storage_size()
    claim = f"{item.name} claims {item.size} elements of {item.dtype.itemsize} bytes"
    if size > largest:
        return f"{claim}: too many"
    if size > SMALL and size > DENSEST * stored and not trusted():
        return f"{claim}, the file holds {stored} bytes"
    return ""


def whole(item: Any, path: str, kind: type[SnnstackError]) -> Any:
    """A data set as an array; `kind` where a small file claims a large one."""
    wrong = oversized(item)
    if wrong:
        raise fail(kind, path, wrong, AGAIN)
    check_room((item.size or 0) * item.dtype.itemsize)
    return item[()]


def write_model(content: bytes, path: Path) -> None:
    """A model's file, made in memory: libhdf5 crashes where it meets a full disk itself.

    An existing file is replaced in one step, or stays as it was. ModelError for what the disk
    refuses.
    """
    try:
        write_file(content, path)
    except TargetError as error:
        told = [Problem(p.where, f"it {p.what}", p.hint) for p in error.problems]
        raise ModelError(told) from error
