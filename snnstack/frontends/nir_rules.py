"""Synapses that learn in a NIR file, which knows none.

Another tool finds the weights they start from. The rule stands as text under `snnstack` in the
node's metadata: {"rule": its name or its parts, "values": numbers, "modulator": a name or null,
"order"}.
"""

from __future__ import annotations

import json
from typing import Any

from snnstack.door import shown
from snnstack.dynamics.rule import ORDERS, Plastic
from snnstack.dynamics.rule_library import RULES
from snnstack.dynamics.rule_written import read_rule, rule_data
from snnstack.errors import ModelError, fail

KEY = "rule"
KEYS = {"rule", "values", "modulator", "order"}
LONGEST = 2**22
"""Characters of a rule's text."""
AGAIN = "write the model again"


def rule_text(plastic: Plastic) -> str:
    """What is added under `snnstack`: a rule of the package by its name."""
    rule = plastic.rule
    form: Any = rule.name if RULES.get(rule.name) is rule else rule_data(rule)
    values = {name: float(value) for name, value in plastic.values.items()}
    said = {"rule": form, "values": values, "modulator": plastic.modulator}
    return json.dumps({**said, "order": plastic.order})


def read_rule_text(text: Any, name: str) -> Plastic:
    """The rule that the metadata of node `name` says; ModelError for anything else."""
    if not isinstance(text, str) or len(text) > LONGEST:
        raise fail(ModelError, name, "metadata 'snnstack' says a rule that is no text", AGAIN)
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict) or set(said) != KEYS:
        what = f"metadata 'snnstack' says a rule that is none: {shown(text)}"
        raise fail(ModelError, name, what, AGAIN)
    form, values, modulator = said["rule"], said["values"], said["modulator"]
    numbers = isinstance(values, dict) and all(type(v) in (int, float) for v in values.values())
    if not numbers or not (modulator is None or isinstance(modulator, str)):
        what = "metadata 'snnstack' says a rule without its numbers"
        raise fail(ModelError, name, what, AGAIN)
    if isinstance(form, str) and form not in RULES:
        what = f"metadata 'snnstack' says the rule {shown(form)}"
        raise fail(ModelError, name, what, f"known: {', '.join(RULES)}")
    order = said["order"]
    if order not in ORDERS:
        what = f"metadata 'snnstack' says the order {shown(order)}"
        raise fail(ModelError, name, what, f"known: {', '.join(ORDERS)}")
    rule = RULES[form] if isinstance(form, str) else read_rule(form, name)
    return Plastic(rule, {key: float(value) for key, value in values.items()}, modulator, order)
