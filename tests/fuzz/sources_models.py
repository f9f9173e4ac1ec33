"""Whole models with maps, of other tools, or in several files; small and always the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

import snnstack
from tests.fuzz import sources

TOOLS = Path(__file__).resolve().parents[1] / "frontends" / "written"


def _written(file: Path) -> Callable[[Path], None]:
    """The first network that a tool exported."""

    def write(folder: Path) -> None:
        with np.load(file) as held:
            name = next(name for name in held.files if name.endswith(".nir"))
            (folder / "a.nir").write_bytes(held[name].tobytes())

    return write


written = tuple(map(_written, sorted(TOOLS.glob("*.npz"))))
"""NIR files of other tools, as released versions wrote them."""


def netx_conv(folder: Path) -> None:
    """A convolution, and a layer with delays and a loop."""
    from snnstack.backends.loihi.builder import ChipBuilder
    from snnstack.backends.loihi.netx_write import write_netx

    rng, registers = np.random.default_rng(0), {"du": 2048, "dv": 512, "vth_mant": 60}
    kernel, dense = (2 * rng.integers(-60, 61, shape) for shape in ((2, 1, 3, 3), (3, 32)))
    net = (
        ChipBuilder()
        .input("input", (1, 4, 4))
        .population("conv", (2, 4, 4), **registers)
        .population("fc", 3, **registers)
        .conv("input", "conv", kernel, padding=1)
        .connect("conv", "fc", dense)
        .build()
    )
    write_netx(net, folder / "a.net")


def netx_graded(folder: Path) -> None:
    """Sigma-delta neurons, which send values."""
    from snnstack.backends.loihi.builder import ChipBuilder
    from snnstack.backends.loihi.netx_write import write_netx

    rng = np.random.default_rng(5)
    net = (
        ChipBuilder()
        .input("input", 4)
        .sigma_delta("a", 5, vth=0, spike_exp=6)
        .sigma_delta("b", 3, vth=0, spike_exp=6, bias=1)
        .connect("input", "a", 2 * rng.integers(-60, 61, (5, 4)))
        .connect("a", "b", 2 * rng.integers(-60, 61, (3, 5)))
        .build()
    )
    write_netx(net, folder / "a.net")


def onnx_conv(folder: Path) -> None:
    """A convolution, a normalisation, a pool and a read-out."""
    from onnx import helper

    from tests.onnx.ann_models import save

    rng = np.random.default_rng(0)
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], "conv", kernel_shape=[3, 3], pads=[1] * 4),
        helper.make_node("BatchNormalization", ["c", "s", "o", "m", "v"], ["n"], "norm"),
        helper.make_node("Relu", ["n"], ["r"], "relu"),
        helper.make_node("AveragePool", ["r"], ["p"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["p"], ["f"], "flat"),
        helper.make_node("Gemm", ["f", "w2", "b2"], ["y"], "fc"),
    ]
    one = np.ones(2, np.float32)
    weights = {
        "w": rng.normal(0, 0.5, (2, 1, 3, 3)).astype(np.float32),
        "b": 0 * one,
        **{"s": one, "o": 0 * one, "m": 0 * one, "v": one},
        "w2": rng.normal(0, 0.5, (18, 3)).astype(np.float32),
        "b2": np.zeros(3, np.float32),
    }
    save(folder / "a.onnx", nodes, weights, [1, 6, 6], [("y", ["batch", 3])])


def onnx_outside(folder: Path) -> None:
    """Weights in a file beside the model."""
    import onnx

    sources.onnx_ann(folder)
    model = onnx.load(folder / "a.onnx")
    onnx.save(
        model, folder / "a.onnx", save_as_external_data=True, location="a.data", size_threshold=0
    )


def onnx_step_conv(folder: Path) -> None:
    graph = snnstack.load(sources.conv(), snnstack.Options(dt=1e-3))
    (folder / "a.onnx").write_bytes(snnstack.to_onnx(graph).SerializeToString())
