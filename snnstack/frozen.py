"""Read-only mappings can be pickled and copied: graphs, programs, traces and rows hold them."""

from __future__ import annotations

import copyreg
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any


def frozen(content: Mapping[Any, Any]) -> MappingProxyType[Any, Any]:
    """A read-only view of a mapping; what a pickle is read with."""
    return MappingProxyType(dict(content))


def _reduced(mapping: MappingProxyType[Any, Any]) -> tuple[Any, ...]:
    return frozen, (dict(mapping),)


# Python itself refuses to pickle the type; `pickle`, `copy.deepcopy` and `dataclasses.asdict`,
# and with it pandas.DataFrame, ask this table, as every process pool does.
copyreg.pickle(MappingProxyType, _reduced)
