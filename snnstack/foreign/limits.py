"""How much time and memory reading a file may take, and what keeps a process to it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

MEGABYTE = 10**6
SECONDS = 10
"""Of processor time for any file; clean ones of a megabyte take a hundredth of one."""
MEGABYTES = 1500
"""For any file, beside the interpreter and its libraries."""
SECONDS_PER_MEGABYTE = 0.2
MEGABYTES_PER_MEGABYTE = 4
"""Of the file: what is read, in memory and on its way to whoever asked, and room to spare."""
PATIENCE = 6
"""Seconds on the clock for one of processor time: other programs may be busy."""


@dataclass(frozen=True)
class Limits:
    """Of reading one file: whole seconds of processor time, megabytes of memory."""

    seconds: int
    megabytes: int

    @property
    def patience(self) -> float:
        """Seconds on the clock."""
        return float(PATIENCE * self.seconds)


def limits_for(path: Path) -> Limits:
    """By the size of the file, and of what belongs to it."""
    sizes = [p.stat().st_size for p in (path, beside(path)) if p.is_file()]
    return limits_of(sum(sizes) / MEGABYTE)


def limits_of(size: float) -> Limits:
    """For `size` megabytes of files."""
    seconds = SECONDS + size * SECONDS_PER_MEGABYTE
    return Limits(int(seconds), int(MEGABYTES + size * MEGABYTES_PER_MEGABYTE))


def beside(path: Path) -> Path:
    """Where exporters of ONNX keep large tensors."""
    return path.with_name(f"{path.name}.data")


_ROOM: list[int] = []
"""Bytes that may be taken since the last `obey`; nothing in a process without limits."""


def check_room(size: int) -> None:
    """MemoryError for `size` bytes that cannot be had here.

    Libraries say many things where memory runs out inside of them; asked before, there is one.
    """
    if _ROOM and size > _ROOM[-1]:
        raise MemoryError


def obey(limits: Limits) -> None:
    """From here on this process gets no more; where the system knows no limits, nothing happens.

    Memory is counted as addresses above those that are taken now, time from now on.
    """
    try:
        import resource
    except ImportError:
        return
    _ROOM[:] = [limits.megabytes * MEGABYTE]
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime) + limits.seconds + 1
    addresses = _addresses() + limits.megabytes * MEGABYTE
    wanted = ((resource.RLIMIT_CPU, seconds), (resource.RLIMIT_AS, addresses))
    for kind, value in wanted:
        _, most = resource.getrlimit(kind)
        soft = value if most == resource.RLIM_INFINITY else min(value, most)
        try:
            resource.setrlimit(kind, (soft, most))
        except (ValueError, OSError):  # macOS does not limit addresses
            continue
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _addresses() -> int:
    """Bytes of address space that this process has taken."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
