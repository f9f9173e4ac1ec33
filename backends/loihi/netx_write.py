"""Writes a chain of populations as a netx file; one that was read keeps its every data set."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from snnstack.backends.loihi.chip_synapses import ODD_MIXED, weight_format
from snnstack.backends.loihi.lava_job import matrix
from snnstack.backends.loihi.network import (
    ChipNetwork,
    ChipPopulation,
    Connection,
)
from snnstack.backends.loihi.netx import FORMAT, FORMAT_REC, SIGNS
from snnstack.backends.loihi.netx_neuron import per_neuron
from snnstack.backends.loihi.netx_registers import Data, delay_of, neuron_data, own_delay, synaptic
from snnstack.errors import ModelError, Problem, fail, raise_if_any
from snnstack.frontends.hdf5 import write_model
from snnstack.ir.nodes import Array
from snnstack.ir.step import Conv, size

WEIGHTS = ("weight", "weight_rec", "recWeight")


def write_netx(network: ChipNetwork, path: str | Path) -> None:
    """Write `network` to `path`: layers of dense, dense_rec and conv in a chain.

    A delay is that of what a layer sends; where the synapses of one neuron differ in it, that of
    the dense layer's own synapses. ModelError with everything that netx has no place for:
    branches, reset by subtraction, both kinds of delay around a layer, a pool in a connection.
    """
    import h5py

    path = Path(path)
    layers = netx_layers(network)
    if not path.parent.is_dir():
        raise fail(ModelError, str(path), f"there is no directory '{path.parent}'", "create it")
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        for index, layer in enumerate(layers):
            for key, value in layer.items():
                file.create_dataset(f"layer/{index}/{key}", data=_stored(value))
        for key, value in _flat(network.settings.get("netx", {}).get("rest", {})).items():
            file.create_dataset(key, data=_stored(value))
    write_model(content.getvalue(), path)


def netx_layers(network: ChipNetwork) -> list[Data]:
    """The data sets of every layer: {"neuron/iDecay": array, "type": ("dense",), ...}."""
    problems: list[Problem] = []
    kept = network.settings.get("netx", {})
    records = {record["name"]: record for record in kept.get("layers", ())}
    known = [p.name for p in network.populations if p.name in records]
    if len(known) != len(network.populations):
        records = {}
    derived = {p.name: d for p, d in _derived(network, kept.get("spike_exp", 6), problems)}
    delay = delay_of(network, network.input.name, problems)
    raise_if_any(ModelError, problems)
    if records:
        return [_merged(record, derived.get(name, {})) for name, record in records.items()]
    layers: list[Data] = [{"type": ("input",), "shape": np.array(network.input.shape)}]
    if delay is not None:
        layers[0]["delay"] = delay
    shape = network.input.shape
    for p in network.populations:
        data = derived[p.name]
        if data["type"] != ("conv",) and len(shape) == 3:
            layers.append({"type": ("flatten",), "shape": np.array([size(shape), 1, 1])})
        if p.name != f"layer{len(layers)}":
            data["name"] = p.name
        layers.append(data)
        shape = p.shape
    return layers


def _derived(
    network: ChipNetwork, spike_exp: int, problems: list[Problem]
) -> list[tuple[ChipPopulation, Data]]:
    """What the network itself says of each of its layers."""
    found, before = [], network.input.name
    if network.outputs != (network.populations[-1].name,):
        what = f"the outputs are {', '.join(network.outputs)}"
        problems.append(Problem("network", what, "netx knows the last layer as output only"))
    for p in network.populations:
        forward = [c for c in network.into(p.name) if c.source != p.name]
        back = [c for c in network.into(p.name) if c.source == p.name]
        wrong = sorted({c.source for c in forward} - {before})
        if wrong or not forward:
            what = f"it gets its input from {', '.join(wrong) or 'nowhere'}, not from '{before}'"
            problems.append(Problem(p.name, what, "netx holds one chain of layers"))
            continue
        data = _synapses(network, p, forward, problems)
        own = own_delay(forward, data.get("weight"))
        if back:
            data |= _recurrent(p, back, own, problems)
        data |= neuron_data(p, spike_exp, problems)
        delay = delay_of(network, p.name, problems)
        if own is not None and delay is not None:
            what = "both its synapses and what it sends have delays"
            problems.append(Problem(p.name, what, "netx has one data set for delays per layer"))
        if own is not None or delay is not None:
            data["delay"] = own if delay is None else delay
        found.append((p, data))
        before = p.name
    return found


def _synapses(
    network: ChipNetwork, p: ChipPopulation, parts: list[Connection], problems: list[Problem]
) -> Data:
    if any(c.pool is not None for c in parts):
        problems.append(Problem(p.name, "a pool inside a connection has no place in netx"))
        return {}
    first = parts[0].synapses
    if isinstance(first, Conv):
        weight = np.sum([c.synapses.weight for c in parts], axis=0)
        return {
            "type": ("conv",),
            "shape": np.array(p.shape),
            "inChannels": np.int64(first.in_shape[0]),
            "outChannels": np.int64(first.out_shape[0]),
            "kernelSize": np.array(weight.shape[2:]),
            "stride": np.array(first.stride),
            "padding": np.array(first.padding),
            "dilation": np.array(first.dilation),
            "groups": np.int64(first.groups),
            "weight": weight,
            **_format(FORMAT, parts[0], weight),
        }
    source = parts[0].source
    sources = network.input if source == network.input.name else network.population(source)
    weight = _summed(parts, p.n, size(sources.shape))
    return {
        "type": ("dense",),
        "shape": np.array(p.shape),
        "inFeatures": np.int64(weight.shape[1]),
        "outFeatures": np.int64(p.n),
        "weight": weight,
        **_format(FORMAT, parts[0], weight),
    }


def _summed(parts: list[Connection], targets: int, sources: int) -> Array:
    """The weights of all `parts` as one array [target, source]."""
    total = np.zeros((targets, sources), dtype=np.int64)
    for c in parts:
        found = matrix(c.synapses, targets, sources, None)
        total += found if isinstance(found, np.ndarray) else found.toarray()
    return total


def _recurrent(
    p: ChipPopulation, parts: list[Connection], own: Array | None, problems: list[Problem]
) -> Data:
    late = own if own is not None and own.shape == (p.n, p.n) else np.zeros((p.n, p.n))
    used = [synaptic(c, (p.n, p.n)) for c in parts]
    wrong = any((late[u] != c.delay).any() for c, u in zip(parts, used, strict=True))
    if wrong or isinstance(parts[0].synapses, Conv):
        what = "recurrent synapses with a delay or shared weights have no place in netx"
        problems.append(Problem(p.name, what))
    weight = _summed(parts, p.n, p.n)
    return {"type": ("dense_rec",), "weight_rec": weight, **_format(FORMAT_REC, parts[0], weight)}


def _format(key: str, c: Connection, weight: Array) -> Data:
    """Nothing where the weights alone say the format, or the parts that hold them."""
    found = weight_format(weight)
    if found == (c.bits, c.exponent, c.signs) or (found == ODD_MIXED and c.signs != "mixed"):
        return {}
    return {key: np.array([c.bits, c.exponent, SIGNS.index(c.signs)])}


def _merged(record: Data, derived: Data) -> Data:
    """The recorded data sets, with the network's values where they are no longer the same."""
    found = {}
    if record["kind"] == "input":  # its synapses and its iDecay are ours, not the file's
        kept = ("neuron/vDecay", "neuron/vThMant", "neuron/refDelay")
        derived = {key: value for key, value in derived.items() if key in kept}
    for key, entry in record["data"].items():
        mine = derived.get("weight_rec" if key == "recWeight" else key)
        if "text" in entry:
            found[key] = entry["text"]
        elif key in WEIGHTS and mine is not None:
            flat = np.ravel(mine)[: int(np.prod(entry["shape"]))]  # a pool stores one kernel
            found[key] = flat.reshape(entry["shape"]).astype(entry["dtype"])
        else:
            old = np.array(entry["value"], dtype=entry["dtype"]).reshape(entry["shape"])
            found[key] = old if mine is None or _agrees(old, mine, derived) else mine
    for key in ("bias", "delay", FORMAT, FORMAT_REC):
        if key in derived and key not in found:
            found[key] = derived[key]
    return found


def _agrees(kept: Array, mine: Any, derived: Data) -> bool:
    """Whether a recorded value, cut to whole numbers, says the same as the network's."""
    cut = np.trunc(kept) if kept.dtype.kind == "f" else kept
    if cut.size == np.size(mine):
        return bool((cut.ravel() == np.ravel(mine)).all())
    shape = tuple(int(s) for s in derived.get("shape", ()))
    if np.size(mine) == 1 and cut.size > 1:
        return bool((cut == mine).all())
    if size(shape) == np.size(mine):
        wide = per_neuron(cut, shape)
        return wide.ndim in (0, len(shape)) and bool(
            (np.broadcast_to(wide, shape).ravel() == np.ravel(mine)).all()
        )
    return False


def _flat(tree: Data, prefix: str = "") -> Data:
    found: Data = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{prefix}{key}/")
        else:
            found[prefix + key] = value
    return found


def _stored(value: Any) -> Any:
    """A tuple of texts as fixed-width bytes, as lava-dl writes types; the rest as it is."""
    return np.array(value, dtype="S10") if isinstance(value, tuple) else value
