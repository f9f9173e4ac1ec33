"""What the files of a package define: a new file is a new member."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType
from typing import TypeVar

_Kind = TypeVar("_Kind")


def defined(package: ModuleType, kind: type[_Kind]) -> Iterator[_Kind]:
    """Every `kind` of every file of `package`, in the order of the files' names."""
    for file in sorted(pkgutil.iter_modules(package.__path__), key=lambda f: f.name):
        module = import_module(f"{package.__name__}.{file.name}")
        yield from (value for value in vars(module).values() if isinstance(value, kind))
