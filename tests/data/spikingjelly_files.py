"""SpikingJelly's readers and frames without its package of data sets, which wants torchvision."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

NAME = "spikingjelly.datasets"


def spikingjelly_utils(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`spikingjelly.datasets.utils`; plotting and transforms are not loaded with it."""
    pytest.importorskip("spikingjelly")
    for name, inner in (("torchvision", "transforms"), ("matplotlib", "pyplot")):
        stub = ModuleType(name)
        setattr(stub, inner, ModuleType(f"{name}.{inner}"))
        monkeypatch.setitem(sys.modules, name, stub)
    found = importlib.util.find_spec("spikingjelly")
    assert found is not None and found.origin is not None
    file = Path(found.origin).parent / "datasets" / "utils.py"
    monkeypatch.setitem(sys.modules, NAME, ModuleType(NAME))
    spec = importlib.util.spec_from_file_location(f"{NAME}.utils", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
