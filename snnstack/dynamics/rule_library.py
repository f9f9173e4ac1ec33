"""The rules that come with the package, by name.

A rule of the package is a file of `snnstack.dynamics.rules`: a new file is a new rule.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator, Mapping
from importlib import import_module
from types import MappingProxyType

from snnstack.dynamics import rules
from snnstack.dynamics.rule import Rule


def _found() -> Iterator[tuple[str, Rule]]:
    """Every rule of every file of the folder, in the order of the files' names."""
    for file in sorted(pkgutil.iter_modules(rules.__path__), key=lambda f: f.name):
        module = import_module(f"{rules.__name__}.{file.name}")
        for value in vars(module).values():
            if isinstance(value, Rule):
                yield value.name, value


RULES: Mapping[str, Rule] = MappingProxyType(dict(_found()))
