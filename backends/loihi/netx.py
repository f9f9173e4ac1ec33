"""Reads lava-dl's netx files (`.net`, HDF5): layers of Loihi integers, as a `ChipNetwork`.

A file holds `layer/<i>` with a `type`, a `shape` ([C, H, W], as in torch), a `neuron` group,
`weight`, `bias` (mantissa, exponent 6) and `delay` (of what the layer sends; of its own synapses
where it has the shape of dense weights). What the network itself does not hold stays in
`settings["netx"]`, so that `write_netx` gives back every data set.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from snnstack.backends.loihi.chip_synapses import stored_parts, weight_format
from snnstack.backends.loihi.network import ChipInput, ChipNetwork, ChipPopulation, Connection
from snnstack.backends.loihi.netx_clearing import (
    Clearing,
    cleared,
    clearing_data,
    layer_clearing,
    network_clearing,
)
from snnstack.backends.loihi.netx_conv import convolution
from snnstack.backends.loihi.netx_delays import own_delay, steps_of
from snnstack.backends.loihi.netx_file import (
    Layer,
    layer_type,
    read_layers,
    record,
    shape_of,
    whole_numbers,
)
from snnstack.backends.loihi.netx_neuron import input_neurons, neurons, numbers
from snnstack.backends.loihi.weights import Signs, effective
from snnstack.errors import ModelError, Problem, raise_if_any
from snnstack.ir.given import integers, split_by_delay
from snnstack.ir.nodes import Array, Shape
from snnstack.ir.step import Dense, Sparse, Synapses, size

LAYERS = ("input", "dense", "dense_rec", "conv", "pool", "flatten", "average")
REFUSED = ("concat", "convT", "unpool", "dense_comp")
FORMAT, FORMAT_REC = "chipFormat", "chipFormatRec"
"""Our additions: [bits, exponent, place in `SIGNS`] where it is not what the weights suggest."""
SIGNS: tuple[Signs, ...] = ("mixed", "excitatory", "inhibitory")


@dataclass
class _Reader:
    """What has been read so far, and what was wrong with it.

    `late`: steps by which the first population runs behind lava-dl's (an input layer's bias
    reaches it through synapses).
    """

    generation: Literal[1, 2]
    spike_exp: int
    input: ChipInput | None = None
    shape: Shape | None = None
    source: str = "input"
    delay: Array | None = None
    clearing: Clearing | None = None
    late: int = 0
    populations: list[ChipPopulation] = field(default_factory=list)
    connections: list[Connection] = field(default_factory=list)
    records: list[Layer] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def read_netx(
    path: str | Path,
    *,
    input_shape: Shape | None = None,
    skip_layers: int = 0,
    num_layers: int | None = None,
    graded_input: bool = False,
    spike_exp: int = 6,
    generation: Literal[1, 2] = 2,
    reset_interval: int | None = None,
    reset_offset: int = 0,
) -> ChipNetwork:
    """The network in `path`; its populations are called `layer0`, `layer1`, ... by layer.

    Reads the layers `skip_layers` to `num_layers` - 1; the input then is what layer
    `skip_layers` - 1 sends. `input_shape`: needed where the first layer read is a convolution
    or a pool and no input layer says it. `graded_input`: the input carries integers.
    `spike_exp`: lava-dl's exponent of sigma-delta messages.

    An input layer with neurons becomes a population with one synapse per neuron: for CUBA
    its input carries the bias mantissa of each step (`2 * weight * x - weight + bias` in
    lava-dl), for SDNN the change of the input since the last step.

    `reset_interval`, `reset_offset`: those of lava-dl's `netx.hdf5.Network`: every so many steps
    u and v become 0, in the first layer with neurons from step `reset_offset` on (0 is the
    first), in every further layer a step later. None: what the file says, if it does.

    ModelError with everything that is wrong with the file, or that is not supported.
    """
    path = Path(path)
    problems: list[Problem] = []
    layers, rest = read_layers(path, problems)
    raise_if_any(ModelError, problems)
    wanted = layers[: len(layers) if num_layers is None else num_layers]
    rest |= clearing_data(reset_interval, reset_offset)
    clearing = network_clearing(str(path), rest, problems)
    reader = _Reader(generation, spike_exp, clearing=clearing, problems=problems)
    if graded_input and generation == 1:
        problems.append(Problem(str(path), "generation 1 has no graded input events"))
    if input_shape is not None:
        reader.input = ChipInput("input", tuple(input_shape), graded_input)
        reader.shape = tuple(input_shape)
    stored: list[Any] = list(wanted)
    for index, layer in enumerate(stored):
        if not isinstance(layer, dict):
            problems.append(Problem(f"{path.name}: layer {index}", "it is a value, not a group"))
            break
        if index < skip_layers:
            _skip(reader, layer)
        else:
            _read_layer(reader, f"{path.name}: layer {index}", index, layer, graded_input)
        if problems:
            break
    if not problems and not reader.populations:
        problems.append(Problem(str(path), f"no layer with neurons among {len(wanted)} layers"))
    raise_if_any(ModelError, problems)
    options = {"skip_layers": skip_layers, "spike_exp": spike_exp}
    return ChipNetwork(
        generation,
        reader.input or ChipInput("input", (0,), graded_input),
        tuple(reader.populations),
        tuple(reader.connections),
        (reader.populations[-1].name,),
        settings={"netx": {"layers": reader.records, "rest": rest, **options}},
    )


def _read_layer(reader: _Reader, where: str, index: int, layer: Layer, graded: bool) -> None:
    kind, before = layer_type(layer), len(reader.problems)
    if kind not in LAYERS:
        hint = "" if kind in REFUSED else f"known: {', '.join(LAYERS)}"
        what = f"layers of type '{kind}' are not supported" if kind else "it has no 'type'"
        reader.problems.append(Problem(where, what, hint))
        return
    name = str(layer.get("name", f"layer{index}"))
    if kind == "input":
        _input(reader, where, name, layer, graded)
    elif kind == "average":
        reader.shape = shape_of(where, layer, reader.problems)
    elif kind != "flatten":
        _neural(reader, where, name, kind, layer, graded)
    elif reader.shape is not None:
        reader.shape = (size(reader.shape),)
    if len(reader.problems) == before:
        reader.records.append({"kind": kind, "name": name, "data": record(layer)})


def _skip(reader: _Reader, layer: Layer) -> None:
    found: list[Problem] = []
    shape = shape_of("", layer, found)
    reader.shape = reader.shape if found else shape
    reader.delay = layer.get("delay")


def _input(reader: _Reader, where: str, name: str, layer: Layer, graded: bool) -> None:
    reader.shape = shape_of(where, layer, reader.problems)
    reader.delay = layer.get("delay")
    if "neuron" not in layer:
        reader.input = ChipInput("input", reader.shape, graded)
        return
    found = input_neurons(where, name, reader.shape, layer, reader.spike_exp, reader.problems)
    if found is None:
        return
    reader.input, reader.late = ChipInput("input", reader.shape, True), 1
    population, weight, exponent = found
    each = np.arange(population.n + 1, dtype=np.int64)
    stored = np.full(population.n, weight, dtype=np.int64)
    wires = Sparse(
        each, each[:-1].astype(np.int32), effective(stored, exponent=exponent, signs="excitatory")
    )
    reader.connections.append(
        Connection("input", name, wires, exponent=exponent, signs="excitatory")
    )
    _append(reader, where, population, layer)
    reader.source = name


def _append(reader: _Reader, where: str, population: ChipPopulation, layer: Layer) -> None:
    """One more population; each is cleared a step after the one before it."""
    own, turn = layer_clearing(where, layer, reader.problems), reader.clearing
    if own is None and turn is not None:
        own = turn.after(len(reader.populations))
    late = None if own is None else own.after(reader.late)
    reader.populations.append(cleared(where, population, late, reader.problems))


def _neural(reader: _Reader, where: str, name: str, kind: str, layer: Layer, graded: bool) -> None:
    """A layer with weights: its population and the connections that lead to it."""
    shape = shape_of(where, layer, reader.problems)
    if kind.startswith("dense"):
        shape = (size(shape),)
    weight = numbers(where, "weight", layer, reader.problems)
    if weight is None or reader.problems:
        return
    if kind.startswith("dense"):
        synapses: Synapses | None = _dense(reader, where, weight, shape)
    else:
        shapes = (reader.shape, shape)
        synapses = convolution(where, kind, weight, shapes, layer, reader.problems)
    population = neurons(where, name, shape, layer, reader.spike_exp, reader.problems)
    if synapses is None or population is None:
        return
    if reader.input is None:
        reader.input = ChipInput("input", reader.shape or (0,), graded)
    own = own_delay(where, layer.get("delay"), weight, reader.delay, reader.problems)
    delay = reader.delay if own is None else own
    _add(reader, where, reader.source, name, synapses, delay, layer.get(FORMAT))
    if kind == "dense_rec":
        key = "weight_rec" if "weight_rec" in layer else "recWeight"
        back = numbers(where, key, layer, reader.problems)
        if back is not None and back.size != size(shape) ** 2:
            what = f"{key} has shape {list(back.shape)}, not {[size(shape)] * 2}"
            reader.problems.append(Problem(where, what))
        elif back is not None:
            square = Dense(integers(where, key, back, reader.problems).reshape(size(shape), -1))
            late = None if own is None or own.shape != square.weight.shape else own
            _add(reader, where, name, name, square, late, layer.get(FORMAT_REC))
    _append(reader, where, population, layer)
    reader.source, reader.shape = name, shape
    reader.delay = layer.get("delay") if own is None else None


def _dense(reader: _Reader, where: str, weight: Array, shape: Shape) -> Dense | None:
    n = size(shape)
    if weight.size % n:
        what = f"weight has shape {list(weight.shape)}, not [{n}, source]"
        reader.problems.append(Problem(where, what))
        return None
    weight = weight.reshape(n, -1)
    if reader.shape is None:
        reader.shape = (weight.shape[1],)
    if weight.shape[1] != size(reader.shape):
        what = f"weight has shape {list(weight.shape)}, but {size(reader.shape)} sources lead here"
        reader.problems.append(Problem(where, what))
        return None
    return Dense(integers(where, "weight", weight, reader.problems))


def _add(
    reader: _Reader,
    where: str,
    source: str,
    target: str,
    synapses: Synapses,
    delay: Any,
    stored: Any,
) -> None:
    form = weight_format(synapses.weight)
    if stored is not None and form is not None:
        said = whole_numbers(where, FORMAT, stored, reader.problems)
        if said is None or len(said) != 3 or not 0 <= said[2] < len(SIGNS):
            what = f"its {FORMAT} is not [bits, exponent, place in {', '.join(SIGNS)}]"
            reader.problems.append(Problem(where, what))
            return
        form = said[0], said[1], SIGNS[said[2]]
    if form is None:
        low, high = int(synapses.weight.min()), int(synapses.weight.max())
        what = f"weights {low}..{high} do not fit 8 bits and an exponent"
        reader.problems.append(Problem(where, what, "mixed -256..254, others up to 255"))
        return
    steps = steps_of(where, synapses, delay, reader.problems)
    for wait, part in split_by_delay(where, synapses, steps, reader.problems):
        for weight, (bits, exponent, signs) in stored_parts(part.weight, form):
            own = replace(part, weight=weight)
            reader.connections.append(
                Connection(source, target, own, wait, None, bits, exponent, signs)
            )
