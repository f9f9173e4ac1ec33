"""Options that several verbs share."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from snnstack.cli.verb import OutputDirectory

if TYPE_CHECKING:
    from snnstack.board import Board
    from snnstack.measure import Ann
    from snnstack.passes.options import Options

_Function = TypeVar("_Function", bound=Callable[..., Any])

READOUT = (
    "How the first output names a class: rate, first-spike, sum, mean, last, max or softmax (of "
    "its membrane); with :K (rate:10) for K classes of equally many neurons; above:X for one "
    "neuron; linear: a matrix of its counts that is fitted to training samples. [default: the "
    "file's, else most spikes, or the largest summed membrane]"
)
readout_option = click.option("--readout", metavar="READOUT", help=READOUT)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
data_option = click.option(
    "--data", required=True, metavar="DATA",
    help="An .npz with x [sample, step, *input shape] and y [sample], or as docs/data.md says: "
    "tonic:NMNIST?path=FOLDER&bin=1ms, images.npz?encode=rate&steps=25, ...",
)  # fmt: skip
board_option = click.option(
    "--board", required=True, help="A name from `snnstack boards`, or a .toml file."
)
program_option = click.option(
    "-o", "--output", required=True, type=OutputDirectory(), metavar="DIR",
    help="The new directory of the program.",
)  # fmt: skip
calibrate_option = click.option(
    "--calibrate", metavar="DATA",
    help="Fit the scales to these samples and report what quantisation cost.",
)  # fmt: skip
sample_option = click.option(
    "--sample", metavar="DATA",
    help="Compare one step of a spiking network in ONNX with onnxruntime on these samples. "
    "[default: random spikes]",
)  # fmt: skip
granularity_option = click.option(
    "--granularity", type=click.Choice(["neuron", "population", "import"]),
    default="neuron", show_default=True, help="One weight scale per neuron (or channel), or per "
    "population; import: by the rules of the target's own importer (spinnaker2).",
)  # fmt: skip

weight_bits_option = click.option(
    "--weight-bits", type=int, metavar="N",
    help="Width of the weights: 8, 4, 2, 1 on microcontrollers, from 2 elsewhere. "
    "[default: the target's own]",
)  # fmt: skip

quality_option = click.option(
    "--quality", type=click.Choice(["fast", "best"]), default="fast", show_default=True,
    help="best: scales, roundings, biases and thresholds chosen by what the emulator makes of "
    "--calibrate; some dozens of emulations.",
)  # fmt: skip


strict_option = click.option(
    "--strict", is_flag=True,
    help="Refuse what loses more in quantisation than docs/quantisation.md states, instead of "
    "warning; bench --seeds: also chips whose converters clip.",
)  # fmt: skip


set_option = click.option(
    "--set", "figures", multiple=True, metavar="NAME=VALUE",
    help="Another figure for every board: hardware.adc_bits=6, capacity.rows=64, "
    "coefficients.wire_row_ohm=2; may be repeated.",
)  # fmt: skip


def with_figures(board: str, figures: tuple[str, ...]) -> str | Board:
    """The board called `board`, with what `--set` says; its name where nothing is said."""
    from snnstack.board import load_board, with_values
    from snnstack.errors import Problem, TargetError, raise_if_any
    from snnstack.typed_toml import plain_value

    wrong = [text for text in figures if "=" not in text]
    hint = "give NAME=VALUE"
    raise_if_any(TargetError, (Problem(f"--set {t}", "names no value", hint) for t in wrong))
    pairs = dict(text.split("=", 1) for text in figures)
    values = {name: plain_value(value) for name, value in pairs.items()}
    return with_values(load_board(board), values) if values else board


class _Positive(click.ParamType):  # type: ignore[type-arg, unused-ignore]
    """A finite number above zero, `what` in words."""

    def __init__(self, name: str, what: str) -> None:
        self.name, self.what = name, what

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        try:
            number = float(value)
        except ValueError:
            self.fail(f"{value!r} is not a number", param, ctx)
        if not 0 < number < float("inf"):
            self.fail(f"{value} is not {self.what}", param, ctx)
        return number


class Between(click.FloatRange):
    """A range of numbers; nan, which is neither below nor above anything, is not in it."""

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """A number of the range."""
        number = float(super().convert(value, param, ctx))
        if math.isnan(number):
            self.fail(f"{value} is not a number.", param, ctx)
        return number


POSITIVE = _Positive("seconds", "a positive number of seconds")
RATE = _Positive("float", "a positive number")
_MODEL = (
    click.option("--dt", type=POSITIVE, help="Time step. [default: the file's, else 1e-4, or 1 "
                 "for a network without time constants]"),
    click.option("--integrator", type=click.Choice(["euler", "exponential"]),
                 help="[default: the file's, else euler]"),
    click.option("--reset", type=click.Choice(["zero", "subtract", "none"]),
                 help="What a spike does to the membrane. [default: the file's, else v_reset]"),
    click.option("--reset-time", type=click.Choice(["now", "next", "next_all", "recheck"]),
                 help="When: at once, or in the next step. [default: the file's, else now]"),
    click.option("--written-by", type=click.Choice(
                     ["snntorch", "spikingjelly", "norse", "sinabs", "rockpool", "spyx"]),
                 help="Take what the file leaves open from the program that wrote it."),
    click.option("--compare", type=click.Choice(["gt", "ge"]),
                 help="Fire at v > or >= threshold. [default: the file's, else gt]"),
    click.option("--events", type=click.Choice(["binary", "count", "value"]),
                 help="What the input carries. [default: the file's, else count]"),
    click.option("--prune", type=Between(0, 1, min_open=True, max_open=True),
                 metavar="SHARE", help="Set this share of every layer's weights to zero, the "
                 "smallest."),
    readout_option,
)  # fmt: skip


def model_options(function: _Function) -> _Function:
    """`--dt`, `--reset` and the like, for verbs that load a model."""
    for option in reversed(_MODEL):
        function = option(function)
    return function


def options(choices: dict[str, Any]) -> Options:
    """What the user said, for `snnstack.load`."""
    from snnstack.passes.options import Options

    return Options(**{name: choices[name] for name in Options.__dataclass_fields__})


_ANN = (
    click.option("--ann", is_flag=True, help="Also measure an int8 network of the same widths "
                 "without spikes on the same board: its cost; its accuracy with the next two."),
    click.option("--ann-train", metavar="DATA",
                 help="Train it on these labelled samples (needs torch)."),
    click.option("--ann-weights", metavar="FILE",
                 help="An .npz of a trained one: w1, b1, w2, b2, ..., largest."),
    click.option("--ann-windows", type=click.IntRange(1, 4096), metavar="N",
                 help="Counts of events that it reads of every input. [default: 1, or 8 for a "
                 "network with loops or delays]"),
)  # fmt: skip


def ann_options(function: _Function) -> _Function:
    """`--ann` and what it is trained on, for verbs that measure."""
    for option in reversed(_ANN):
        function = option(function)
    return function


def ann_choice(choices: dict[str, Any]) -> bool | Ann:
    """What the user said of the network without spikes; taken out of `choices`."""
    from snnstack.measure import Ann

    asked = choices.pop("ann")
    given = {name: choices.pop(f"ann_{name}") for name in ("train", "weights", "windows")}
    return Ann(**given) if asked or any(v is not None for v in given.values()) else False
