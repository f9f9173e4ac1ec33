"""Write docs/neuron-models.md: the table of the library's models, from the models themselves."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from snnstack.dynamics.library import MODELS
from snnstack.dynamics.model import Model

ROOT = Path(__file__).parents[1]
HEAD = (
    "| model | inputs | states | parameters | options | sends | source |\n" + "| --- " * 7 + "|\n"
)


def page() -> str:
    """The page as it is today."""
    table = HEAD + "\n".join(map(_row, MODELS.values()))
    return (ROOT / "scripts" / "neuron_models.md.in").read_text().replace("@MODELS@", table)


def _row(model: Model) -> str:
    parameters = _listed(f.name for f in model.parameters)
    options = _listed(model.options)
    cells = (f"`{model.name}`", _listed(model.inputs), _listed(model.states), parameters, options)
    return "| " + " | ".join((*cells, model.sends, model.source)) + " |"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"


if __name__ == "__main__":
    (ROOT / "docs" / "neuron-models.md").write_text(page())
