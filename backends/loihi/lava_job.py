"""A `ChipNetwork` in Lava's terms: plain numbers and arrays that a worker builds from."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from scipy import sparse

from snnstack.backends.loihi.lava_text import PORT, process_arrays, process_text
from snnstack.backends.loihi.network import (
    ChipNetwork,
    ChipPopulation,
    Connection,
    Cuba,
    Programmed,
    SigmaDelta,
)
from snnstack.errors import Problem, ToolError, raise_if_any
from snnstack.ir.nodes import Array
from snnstack.ir.step import Conv, Dense, Pool, Sparse, Synapses, size

Job = dict[str, Any]
Way = Literal["runtime", "models", "own"]
Arrays = dict[str, Any]
NEVER = 2**17
"""A threshold mantissa that no membrane reaches: times 2**6 it is above 2**23 - 1."""
SPLIT_BITS = 7
"""Weights beyond 8 bits become two processes, the upper one with this exponent."""
MESSAGE_BITS = 24


def make_job(network: ChipNetwork, data: Array, way: Way) -> tuple[Job, Arrays]:
    """(plain description, arrays) of a run. ToolError names what Lava cannot express.

    `way`: "runtime", the models of `lava_models` in Lava's runtime; "models", stepped without
    it; "own", Lava's own processes unchanged, as a board runs them.
    """
    arrays: Arrays = {"input": np.asarray(data, dtype=np.int32)}
    problems: list[Problem] = []
    populations = [_population(p, arrays, problems) for p in network.populations]
    graded = {p.name for p in network.populations if not isinstance(p, Cuba)}
    graded -= {p.name for p in network.populations if isinstance(p, Programmed) and not p.payload}
    if network.input.graded or (data.size and data.max() > 1):
        graded.add(network.input.name)
    connections = [
        part
        for index, c in enumerate(network.connections)
        for part in _connection(c, f"c{index}", network, c.source in graded, arrays)
    ]
    if way == "own":
        problems += _not_its_own(populations, connections)
    raise_if_any(ToolError, problems)
    job = {
        "way": way,
        "board": False,
        "address": None,
        "generation": network.generation,
        "input": network.input.name,
        "populations": populations,
        "connections": connections,
    }
    return job, arrays


def _not_its_own(populations: list[Job], connections: list[Job]) -> list[Problem]:
    """What Lava's own processes do not have."""
    hint = "Lava's own LIF has neither; `run` without a board computes it"
    own = {p["name"] for p in populations if p["kind"] == "programmed"}
    found = [Problem(name, "has a program of its own", "`run` without a board") for name in own]
    named = [p["name"] for p in populations if p["kind"] == "chip_lif"]
    what = "has registers per neuron, a refractory period or a reset by subtraction"
    found += [Problem(name, what, hint) for name in named]
    late = {f"{c['source']} -> {c['target']}": c["delay"] for c in connections if c["delay"]}
    hint = "Lava's own Dense and Sparse have no delay"
    return found + [Problem(name, f"has a delay of {d} steps", hint) for name, d in late.items()]


def _population(p: ChipPopulation, arrays: Arrays, problems: list[Problem]) -> Job:
    if isinstance(p, SigmaDelta):
        return _sigma_delta(p, arrays, problems)
    if isinstance(p, Programmed):
        return _programmed(p, arrays)
    mantissa, exponent = _bias(p, problems)
    never = np.full(p.n, NEVER)
    values = {
        "du": p.i_decay - 1,
        "dv": p.v_decay,
        "vth": never if p.threshold is None else p.threshold >> 6,
    }
    arrays[f"{p.name}/bias_mant"], arrays[f"{p.name}/bias_exp"] = mantissa, exponent
    kept = ["bias_mant", "bias_exp"]
    if p.v_init is not None:
        arrays[f"{p.name}/v"] = p.v_init
        kept.append("v")
    same = all((value == value[0]).all() for value in values.values())
    plain = same and p.reset == "zero" and p.refractory == 1 and values["du"][0] >= 0
    clearing = p.reset_interval, p.reset_offset + 1  # Lava's first step is 1
    options: dict[str, Any] = {}
    if plain:
        options |= {key: int(value[0]) for key, value in values.items()}
        if p.reset_interval:
            options |= {"reset_interval": clearing[0], "reset_offset": clearing[1]}
    else:
        options |= {"refractory": p.refractory, "subtract": p.reset == "subtract"}
        options["clearing"] = clearing
        arrays |= {f"{p.name}/{key}": value for key, value in values.items()}
        kept += values
    kind = ("lif_reset" if p.reset_interval else "lif") if plain else "chip_lif"
    return {"name": p.name, "kind": kind, "n": p.n, "arrays": kept, "options": options}


def _programmed(p: Programmed, arrays: Arrays) -> Job:
    """The text of its process is made here, from its data."""
    given = process_arrays(p)
    arrays |= {f"{p.name}/{key}": value for key, value in given.items()}
    options = {"text": process_text(p), "states": [*p.variables]}
    return {
        "name": p.name,
        "kind": "programmed",
        "n": p.n,
        "arrays": [*given],
        "options": options,
    }


def _sigma_delta(p: SigmaDelta, arrays: Arrays, problems: list[Problem]) -> Job:
    if (p.threshold != p.threshold[0]).any():
        what = "its thresholds differ between neurons"
        problems.append(Problem(p.name, what, "Lava's SigmaDelta has one per population"))
    one = 1 << p.exponent
    arrays[f"{p.name}/bias"] = p.bias / one
    options = {
        "vth": int(p.threshold[0]) / one,
        "state_exp": p.exponent,
        "activation": "RELU" if p.activation == "relu" else "UNIT",
    }
    return {
        "name": p.name,
        "kind": "sigma_delta",
        "n": p.n,
        "arrays": ["bias"],
        "options": options,
    }


def _bias(p: Cuba, problems: list[Problem]) -> tuple[Array, Array]:
    """(mantissa, exponent) of every neuron's bias, with the smallest exponent that fits."""
    exponent = np.zeros(p.n, dtype=np.int64)
    for _ in range(7):
        scaled = p.bias >> exponent
        exponent += (scaled > 4095) | (scaled < -4096)
    mantissa = p.bias >> exponent
    wrong = (mantissa << exponent != p.bias) | (mantissa > 4095) | (mantissa < -4096)
    if wrong.any():
        what = f"bias is {p.bias[wrong][0]}, no 13-bit mantissa times 2**0..7"
        problems.append(Problem(p.name, what))
    return mantissa, exponent


def _connection(
    c: Connection, key: str, network: ChipNetwork, graded: bool, arrays: Arrays
) -> list[Job]:
    """One process, or two whose weights add up where one has too few bits."""
    sources = (
        network.input.shape
        if c.source == network.input.name
        else network.population(c.source).shape
    )
    target = network.population(c.target)
    port = PORT.format(c.port) if isinstance(target, Programmed) else "a_in"
    weights = matrix(c.synapses, target.n, size(sources), c.pool)
    parts: list[Job] = []
    for part, exponent in _in_eight_bits(weights):
        name = f"{key}.{len(parts)}"
        if isinstance(part, np.ndarray):
            arrays[f"{name}/dense"] = part.astype(np.int32)
        else:
            rows = part.tocsr()
            arrays[f"{name}/data"] = rows.data.astype(np.int32)
            arrays[f"{name}/indices"] = rows.indices
            arrays[f"{name}/indptr"] = rows.indptr
        parts.append(
            {
                "key": name,
                "source": c.source,
                "target": c.target,
                "port": port,
                "delay": c.delay,
                "shape": list(part.shape),
                "exponent": exponent,
                "bits": 9,  # weights are already what the chip makes of them: nothing is cut
                "signs": "mixed",
                "message_bits": MESSAGE_BITS if graded else 0,
            }
        )
    return parts


def _in_eight_bits(weights: Any) -> list[tuple[Any, int]]:
    """[(weights of Lava's range, exponent)] whose sum is `weights`."""
    values = weights if isinstance(weights, np.ndarray) else weights.data
    if not values.size or (values.max() <= 255 and values.min() >= -256):
        return [(weights, 0)]
    if isinstance(weights, np.ndarray):
        upper = weights >> SPLIT_BITS
        return [(upper, SPLIT_BITS), (weights - (upper << SPLIT_BITS), 0)]
    upper, lower = weights.copy(), weights.copy()
    upper.data = values >> SPLIT_BITS
    lower.data = values - (upper.data << SPLIT_BITS)
    return [(upper, SPLIT_BITS), (lower, 0)]


def matrix(synapses: Synapses, targets: int, sources: int, pool: Pool | None) -> Any:
    """[target, source] as an array for `Dense` without a pool, else as scipy.sparse."""
    match synapses:
        case Dense():
            found: Any = synapses.weight
        case Sparse():
            parts = (synapses.weight, synapses.target, synapses.indptr)
            found = sparse.csc_matrix(parts, shape=(targets, len(synapses.indptr) - 1))
        case Conv():
            found = _windows(
                synapses.weight,
                (synapses.in_shape, synapses.out_shape),
                (synapses.stride, synapses.padding, synapses.dilation),
                synapses.groups,
            )
    if pool is None:
        return found
    ones = np.ones((pool.in_shape[0], 1, *pool.kernel), dtype=np.int64)
    geometry = (pool.stride, pool.padding, (1, 1))
    pooled = _windows(ones, (pool.in_shape, pool.out_shape), geometry, pool.in_shape[0])
    return sparse.csc_matrix(sparse.csc_matrix(found) @ pooled)


def _windows(
    weight: Array,
    shapes: tuple[tuple[int, int, int], tuple[int, int, int]],
    geometry: tuple[tuple[int, int], tuple[int, int], tuple[int, int]],
    groups: int,
) -> Any:
    """The cross-correlation with `weight` [C_out, C_in / groups, K_y, K_x] as a matrix."""
    (ci, h, w), (co, oh, ow) = shapes
    (sy, sx), (py, px), (dy, dx) = geometry
    o, i, ky, kx = np.nonzero(weight)
    y, x = (a.ravel() for a in np.indices((oh, ow)))
    in_y = y[None] * sy - py + (ky * dy)[:, None]
    in_x = x[None] * sx - px + (kx * dx)[:, None]
    inside = (in_y >= 0) & (in_y < h) & (in_x >= 0) & (in_x < w)
    channel = (o // (co // groups)) * (ci // groups) + i
    column = (channel[:, None] * h + in_y) * w + in_x
    row = o[:, None] * (oh * ow) + (y * ow + x)[None]
    value = np.broadcast_to(weight[o, i, ky, kx][:, None], inside.shape)
    entries = (value[inside], (row[inside], column[inside]))
    return sparse.csc_matrix(entries, shape=(co * oh * ow, ci * h * w))
