"""The verb `train`: fewer bits at less loss, by training on what the target computes."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from snnstack.cli.options import (
    RATE,
    board_option,
    data_option,
    granularity_option,
    json_option,
    model_options,
    options,
    program_option,
    set_option,
    strict_option,
    weight_bits_option,
    with_figures,
)
from snnstack.cli.program import build_dict, is_new, show_build
from snnstack.cli.show import print_json, progress, say, say_losses
from snnstack.cli.verb import Verb


@click.command(cls=Verb, short_help="Train a model for a board.")
@click.argument("model", type=click.Path(path_type=Path))
@board_option
@data_option
@program_option
@weight_bits_option
@granularity_option
@click.option("--epochs", type=click.IntRange(1, 100_000), default=40, show_default=True,
              help="How often every sample is seen.")  # fmt: skip
@click.option("--rate", type=RATE, default=3e-3, show_default=True,
              help="Learning rate of the first update.")  # fmt: skip
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    show_default=True,
    help="Of order and variation.",
)
@click.option("--resume", is_flag=True,
              help="Go on with the training of the same command that was interrupted, from "
              "DIR.training.npz, which is written after every epoch; without that file, start.",
              )  # fmt: skip
@strict_option
@set_option
@model_options
@json_option
@click.pass_obj
def train(
    written: list[str], /, model: Path, board: str, data: str, output: Path,
    weight_bits: int | None, granularity: Any, epochs: int, rate: float, seed: int,
    resume: bool, strict: bool, figures: tuple[str, ...], as_json: bool, **choices: Any,
) -> None:  # fmt: skip
    """Train MODEL on DATA for what a board computes, and write the program to the new directory
    DIR. The float network is the teacher, so labels are not needed. Needs torch.

    A training that is interrupted, by whatever, goes on with --resume, and ends with the same
    program as one that was not.
    """
    from snnstack.board import load_board
    from snnstack.building import with_measured_memory
    from snnstack.saving import save
    from snnstack.training import Checkpoint, Recipe, fit, qat

    is_new(output)
    checkpoint = Checkpoint(output.with_name(f"{output.name}.training.npz"), resume)
    checkpoint.check()
    if checkpoint.path.exists():
        say(f"going on from {checkpoint.path}", err=True)
    chosen = with_figures(board, figures)
    with progress("training") as told:
        module = qat(
            model,
            target=load_board(chosen) if isinstance(chosen, str) else chosen,
            calibrate=data,
            weight_bits=weight_bits,
            granularity=granularity,
            options=options(choices),
            progress=partial(told, "integers"),
        )
        recipe = Recipe(epochs=epochs, rate=rate, seed=seed)
        written.append(f"{checkpoint.path} (after an epoch; go on with --resume)")
        built = fit(
            module, data, recipe, partial(told, "epochs"), strict=strict, checkpoint=checkpoint
        )
    built = with_measured_memory(built)
    save(built, output)
    checkpoint.done()
    written[:] = [str(output)]
    if as_json:
        print_json(build_dict(built, output))
    else:
        show_build(built, output)
    say_losses(built.program.settings)
