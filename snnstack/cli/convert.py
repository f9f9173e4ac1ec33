"""Verb `convert`: an ANN in ONNX becomes a spiking network in NIR."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from snnstack.cli.options import Between, json_option
from snnstack.cli.program import is_new
from snnstack.cli.show import print_json, say, table
from snnstack.cli.verb import OutputFile, Verb
from snnstack.report.numbers import percent

if TYPE_CHECKING:
    from snnstack.report.curve import Curve, DeltaCurve


class _Steps(click.ParamType):  # type: ignore[type-arg, unused-ignore]
    """Whole numbers above 0, with commas between them."""

    name = "steps"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        parts = str(value).split(",")
        if not all(re.fullmatch("[0-9]{1,5}", part) and 0 < int(part) <= 65536 for part in parts):
            self.fail(f"{value!r} is not a list like 1,2,4,8", param, ctx)
        return tuple(int(part) for part in parts)


class _Thresholds(click.ParamType):  # type: ignore[type-arg, unused-ignore]
    """Numbers from 0, with commas between them."""

    name = "thresholds"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[float, ...]:
        if isinstance(value, tuple):
            return value
        parts = str(value).split(",")
        if not all(re.fullmatch(r"[0-9]{1,5}(\.[0-9]{1,6})?", part) for part in parts):
            self.fail(f"{value!r} is not a list like 0,1,2.5", param, ctx)
        return tuple(map(float, parts))


@click.command(cls=Verb, short_help="Convert an ANN in ONNX to a spiking network.")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--calibrate", required=True, metavar="DATA",
              help="Real samples of the ANN; images.npz?encode=even&steps=16 says the steps.",
              )  # fmt: skip
@click.option("--data", metavar="DATA", help="Samples for the curve. [default: --calibrate's]")
@click.option("--samples", type=click.IntRange(min=1), metavar="N", help="Only the first N.")
@click.option("--steps", type=_Steps(), default="1,2,4,8,16,32,64", show_default=True,
              metavar="N,N,...", help="Numbers of steps that are compared.")  # fmt: skip
@click.option("--percentile", type=Between(50, 100), default=99.9, show_default=True,
              help="Of a layer's activations: the one that becomes its threshold.")  # fmt: skip
@click.option("--to", type=click.Choice(["spikes", "sigma-delta"]), default="spikes",
              show_default=True,
              help="Layers send spikes, or the changes of their levels.")  # fmt: skip
@click.option("--levels", type=click.IntRange(1, 32767), default=127, show_default=True,
              metavar="N", help="sigma-delta: of every activation.")  # fmt: skip
@click.option("--threshold", type=_Thresholds(), default="0,1,2,4,8,16", show_default=True,
              metavar="X,X,...", help="sigma-delta: levels by which an activation must move to be "
              "sent; -o takes the first.")  # fmt: skip
@click.option("-o", "--output", type=OutputFile(".nir"), metavar="FILE.nir",
              help="Write the spiking network.")  # fmt: skip
@click.option("--plot", type=OutputFile(".svg", ".png", ".pdf"), metavar="FILE.svg",
              help="Draw the curve; .svg, .png or .pdf.")  # fmt: skip
@json_option
@click.pass_obj
def convert(
    written: list[str], /, model: Path, calibrate: str, data: str | None, samples: int | None,
    steps: tuple[int, ...], percentile: float, to: str, levels: int,
    threshold: tuple[float, ...], output: Path | None, plot: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Convert an ANN in ONNX to a spiking network; show its accuracy over the number of steps.

    Or, to sigma-delta, over the change of an activation that is worth sending.
    """
    from snnstack import ann
    from snnstack.frontends import nir
    from snnstack.frontends.sigma_delta import SigmaDelta

    if output is not None:
        is_new(output)
    if to == "sigma-delta":
        if plot is not None:
            raise click.UsageError("--plot draws the curve of --to spikes")
        changes = ann.threshold_curve(
            model, calibrate, data, thresholds=threshold, levels=levels, samples=samples,
            percentile=percentile,
        )  # fmt: skip
        if output is not None:
            kind = SigmaDelta(levels, threshold[0])
            graph = ann.convert(model, calibrate, percentile=percentile, sigma_delta=kind)
            nir.write(graph, output)
            written.append(str(output))
        _show_changes(model, changes, output, as_json)
        return
    found = ann.accuracy_curve(
        model, calibrate, data, steps=steps, samples=samples, percentile=percentile
    )
    if output is not None:
        nir.write(ann.convert(model, calibrate, percentile=percentile), output)
        written.append(str(output))
    if plot is not None:
        draw(found, model.name, plot)
        written.append(str(plot))
    if as_json:
        print_json({"model": str(model), **found.to_dict(), "output": output and str(output)})
        return
    rows = [[str(p.steps), percent(p.accuracy), percent(p.agreement)] for p in found.points]
    right = percent(found.accuracy_ann)
    table(f"{model.name}: {found.samples} samples, accuracy as an ANN {right}",
          ["steps", "accuracy", "as the ANN"], rows)  # fmt: skip
    for path in (output, plot):
        if path is not None:
            say(f"written: {path}")


def _show_changes(model: Path, found: DeltaCurve, output: Path | None, as_json: bool) -> None:
    if as_json:
        print_json({"model": str(model), **found.to_dict(), "output": output and str(output)})
        return
    rows = [
        [f"{p.threshold:g}", percent(p.accuracy), percent(p.agreement), f"{p.events:.1f}"]
        for p in found.points
    ]
    right = percent(found.accuracy_ann)
    table(f"{model.name}: {found.samples} samples, accuracy as an ANN {right}",
          [f"threshold of {found.levels}", "accuracy", "as the ANN", "events a sample"],
          rows)  # fmt: skip
    if output is not None:
        say(f"written: {output}")


def draw(found: Curve, title: str, path: Path) -> None:
    """The curve as a figure; ToolError without matplotlib."""
    import io

    from snnstack.errors import ToolError, fail
    from snnstack.files import write_file

    kind = path.suffix.lstrip(".").lower()
    if kind not in ("svg", "png", "pdf"):
        raise fail(ToolError, str(path), f"unknown kind of figure {path.suffix!r}", ".svg, .png")
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise fail(ToolError, "matplotlib", "is not installed", "pip install matplotlib") from error
    figure = Figure(figsize=(5, 3.5), layout="constrained")
    axes = figure.subplots()
    x = [p.steps for p in found.points]
    shown = [p.agreement if p.accuracy is None else p.accuracy for p in found.points]
    axes.plot(x, [100 * value for value in shown], "o-", label="spiking")
    if found.accuracy_ann is not None:
        axes.axhline(100 * found.accuracy_ann, ls="--", c="grey", label="ANN")
    axes.set_xscale("log", base=2)
    axes.set_xticks(x, [str(value) for value in x])
    labelled = found.accuracy_ann is not None
    axes.set(xlabel="steps", ylabel="accuracy %" if labelled else "classes as the ANN %")
    axes.set_title(title)
    axes.legend()
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind)
    write_file(buffer.getvalue(), path)
