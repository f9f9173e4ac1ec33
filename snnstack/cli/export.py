"""Verb `export`: a network as ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from snnstack.cli.options import calibrate_option, json_option, model_options, options
from snnstack.cli.program import is_new
from snnstack.cli.show import print_json, say
from snnstack.cli.verb import OutputFile, Verb


@click.command(cls=Verb, short_help="Write a model as ONNX, one step with explicit state.")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=OutputFile(".onnx"),
              metavar="FILE.onnx", help="The file to write.")  # fmt: skip
@calibrate_option
@model_options
@json_option
@click.pass_obj
def export(
    written: list[str], /, model: Path, output: Path, calibrate: str | None, as_json: bool,
    **choices: Any,
) -> None:  # fmt: skip
    """Write MODEL as ONNX: one step with explicit state, float64, for onnxruntime."""
    from snnstack.exports import save_onnx, to_onnx

    is_new(output)
    found = to_onnx(model, options(choices), calibrate=calibrate)
    save_onnx(found, output)
    written.append(str(output))
    names = {
        "inputs": [i.name for i in found.graph.input],
        "outputs": [o.name for o in found.graph.output],
    }
    if as_json:
        print_json({"output": str(output), **names})
        return
    say(f"{output}: one step")
    for kind, listed in names.items():
        say(f"  {kind}: {', '.join(listed)}")
