"""Reads lava-dl's netx files (`.net`, HDF5): layers of Loihi integers, as a `ChipNetwork`.

A file holds `layer/<i>` with a `type`, a `shape` ([C, H, W], as in torch), a `neuron` group,
`weight`, `bias` (mantissa, exponent 6) and `delay` (of what the layer sends). What the network
itself does not hold stays in `settings["netx"]`, so that `write_netx` gives back every data set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from snnstack.backends.loihi.chip_synapses import as_conv, conv_size, split_by_delay
from snnstack.backends.loihi.netx_neuron import input_neurons, neurons, numbers
from snnstack.backends.loihi.network import ChipInput, ChipNetwork, ChipPopulation, Connection
from snnstack.backends.loihi.ranges import integers, outside
from snnstack.backends.loihi.weights import Signs, effective
from snnstack.errors import ModelError, Problem, fail, raise_if_any
from snnstack.frontends.nir_file import _group, _opened
from snnstack.ir.nodes import Array, Shape
from snnstack.ir.step import Dense, Sparse, Synapses, size

Layer = dict[str, Any]
LAYERS = ("input", "dense", "dense_rec", "conv", "pool", "flatten", "average")
REFUSED = ("concat", "convT", "unpool", "dense_comp")
FORMAT, FORMAT_REC = "chipFormat", "chipFormatRec"
"""Our additions: [bits, exponent, place in `SIGNS`] where it is not what the weights suggest."""
SIGNS: tuple[Signs, ...] = ("mixed", "excitatory", "inhibitory")


@dataclass
class _Reader:
    """What has been read so far, and what was wrong with it."""

    generation: Literal[1, 2]
    spike_exp: int
    input: ChipInput | None = None
    shape: Shape | None = None
    source: str = "input"
    delay: Array | None = None
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
) -> ChipNetwork:
    """The network in `path`; its populations are called `layer0`, `layer1`, ... by layer.

    Reads the layers `skip_layers` to `num_layers` - 1; the input then is what layer
    `skip_layers` - 1 sends. `input_shape`: needed where the first layer read is a convolution
    or a pool and no input layer says it. `graded_input`: the input carries integers.
    `spike_exp`: lava-dl's exponent of sigma-delta messages.

    An input layer with neurons becomes a population with one synapse per neuron: for CUBA
    its input carries the bias mantissa of each step (`2 * weight * x - weight + bias` in
    lava-dl), for SDNN the change of the input since the last step.

    ModelError with everything that is wrong with the file, or that is not supported.
    """
    path = Path(path)
    problems: list[Problem] = []
    layers, rest = _layers(path, problems)
    raise_if_any(ModelError, problems)
    wanted = layers[: len(layers) if num_layers is None else num_layers]
    reader = _Reader(generation, spike_exp, problems=problems)
    if graded_input and generation == 1:
        problems.append(Problem(str(path), "generation 1 has no graded input events"))
    if input_shape is not None:
        reader.input = ChipInput("input", tuple(input_shape), graded_input)
        reader.shape = tuple(input_shape)
    for index, layer in enumerate(wanted):
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


def _layers(path: Path, problems: list[Problem]) -> tuple[list[Layer], Layer]:
    _check_openable(path)
    with _opened(path) as file:
        tree = _group(file, str(path), 0, problems)
    found = tree.pop("layer", None)
    if not isinstance(found, dict):
        names = ", ".join(f"'{name}'" for name in tree) or "nothing"
        what = "it is an HDF5 file but not a netx network: it has no group 'layer'"
        raise fail(ModelError, str(path), what, f"it holds {names}")
    missing = [str(i) for i in range(len(found)) if str(i) not in found]
    if missing or not found:
        what = f"its layers are {sorted(found)}, not numbered from 0 without a gap"
        raise fail(ModelError, str(path), what)
    return [found[str(i)] for i in range(len(found))], tree


def _check_openable(path: Path) -> None:
    import h5py

    if not path.exists():
        raise fail(ModelError, str(path), "there is no such file")
    if path.is_dir():
        raise fail(ModelError, str(path), "it is a directory", "name a .net file")
    if path.stat().st_size == 0:
        raise fail(ModelError, str(path), "it is empty", "export or download it again")
    if not h5py.is_hdf5(path):
        raise fail(ModelError, str(path), "it is not an HDF5 file", "netx networks are HDF5 files")


def layer_type(layer: Layer) -> str:
    """The layer's `type`, whether it is stored as text or as an array of one text."""
    kind = layer.get("type", "")
    return str(kind[0] if isinstance(kind, tuple) and kind else kind)


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
        reader.shape = _shape(where, layer, reader.problems)
    elif kind != "flatten":
        _neural(reader, where, name, kind, layer, graded)
    elif reader.shape is not None:
        reader.shape = (size(reader.shape),)
    if len(reader.problems) == before:
        reader.records.append({"kind": kind, "name": name, "data": _record(layer)})


def _skip(reader: _Reader, layer: Layer) -> None:
    found: list[Problem] = []
    shape = _shape("", layer, found)
    reader.shape = reader.shape if found else shape
    reader.delay = layer.get("delay")


def _input(reader: _Reader, where: str, name: str, layer: Layer, graded: bool) -> None:
    reader.shape = _shape(where, layer, reader.problems)
    reader.delay = layer.get("delay")
    if "neuron" not in layer:
        reader.input = ChipInput("input", reader.shape, graded)
        return
    found = input_neurons(where, name, reader.shape, layer, reader.spike_exp, reader.problems)
    if found is None:
        return
    reader.input = ChipInput("input", reader.shape, True)
    population, weight, exponent = found
    each = np.arange(population.n + 1, dtype=np.int64)
    stored = np.full(population.n, weight, dtype=np.int64)
    wires = Sparse(
        each, each[:-1].astype(np.int32), effective(stored, exponent=exponent, signs="excitatory")
    )
    reader.connections.append(
        Connection("input", name, wires, exponent=exponent, signs="excitatory")
    )
    reader.populations.append(population)
    reader.source = name


def _neural(
    reader: _Reader, where: str, name: str, kind: str, layer: Layer, graded: bool
) -> None:
    """A layer with weights: its population and the connections that lead to it."""
    shape = _shape(where, layer, reader.problems)
    if kind.startswith("dense"):
        shape = (size(shape),)
    weight = numbers(where, "weight", layer, reader.problems)
    if weight is None or reader.problems:
        return
    if kind.startswith("dense"):
        synapses = _dense(reader, where, weight, shape)
    else:
        synapses = _conv(reader, where, kind, weight, shape, layer)
    population = neurons(where, name, shape, layer, reader.spike_exp, reader.problems)
    if synapses is None or population is None:
        return
    if reader.input is None:
        reader.input = ChipInput("input", reader.shape or (0,), graded)
    _add(reader, where, reader.source, name, synapses, reader.delay, layer.get(FORMAT))
    if kind == "dense_rec":
        key = "weight_rec" if "weight_rec" in layer else "recWeight"
        back = numbers(where, key, layer, reader.problems)
        if back is not None and back.size != size(shape) ** 2:
            what = f"{key} has shape {list(back.shape)}, not {[size(shape)] * 2}"
            reader.problems.append(Problem(where, what))
        elif back is not None:
            square = Dense(integers(where, key, back, reader.problems).reshape(size(shape), -1))
            _add(reader, where, name, name, square, None, layer.get(FORMAT_REC))
    reader.populations.append(population)
    reader.source, reader.shape, reader.delay = name, shape, layer.get("delay")


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


def _conv(
    reader: _Reader, where: str, kind: str, weight: Array, shape: Shape, layer: Layer
) -> Synapses | None:
    if reader.shape is None or len(reader.shape) != 3:
        what = f"the shape before it is {reader.shape}, not [C, H, W]"
        reader.problems.append(Problem(where, what, "give input_shape=(C, H, W)"))
        return None
    weight = weight.reshape(weight.shape[:4])
    groups = int(np.ravel(layer.get("groups", 1))[0])
    if kind == "pool":
        groups, weight = reader.shape[0], np.repeat(weight[:1, :1], reader.shape[0], axis=0)
    if weight.ndim != 4:
        what = f"weight has shape {list(weight.shape)}, not [C_out, C_in / groups, K_y, K_x]"
        reader.problems.append(Problem(where, what))
        return None
    kernel = weight.shape[2:]
    stride = _pair(layer.get("stride", kernel if kind == "pool" else 1))
    geometry = stride, _pair(layer.get("padding", 0)), _pair(layer.get("dilation", 1))
    if kind == "pool":  # the last window may reach over the edge, where there is nothing
        padded = [int(np.ceil(s / k)) * k for s, k in zip(reader.shape[1:], kernel, strict=True)]
        grown = (reader.shape[0], *conv_size((padded[0], padded[1]), kernel, geometry))
        plain = as_conv(where, weight, ((grown[0], *padded), grown), geometry, groups, [])
        if plain is not None and grown == tuple(shape):
            c, h, w = reader.shape
            return replace(plain, in_shape=(c, h, w))
    return as_conv(where, weight, (reader.shape, shape), geometry, groups, reader.problems)


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
        form = int(stored[0]), int(stored[1]), SIGNS[int(stored[2]) % len(SIGNS)]
    if form is None:
        low, high = int(synapses.weight.min()), int(synapses.weight.max())
        what = f"weights {low}..{high} do not fit 8 bits and an exponent"
        reader.problems.append(Problem(where, what, "mixed -256..254, others up to 255"))
        return
    bits, exponent, signs = form
    steps = _delays(reader, where, synapses, delay)
    for wait, part in split_by_delay(where, synapses, steps, reader.problems):
        reader.connections.append(
            Connection(source, target, part, wait, None, bits, exponent, signs)
        )


def _delays(reader: _Reader, where: str, synapses: Synapses, delay: Any) -> Array:
    """What `split_by_delay` takes, from the delays of what the layer before sends."""
    if delay is None or not np.size(delay):
        return np.zeros((), dtype=np.int64)
    steps = np.floor(np.asarray(delay, dtype=np.float64)).astype(np.int64).ravel()
    reader.problems += outside(where, "delay", steps)
    if len(np.unique(steps)) == 1:
        return np.asarray(steps[0])
    if not isinstance(synapses, Dense):
        return steps
    sources = synapses.weight.shape[1]
    if len(steps) != sources and sources % len(steps) == 0:  # per channel, flattened since
        steps = np.repeat(steps, sources // len(steps))
    if len(steps) != sources:
        what = f"the layer before it has {len(steps)} delays for {sources} neurons"
        reader.problems.append(Problem(where, what))
        return np.zeros((), dtype=np.int64)
    return np.broadcast_to(steps, synapses.weight.shape)


def weight_format(weight: Array) -> tuple[int, int, Signs] | None:
    """(bits, exponent, signs) whose effective weights are exactly `weight`, if there is one."""
    low, high = (int(weight.min()), int(weight.max())) if weight.size else (0, 0)
    signs: Signs = "excitatory" if low >= 0 else "inhibitory" if high <= 0 else "mixed"
    lowest, highest = (-256, 254) if signs == "mixed" else (-255, 255)
    common = int(np.bitwise_or.reduce(np.abs(weight), axis=None)) if weight.size else 0
    spare = (common & -common).bit_length() - 1 if common else 8
    for exponent in (0, -1, *range(1, 8)):
        fits = lowest <= low * 2.0**-exponent and high * 2.0**-exponent <= highest
        if fits and spare - exponent >= (signs == "mixed"):
            return 8, exponent, signs
    return (9, 0, "mixed") if signs == "mixed" and low >= -256 and high <= 255 else None


def _shape(where: str, layer: Layer, problems: list[Problem]) -> Shape:
    value = layer.get("shape")
    if value is None:
        problems.append(Problem(where, "it has no 'shape'"))
        return (1,)
    shape = tuple(int(s) for s in np.ravel(value))
    if not shape or min(shape) < 1:
        problems.append(Problem(where, f"its shape is {list(shape)}"))
        return (1,)
    return shape


def _pair(value: Any) -> tuple[int, int]:
    """(y, x) of what is stored as one number or two."""
    flat = [int(v) for v in np.ravel(value)]
    return flat[0], flat[-1]


def _record(layer: Mapping[str, Any], prefix: str = "") -> Layer:
    """Form and, where it is small, value of every data set of a layer; plain numbers and text."""
    found: Layer = {}
    for key, value in layer.items():
        if isinstance(value, dict):
            found |= _record(value, f"{prefix}{key}/")
        elif isinstance(value, (str, tuple)):
            found[prefix + key] = {"text": value}
        else:
            array = np.asarray(value)
            entry: Layer = {"dtype": array.dtype.str, "shape": list(array.shape)}
            if array.size == 1 or prefix + key not in ("weight", "weight_rec", "recWeight"):
                entry["value"] = array.ravel().tolist()
            found[prefix + key] = entry
    return found
