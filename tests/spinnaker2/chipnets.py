"""Random networks in chip units: every application, both resets, delays, pools, loops."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from snnstack.backends.spinnaker2.builder import ChipBuilder
from snnstack.backends.spinnaker2.network import ChipNetwork
from snnstack.backends.spinnaker2.words import has_delays, weight_limit
from snnstack.ir.step import size
from snnstack.trace import Spikes

LISTS = ("lif", "lif_no_delay", "lif_curr_exp", "lif_curr_exp_no_delay")


def random_network(rng: Any, steps: int = 25) -> tuple[ChipNetwork, Spikes]:
    """Two or three populations, and input for them (counts half of the time)."""
    image = bool(rng.integers(2))
    shape = (2, 7, 6) if image else (int(rng.integers(1, 25)),)
    builder = ChipBuilder().input("x", shape)
    if image:
        first = _convolution(builder, rng, shape)
    else:
        first = (int(rng.integers(1, 20)),)
        _population(builder, rng, "a", first)
        _connect(builder, rng, "x", "a", first[0], shape[0])
    n = int(rng.integers(1, 20))
    _population(builder, rng, "b", (n,))
    _connect(builder, rng, "a", "b", n, size(first))
    if rng.integers(2):
        _connect(builder, rng, "x", "b", n, size(shape))
    if rng.integers(2):
        _connect(builder, rng, "b", "b", n, n)
    if rng.integers(2) and not image:
        _connect(builder, rng, "b", "a", first[0], n)
    most = 1 if rng.integers(2) else 4
    active = rng.random((2, steps, *shape)) < rng.choice([0.05, 0.3, 0.8])
    data = (active * rng.integers(1, most + 1, active.shape)).astype(np.uint8)
    return builder.build(), Spikes.from_dense(data)


def _convolution(builder: ChipBuilder, rng: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    stride, padding, pool = (int(rng.integers(1, 3)), int(rng.integers(0, 2)), rng.integers(3))
    seen = [s // 2 for s in shape[1:]] if pool == 2 else shape[1:]
    kernel, groups = (2, 2), int(rng.integers(1, 3))
    out = [(s + 2 * padding - 2) // stride + 1 for s in seen]
    first = (2, *out)
    kinds = ("lif_conv2d", "lif_conv2d", "lif_no_delay", "lif_curr_exp")
    application = str(rng.choice(kinds))
    _population(builder, rng, "a", first, application)
    most = weight_limit(application)  # type: ignore[arg-type]
    weight = rng.integers(-most, most + 1, (2, 2 // groups, *kernel))
    builder.conv(
        "x", "a", weight, stride=stride, padding=padding, groups=groups,
        pool=2 if pool == 2 else None,
    )  # fmt: skip
    return first


def _population(
    builder: ChipBuilder, rng: Any, name: str, shape: tuple[int, ...], application: str = ""
) -> None:
    """Any parameters, one for all or one for each neuron."""
    application = application or str(rng.choice(LISTS))
    many = size(shape) if rng.integers(2) else 1

    def pick(low: float, high: float) -> Any:
        return rng.uniform(low, high, many) if many > 1 else float(rng.uniform(low, high))

    decays = {k: pick(0, 1) for k in ("exc_decay", "inh_decay")} if "curr" in application else {}
    most = weight_limit(application)  # type: ignore[arg-type]
    builder.population(
        name, shape, application,  # type: ignore[arg-type]
        threshold=None if name == "b" and rng.integers(6) == 0 else pick(0.2 * most, 4 * most),
        alpha=float(rng.choice([1.0, 0.0])) if rng.integers(4) == 0 else pick(0.3, 1.0),
        i_offset=pick(-1, 0.5 * most) if rng.integers(2) else 0,
        v_reset=pick(-most, 0) if rng.integers(2) else 0,
        v_init=pick(-most, most) if rng.integers(4) == 0 else 0,
        reset=str(rng.choice(["v_reset", "subtract"])),
        **decays,
    )  # fmt: skip


def _connect(builder: ChipBuilder, rng: Any, source: str, target: str, n: int, m: int) -> None:
    application: Any = next(p for p in builder._populations if p.name == target).application
    if source == "b" and builder._populations[-1].threshold is None:
        return
    most, delays = weight_limit(application), has_delays(application)
    weight = rng.integers(-most, most + 1, (n, m))
    if rng.integers(2):
        delay = rng.integers(0, 8, (n, m)) if delays and rng.integers(2) else 0
        builder.connect(source, target, weight, delay=delay)
        return
    weight = sparse.csr_matrix(weight * (rng.random((n, m)) < 0.3))
    builder.connect(source, target, weight, delay=int(rng.integers(0, 8)) if delays else 0)
