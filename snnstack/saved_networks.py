"""Networks and programs from files: read, and refused where their parts do not belong together.

`snnstack.saved_tables` compares single tables; here are those of a whole network: the integer one
that is saved beside a program, and one in the units of a neuromorphic chip.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
from typing import Any

from snnstack.door import shown
from snnstack.errors import Problem, TargetError, raise_if_any
from snnstack.ir.nodes import Array
from snnstack.ir.step import size
from snnstack.quant.network import QuantizedNetwork, QuantizedPopulation
from snnstack.quant.numerics import Numerics
from snnstack.saved_neurons import cell_problems, written_problems
from snnstack.saved_settings import setting_problems
from snnstack.saved_tables import (
    AGAIN,
    INT32,
    Range,
    array_problems,
    connection_problems,
    name_problems,
    scale_problems,
)
from snnstack.serial import from_files

FIELDS = ("bias", "leak", "threshold", "v_reset")
LARGEST_PAYLOAD = 2**23 - 1
"""Of an event on any target."""
MOST_BITS = 62
"""Of a number in the reference, which computes in int64."""


def opened(
    files: Mapping[str, bytes],
    stem: str,
    kinds: tuple[type[Any], ...],
    problems: Callable[[Any], Iterator[Problem]],
) -> Any:
    """One of `kinds[0]` from `stem`.json and .npz; TargetError with all that is wrong with it."""
    found = from_files(files, stem, kinds)
    raise_if_any(TargetError, problems(found))
    return found


def network_problems(network: QuantizedNetwork) -> Iterator[Problem]:
    """What the reference would stumble over, or read outside of an array."""
    wrong = [*_head_problems(network), *_number_problems(network.numerics)]
    yield from wrong
    if wrong:
        return
    inputs = {port.name for port in network.inputs}
    sizes = {port.name: port.n for port in network.inputs}
    sizes |= {p.name: p.n for p in network.populations}
    order = {name: k for k, name in enumerate(sizes)}
    for p in network.populations:
        yield from _population_problems(p, network.numerics)
    ports = {p.name: p.model.inputs for p in network.populations}
    for projection in network.projections:
        wrong = list(entering_problems(projection, inputs, sizes))
        if projection.port not in ports.get(projection.target, (projection.port,)):
            yield Problem(str(projection), f"ends in no input {shown(projection.port)}", AGAIN)
        yield from wrong
        late = not wrong and order[projection.source] >= order[projection.target]
        if late and projection.delay == 0:
            yield Problem(str(projection), "reads a later population in the same step", AGAIN)


def beside_problems(network: QuantizedNetwork, program: Any) -> Iterator[Problem]:
    """An integer network that is not the one that `program` was made of."""
    port = network.port
    if (port.name, port.shape) != (program.port.name, program.port.shape):
        what = f"has the input {port.name!r} of shape {list(port.shape)}"
        theirs = f"the program's is {program.port.name!r} of shape {list(program.port.shape)}"
        yield Problem("network", f"{what}, {theirs}", AGAIN)
    fires = {p.name: p.fires for p in network.populations}
    known = all(program.fires.get(name) is does for name, does in fires.items())
    if not known or network.outputs != program.outputs:
        yield Problem("network", "its populations or results are not the program's", AGAIN)


def neuron_problems(
    p: Any, decay_bits: int, within: Range, widths: Container[int] = range(1, MOST_BITS + 1)
) -> Iterator[Problem]:
    """Parameters of a layer or population that are not one for each of its neurons.

    `within`: what an integer state can be; `widths`: fraction bits that a decay can have.
    Parameters can be real numbers as well, of a machine that computes with them.
    """
    for name in FIELDS:
        values = getattr(p, name)
        yield from _numbers_problems(f"{p.name}, {name}", values, p.n, within)
    for name, bits in (("alpha", p.alpha_bits), ("beta", p.beta_bits)):
        if bits is not None and bits not in widths:
            yield Problem(p.name, f"has {name} of {bits} bits", AGAIN)
            continue
        one = Range(0, 1 << (bits or decay_bits))
        yield from _numbers_problems(f"{p.name}, {name}", getattr(p, name), p.n, one)
    if not 0 <= p.shift <= 31 or not 0 <= p.refractory <= INT32:
        yield Problem(p.name, f"shifts by {p.shift} and rests {p.refractory} steps", AGAIN)


def chip_problems(
    network: Any,
    scales: Mapping[str, Array],
    neurons: Callable[[Any], Iterator[Problem]],
) -> Iterator[Problem]:
    """A network in a chip's units (`input`, `populations`, `connections`, `outputs`, `lag`).

    `neurons(population)`: what is wrong with its parameters.
    """
    shapes = {network.input.name: network.input.shape}
    shapes |= {p.name: p.shape for p in network.populations}
    names = [p.name for p in network.populations]
    wrong = list(name_problems([network.input.name], shapes, names, network.outputs))
    yield from wrong
    if wrong:
        return
    sizes = {name: size(shape) for name, shape in shapes.items()}
    for p in network.populations:
        yield from neurons(p)
    for c in network.connections:
        yield from entering_problems(c, {network.input.name}, sizes)
    yield from scale_problems(scales, sizes)
    yield from _lag_problems(network, names)


def entering_problems(
    c: Any, inputs: Container[str], sizes: Mapping[str, int]
) -> Iterator[Problem]:
    """A connection between populations of `sizes`; none leads into one of the `inputs`."""
    if c.target in inputs:
        yield Problem(f"{c.source} to {c.target}", "leads into the input", AGAIN)
    else:
        yield from connection_problems(c, sizes)


def _lag_problems(network: Any, names: list[str]) -> Iterator[Problem]:
    """Populations that run further behind than spikes can take through all connections."""
    most = len(names) + sum(1 + c.delay for c in network.connections)
    for name, steps in network.lag.items():
        if name not in names or not 0 <= steps <= most:
            yield Problem("lag", f"{name}: {steps} steps, at most {most} are possible", AGAIN)


def _head_problems(network: QuantizedNetwork) -> Iterator[Problem]:
    if not network.inputs:
        yield Problem("network", "has no input", AGAIN)
        return
    if len({port.events for port in network.inputs}) > 1:
        yield Problem("network", "has inputs that take different kinds of events", AGAIN)
    inputs = [port.name for port in network.inputs]
    shapes = {port.name: port.shape for port in network.inputs}
    shapes |= {p.name: p.shape for p in network.populations}
    names = [p.name for p in network.populations]
    yield from name_problems(inputs, shapes, names, network.outputs)
    yield from setting_problems(network.settings)
    if not 0 < network.dt < float("inf"):
        yield Problem("network", f"has steps of {network.dt} s", AGAIN)


def _number_problems(numerics: Numerics) -> Iterator[Problem]:
    """Arithmetic of no machine, or wider than the reference's."""
    bits = [numerics.weight_bits, numerics.decay_bits, numerics.fine_decay_bits or 1]
    most = [numerics.input_max, numerics.current_max, numerics.state_max]
    low, high = numerics.weight_min, numerics.weight_max
    good = all(1 <= n <= MOST_BITS for n in bits) and 0 <= numerics.threshold_shift <= MOST_BITS
    if not good or not all(1 <= n <= 1 << MOST_BITS for n in most) or not low <= 0 <= high:
        yield Problem("numerics", "is the arithmetic of no machine", AGAIN)


def _population_problems(p: QuantizedPopulation, numerics: Numerics) -> Iterator[Problem]:
    most = max(numerics.state_max, INT32)
    wrong = list(written_problems(p))
    yield from wrong
    if p.is_lif and not wrong:
        yield from neuron_problems(p, numerics.decay_bits, Range(-most - 1, most))
    elif not wrong:
        yield from cell_problems(p, LARGEST_PAYLOAD)
    yield from array_problems(f"{p.name}, input gain", p.input_gain, (p.n,))
    yield from scale_problems({p.name: p.scale}, {p.name: p.n})


def _numbers_problems(where: str, values: Array | None, n: int, within: Range) -> Iterator[Problem]:
    real = values is not None and values.dtype.kind == "f"
    yield from array_problems(where, values, (n,), None if real else within)
