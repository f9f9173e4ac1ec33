"""Verbs on programs: `compile`, `emulate`, `verify`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from snnstack.cli.options import (
    board_option,
    calibrate_option,
    data_option,
    granularity_option,
    json_option,
    model_options,
    options,
    program_option,
    quality_option,
    readout_option,
    sample_option,
    set_option,
    strict_option,
    weight_bits_option,
    with_figures,
)
from snnstack.cli.registers import show_registers
from snnstack.cli.show import (
    losses_line,
    print_json,
    progress,
    say,
    say_dead,
    say_losses,
    settings_line,
    size,
    table,
)
from snnstack.cli.verb import OutputFile, Verb
from snnstack.report.numbers import percent

if TYPE_CHECKING:
    from snnstack.api import Build
    from snnstack.frontends.data import Data
    from snnstack.program import Program
    from snnstack.report.conversion import Conversion
    from snnstack.report.equality import Equality
    from snnstack.report.readout import ReadOut
    from snnstack.trace import Trace

_COUNTS = ("spikes", "synops", "updates")
CORE = "core "
"""How targets call the counts of a core: "core 3"."""
MOST_CORES = 8
"""Cores that `emulate` shows."""
REFERENCE_SAMPLES = 2
"""Samples of `verify` that the slow integer reference runs as well."""


@click.command("compile", cls=Verb, short_help="Compile a model for a board.")
@click.argument("model", type=click.Path(path_type=Path))
@board_option
@calibrate_option
@program_option
@set_option
@granularity_option
@weight_bits_option
@quality_option
@strict_option
@sample_option
@model_options
@json_option
@click.pass_obj
def compile_(
    written: list[str], /, model: Path, board: str, calibrate: str | None, output: Path,
    figures: tuple[str, ...], granularity: Any, weight_bits: int | None, quality: Any,
    sample: str | None, strict: bool, as_json: bool, **choices: Any,
) -> None:  # fmt: skip
    """Compile MODEL for a board into the new directory DIR."""
    from snnstack.api import build, load, save
    from snnstack.building import with_measured_memory

    is_new(output)
    chosen = with_figures(board, figures)
    said = options(choices)
    # Pruned once, by `build`, which compares with the network before it.
    given = model if sample is None else load(model, sample, replace(said, prune=None))
    with progress("compiling") as update:
        built = build(
            given, chosen, calibrate, said, granularity, weight_bits, quality,
            strict=strict, progress=update,
        )  # fmt: skip
    built = with_measured_memory(built)
    save(built, output)
    written.append(str(output))
    if as_json:
        print_json(build_dict(built, output))
    else:
        show_build(built, output)
    say_losses(built.program.settings)


def is_new(output: Path) -> None:
    """TargetError, before any work is done, if there is something at `output`."""
    from snnstack.errors import TargetError, fail

    if output.exists() or output.is_symlink():
        raise fail(TargetError, str(output), "already exists", "name a new output directory")


def build_dict(built: Build, output: Path) -> dict[str, Any]:
    """What a new program is, as plain data."""
    from snnstack.target import backend

    program = built.program
    used = backend(program.target).utilization(program)
    return {
        "output": str(output),
        "name": program.name,
        "board": program.board.name,
        "target": program.target,
        "settings": dict(program.settings),
        "memory": {name: {"used": u, "available": a} for name, (u, a) in used.items()},
        "conversion": None if built.conversion is None else built.conversion.to_dict(),
    }


def show_build(built: Build, output: Path) -> None:
    """What a new program is, for people."""
    from snnstack.quant.any_model import CELLS
    from snnstack.report.readout import readout_notes, readout_said
    from snnstack.target import backend

    program = built.program
    say(f"{program.name} for {program.board.title}: {output}")
    say(f"  {settings_line(program.settings)}")
    for name, (used, available) in backend(program.target).utilization(program).items():
        share, show = 100 * used / available, size if _is_memory(name) else str
        say(f"  {name}: {show(used)} of {show(available)} ({share:.1f} %)")
    if basis := getattr(program, "memory_basis", ""):
        say(f"  memory of the self-test as {basis} links it")
    if line := losses_line(program.settings):
        say(f"  {line}")
    for note in (f"class: {readout_said(program.settings)}", *readout_notes(program.settings)):
        say(f"  {note}")
    if "registers" in program.settings:
        say()
        show_registers(program.settings["registers"])
    for name, notes in dict(program.settings.get(CELLS, {})).items():
        say(f"  {name}, in integers:")
        for note in notes:
            say(f"    {note}")
    if built.network is None:
        say("  registers as in the file: nothing was quantised")
    elif built.conversion is not None:
        say()
        show_conversion(built.conversion)
    else:
        say("  scales fitted to the weights alone: --calibrate DATA fits them to samples")


def _is_memory(resource: str) -> bool:
    return resource in ("flash", "ram") or "bytes" in resource


def show_conversion(found: Conversion) -> None:
    """The conversion report as a table."""
    rows = [
        [
            layer.name,
            str(layer.neurons),
            percent(layer.weight_error),
            percent(layer.clipped),
            "-" if layer.losses is None else f"{layer.losses.weights_lost:,}",
            "-" if layer.losses is None else percent(layer.losses.drive_lost),
            "-" if layer.losses is None else str(layer.losses.unreachable),
            "-" if layer.threshold_units is None else str(layer.threshold_units),
            f"{layer.spikes_float} -> {layer.spikes}",
            f"{layer.silenced}, {layer.saturated}",
            percent(layer.accuracy),
        ]
        for layer in found.layers
    ]
    header = ["layer", "neurons", "weight error", "clipped", "lost", "of drive", "cannot fire",
              "threshold", "spikes",
              "silent, stuck", "accuracy so far"]  # fmt: skip
    title = f"conversion, {found.samples} samples: accuracy {percent(found.accuracy_float)}"
    if found.accuracy_pruned is not None:
        title += f" -> {percent(found.accuracy_pruned)} pruned"
    table(f"{title} -> {percent(found.accuracy)}", header, rows)
    say(f"first layer where accuracy is lost: {found.first_loss or 'none'}")
    say_dead(found.dead)


@click.command(cls=Verb, short_help="Run a program on the emulator.")
@click.argument("directory", type=click.Path(path_type=Path), metavar="DIR")
@data_option
@click.option("-o", "--output", type=OutputFile(".npz"), metavar="TRACE",
              help="Write all spikes (and probed states) to this .npz.")  # fmt: skip
@click.option("--probe", "probes", multiple=True, metavar="POPULATION:VARIABLE",
              help="Also record a state, e.g. fc1:v; may be repeated.")  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), metavar="N",
              help="Chip number N of an analogue target, with its own deviations and noise. "
              "[default: the exact machine]")  # fmt: skip
@readout_option
@json_option
@click.pass_obj
def emulate(
    written: list[str], /, directory: Path, data: str, output: Path | None,
    probes: tuple[str, ...], seed: int | None, readout: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Run the program in DIR on the emulator, bit for bit as the chip computes.

    With --seed, an analogue target is one chip of many: a statistical result.
    """
    from snnstack import api
    from snnstack.frontends.open_data import open_data
    from snnstack.frontends.trace_file import trace_file
    from snnstack.frontends.values import read_values
    from snnstack.measure.clipping import clipped_of
    from snnstack.report.clipping import clipping_dict, summary
    from snnstack.report.readout import in_units_of, output_probes
    from snnstack.report.tally import tally
    from snnstack.target import statistical

    program, network = api.open_program(directory)
    judge = _readout(readout, program)
    wanted = _probes(probes, program.variables)
    needed = dict.fromkeys([*wanted, *output_probes(program.outputs, program.fires, judge)])
    drawn = seed is not None and statistical(program.target)
    runs: Iterable[tuple[Data, Trace]]
    if api.carries_values(program):
        values, test = read_values(Path(data), program.port)
        samples, steps = values.shape[:2]
        runs = [(test, api.emulate(program, values, seed=seed, probes=list(needed)))]
    else:
        stream = open_data(data, api.port_of(program))
        samples, steps = stream.samples, stream.steps
        runs = api.emulate_batches(program, stream, seed=seed, probes=list(needed), readout=judge)
    judge = judge if network is None else in_units_of(judge, network)
    with nullcontext() if output is None else trace_file(output) as keep:
        found = tally(runs, program.outputs, keep, judge)
    if output is not None:
        written.append(str(output))
    share = found.accuracy
    # Some targets also count by core, and what enters.
    rows = {k: {c: row[c] for c in _COUNTS} for k, row in found.rows.items() if k in program.fires}
    cores = {k: dict(row) for k, row in found.rows.items() if k.startswith(CORE)}
    digital = not statistical(program.target)
    clipped = clipped_of(program, found.rows) if drawn or digital else ()
    total = {k: sum(row[k] for row in rows.values()) for k in _COUNTS}
    if as_json:
        head: dict[str, Any] = {"samples": samples, "steps": steps}
        head |= {"seed": seed, "statistical": True} if drawn else {}
        populations = [{"population": name, **row} for name, row in rows.items()]
        file = None if output is None else str(output)
        head |= {"accuracy": share, **total, "populations": populations}
        head["dead_outputs"] = [one.to_dict() for one in found.dead]
        head |= {"cores": [{"core": name, **row} for name, row in cores.items()]} if cores else {}
        head |= clipping_dict(clipped) if clipped else {}
        print_json({**head, "trace": file})
        return
    batch = samples
    title = f"{batch} samples of {steps} steps, accuracy {percent(share)}"
    title += f" (statistical: chip {seed} of many)" if drawn else ""
    rows["total"], rows["per sample"] = total, {k: round(n / batch) for k, n in total.items()}
    shown = [[name, *(str(row[k]) for k in _COUNTS)] for name, row in rows.items()]
    table(title, ["population", *_COUNTS], shown)
    if cores:
        _show_cores(cores)
    if line := summary(clipped):
        say(line)
    say_dead(found.dead)
    if output is not None:
        say(f"trace: {output}")


def _readout(text: str | None, program: Program) -> ReadOut:
    """What `--readout` says, else the program."""
    from snnstack.report.readout import read_out

    return read_out(program.settings, said=text)


def _show_cores(cores: dict[str, dict[str, int]]) -> None:
    """The busiest cores with all that they count."""
    busiest = sorted(cores, key=lambda name: -cores[name]["synops"])[:MOST_CORES]
    columns = list(cores[busiest[0]])
    rows = [[name, *(str(cores[name].get(c, 0)) for c in columns)] for name in busiest]
    rest = len(cores) - len(busiest)
    more = f", the busiest {len(busiest)} ({rest} more with --json)" if rest else ""
    say()
    table(f"cores{more}", ["core", *(c.replace("_", " ") for c in columns)], rows)


def _probes(texts: tuple[str, ...], known: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    from snnstack.errors import Problem, TargetError, raise_if_any

    names = {f"{population}:{variable}": (population, variable) for population, variable in known}
    hint = f"known: {', '.join(names)}"
    wrong = [Problem(f"--probe {t}", "no such state", hint) for t in texts if t not in names]
    raise_if_any(TargetError, wrong)
    return [names[text] for text in texts]


@click.command(cls=Verb, short_help="Compare the emulator with an independent run.")
@click.argument("directory", type=click.Path(path_type=Path), metavar="DIR")
@data_option
@click.option("--samples", type=click.IntRange(min=1), help="Only the first N.", metavar="N")
@readout_option
@json_option
def verify(
    directory: Path, data: str, samples: int | None, readout: str | None, as_json: bool
) -> int:
    """Compare the emulator with an independent run of DIR: every spike, every state."""
    from snnstack import api
    from snnstack.frontends.open_data import open_data
    from snnstack.frontends.values import read_values
    from snnstack.target import backend, offered

    program, network = api.open_program(directory)
    say_foreign(program, directory)
    if api.carries_values(program):
        values, _ = read_values(Path(data), program.port)
        found = api.verify(program, values, samples)
        return _verdict([found], as_json)
    test = open_data(data, api.port_of(program)).first(samples)
    with progress("building") as update:
        found = api.verify(
            program, test, progress=partial(update, "running"), readout=_readout(readout, program)
        )
    results = [found]
    if network is not None or offered(backend(program.target), "reference"):
        results.append(api.verify_reference(program, network, test, REFERENCE_SAMPLES))
    return _verdict(results, as_json)


def say_foreign(program: Program, directory: Path) -> None:
    """A line on stderr where files of the directory are not what is built and compared."""
    from snnstack.saving import unlike_emitted

    if found := unlike_emitted(program, directory):
        more = f" and {len(found) - 1} others" if len(found) > 1 else ""
        text = f"{directory}: {found[0]}{more} are not what this version writes for the program"
        say(f"note: {text}; built and compared is what it writes", err=True)


def _verdict(results: Sequence[Equality], as_json: bool) -> int:
    """The comparisons, shown; the exit code."""
    if as_json:
        others = [other.to_dict() for other in results[1:]]
        print_json({**results[0].to_dict(), "also": others})
    else:
        for result in results:
            show_equality(result)
    return 1 if any(result.mismatches for result in results) else 0


def show_equality(found: Equality) -> None:
    """One comparison in words."""
    say(f"{found.mismatches} mismatches against {found.against}")
    say(
        f"  {found.samples} samples of {found.steps} steps: {found.spikes_compared} spike slots "
        f"and {found.states_compared} states compared"
    )
    for line in (*found.differences, *found.agreements):
        say(f"  {line}")
