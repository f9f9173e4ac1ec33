"""Write docs/neuron-models.md: the table of the library's models, from the models themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

from snnstack.backends.loihi import legal as loihi
from snnstack.dynamics.library import MODELS
from snnstack.dynamics.model import Model

ROOT = Path(__file__).parents[1]
HEAD = (
    "| model | inputs | states | parameters | options | sends | source |\n" + "| --- " * 7 + "|\n"
)


TARGETS: Mapping[str, Callable[[Model], str]] = {
    "`mcu`": lambda model: "yes",
    "Loihi 1": partial(loihi.standing, generation=1),
    "Loihi 2": partial(loihi.standing, generation=2),
}
"""What each target says of a model."""


def page() -> str:
    """The page as it is today."""
    found = (ROOT / "scripts" / "neuron_models.md.in").read_text()
    tables = {
        "@MODELS@": HEAD + "\n".join(map(_row, MODELS.values())),
        "@TARGETS@": _targets(),
        "@LOIHI2_OPERATIONS@": loihi.operations_table(),
        "@LOIHI2_LIMITS@": loihi.limits_table(),
    }
    for name, table in tables.items():
        found = found.replace(name, table)
    return found


def _targets() -> str:
    rows = [["model", *TARGETS], ["---"] * (1 + len(TARGETS))]
    rows += [[f"`{m.name}`", *(says(m) for says in TARGETS.values())] for m in MODELS.values()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _row(model: Model) -> str:
    parameters = _listed(f.name for f in model.parameters)
    options = _listed(model.options)
    cells = (f"`{model.name}`", _listed(model.inputs), _listed(model.states), parameters, options)
    return "| " + " | ".join((*cells, model.sends, model.source)) + " |"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"


if __name__ == "__main__":
    (ROOT / "docs" / "neuron-models.md").write_text(page())
