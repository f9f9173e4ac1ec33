"""The programs that write NIR files: what each means by the numbers that it writes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from snnstack.passes.writers import norse, rockpool, sinabs, snntorch, spikingjelly, spyx
from snnstack.passes.writers.writer import Writer

WRITERS: Mapping[str, Writer] = MappingProxyType(
    {
        module.WRITER.name: module.WRITER
        for module in (snntorch, spikingjelly, norse, sinabs, rockpool, spyx)
    }
)
"""By the name that `written_by` takes."""


__all__ = ["WRITERS", "Writer"]
