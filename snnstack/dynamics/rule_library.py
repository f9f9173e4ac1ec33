"""The rules that come with the package, by name.

A rule of the package is a file of `snnstack.dynamics.rules`: a new file is a new rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from snnstack.dynamics import rules
from snnstack.dynamics.discovery import defined
from snnstack.dynamics.rule import Rule

RULES: Mapping[str, Rule] = MappingProxyType({rule.name: rule for rule in defined(rules, Rule)})
