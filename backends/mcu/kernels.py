"""Which kernels a core runs: chosen by the compiler, printed by the templates."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

Kernels = Literal["portable", "dsp", "mve"]
"""`dsp`: two 16-bit sums a register (SXTAB16, UXTAB16, SMLAWB); `mve`: eight (Helium)."""
_BY_CORE: Mapping[str, Kernels] = MappingProxyType(
    {
        "cortex-m4": "dsp",
        "cortex-m7": "dsp",
        "cortex-m33": "dsp",
        "cortex-m55": "mve",
        "cortex-m85": "mve",
    }
)


def kernels(core: str) -> Kernels:
    """The kernels for a core: portable C, in which two sums share a register too, for the rest."""
    return _BY_CORE.get(core, "portable")
