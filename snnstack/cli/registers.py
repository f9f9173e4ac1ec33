"""What each register of a program's populations got, and what rounding to it cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snnstack.cli.show import say, table


def show_registers(registers: Mapping[str, Mapping[str, Any]]) -> None:
    """A table of registers by population; below it what rounding changed, where it is known."""
    shown = {
        name: {k: v for k, v in found.items() if k not in ("weights", "cost")}
        for name, found in registers.items()
    }
    columns = list(dict.fromkeys(key for found in shown.values() for key in found))
    rows = [[name, *(_cell(found.get(key)) for key in columns)] for name, found in shown.items()]
    table("registers", ["population", *columns], rows)
    for name, found in registers.items():
        for wire, text in found.get("weights", {}).items():
            change = found.get("cost", {}).get(f"weights {wire}")
            lost = "" if change is None else f", changed by {100 * change:.3g} % (rms)"
            say(f"  {wire}: weights {text}{lost}")
        costs = found.get("cost", {}).items()
        cost = {k: v for k, v in costs if v and not k.startswith("weights ")}
        if cost:
            listed = ", ".join(f"{key} {value:.3g}" for key, value in cost.items())
            say(f"  {name}: changed at most by {listed}")


def _cell(value: Any) -> str:
    """`[3]` as 3, `[3, 9]` as 3..9."""
    if value is None:
        return "-"
    if isinstance(value, list | tuple):
        return "..".join(str(part) for part in value) or "-"
    return str(value)
