"""Verbs that only look: `info`, `targets`, `boards`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from snnstack.cli.options import json_option, model_options, options, sample_option
from snnstack.cli.show import print_json, say, say_lines, size, table
from snnstack.cli.verb import Verb

if TYPE_CHECKING:
    from snnstack.ir.step import StepGraph


@click.command(cls=Verb, short_help="Show the network in a model file.")
@click.argument("model", type=click.Path(path_type=Path))
@sample_option
@model_options
@json_option
def info(model: Path, sample: str | None, as_json: bool, **choices: Any) -> None:
    """Show the network in MODEL: nodes, shapes, time step, reset, comparison.

    First as it is in the file, then as it is computed in every time step.
    """
    from snnstack.ir.text import describe, describe_steps
    from snnstack.loading import CHOICES, discretised, load

    graph = load(model, options(choices), sample=sample, tell=False)
    steps = discretised(graph)
    if not as_json:
        say_lines(describe(graph))
        say()
        say_lines(describe_steps(steps))
        say(", ".join(f"{count} {name}" for name, count in _totals(steps).items()))
        if "agreement" in graph.metadata:
            say_lines(_compared(graph.metadata["agreement"]))
        for note in graph.metadata.get("notes", ()):
            say(f"note: {note}")
        return
    print_json(
        {
            "model": str(model),
            "dt": graph.dt,
            "integrator": graph.integrator,
            **{name: steps.settings[name] for name in CHOICES if name in steps.settings},
            "settings": dict(graph.settings),
            **{k: dict(graph.metadata[k]) for k in ("agreement",) if k in graph.metadata},
            "notes": list(graph.metadata.get("notes", ())),
            **_totals(steps),
            "nodes": {name: type(node).__name__ for name, node in graph.nodes.items()},
            "edges": [[e.source, e.target, e.delay] for e in graph.edges],
            "inputs": [
                {"name": i.name, "shape": list(i.shape), "events": i.events} for i in steps.inputs
            ],
            "populations": [
                {"name": p.name, "shape": list(p.shape), "neurons": p.n, "reset": p.reset,
                 "reset_time": p.reset_time,
                 "compare": p.compare, "fires": p.fires,
                 "refractory_steps": p.refractory}
                for p in steps.populations
            ],
            "projections": [
                {"source": p.source, "target": p.target, "delay": p.delay,
                 "kind": type(p.synapses).__name__, "pool": p.pool is not None}
                for p in steps.projections
            ],
            "outputs": list(steps.outputs),
        }
    )  # fmt: skip


def _compared(told: Mapping[str, Any]) -> str:
    """What was compared with the framework when the module was loaded.

    Differences are listed of the run in double precision: below the number that counts them.
    """
    line = f"{told['mismatches']} of {told['slots']} spikes differed from {told['framework']}'s"
    double = told.get("mismatches_of_double_to_single", 0)
    if told.get("precision") == "single":
        line += f" in single precision; {double} do where this side computes in double precision"
    listed = told.get("differences", ()) if double or told["mismatches"] else ()
    return "\n  ".join([line, *listed])


def _totals(steps: StepGraph) -> dict[str, int]:
    neurons = sum(population.n for population in steps.populations)
    weights = sum(projection.synapses.weight.size for projection in steps.projections)
    return {"neurons": neurons, "weights": weights}


@click.command(short_help="List the kinds of hardware that can be compiled for.")
@json_option
def targets(as_json: bool) -> None:
    """List the targets: kinds of hardware that can be compiled for."""
    from snnstack.board import all_boards
    from snnstack.target import backend, target_names

    rows: list[dict[str, Any]] = []
    for name in target_names():
        module = backend(name)
        text = (getattr(module, "__doc__", None) or "").strip().splitlines()
        own = [board.name for board in all_boards() if board.target == name]
        rows.append({"name": name, "about": text[0] if text else "", "boards": own})
    if as_json:
        print_json(rows)
        return
    shown = [[r["name"], r["about"], ", ".join(r["boards"]) or "-"] for r in rows]
    table(f"{len(rows)} target{'s' if len(rows) != 1 else ''}", ["target", "what", "boards"], shown)


@click.command(short_help="List the boards, with the status of their numbers.")
@json_option
def boards(as_json: bool) -> None:
    """List the boards: pieces of hardware. `--json` says where every number comes from."""
    import msgspec

    from snnstack.board import all_boards

    found = all_boards()
    if as_json:
        print_json([msgspec.to_builtins(board) for board in found])
        return
    rows = [
        [
            b.name,
            b.target,
            f"{b.clock.value / 1e6:g} MHz",
            *(size(int(b.capacity[key].value)) if key in b.capacity else "-"
              for key in ("flash_bytes", "ram_bytes")),
            b.status,
            b.title.partition(": ")[2] or b.title,
        ]
        for b in found
    ]  # fmt: skip
    header = ["board", "target", "clock", "flash", "RAM", "status", "chip"]
    table(f"{len(rows)} boards", header, rows)
