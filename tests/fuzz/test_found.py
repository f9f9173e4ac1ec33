"""Damage that once went through, or ended in an exception that is not ours: each by hand."""

from __future__ import annotations

import contextlib
import json
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import snnstack
from snnstack.errors import DataError, ModelError, SnnstackError, TargetError
from snnstack.frontends.onnx_file import OnnxGraph, OnnxNode
from snnstack.frontends.onnx_walk import walked
from snnstack.frontends.open_data import open_data
from snnstack.ir.nodes import LIF
from snnstack.ir.step import StepInput
from snnstack.passes.discretise import _factors
from snnstack.passes.writers import WRITERS
from snnstack.report.document import read_rows
from snnstack.report.pareto import share_interval
from snnstack.sweep.spec import at_folder, read_spec
from tests.cli.calls import small
from tests.fuzz import sources
from tests.fuzz.tally import lines

PORT = StepInput("in", (2, 128, 128), "count")
LONG = "a" * 3000


def said(kind: type[SnnstackError], call: Any) -> str:
    """What is refused, and that nothing else was said on the way."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(kind) as caught:
            call()
    return str(caught.value)


def test_the_kind_of_a_nir_file_is_a_word(tmp_path: Path) -> None:
    sources.nir_small(tmp_path)
    with h5py.File(tmp_path / "a.nir", "r+") as file:
        del file["node/type"]
        file["node/type"] = [1.0, 1.0]
    text = said(ModelError, lambda: snnstack.load(tmp_path / "a.nir"))
    assert "graph: it holds a single node of type array([1., 1.]" in text


def test_a_time_constant_of_0_is_said_in_the_models_names(tmp_path: Path) -> None:
    sources.nir_conv(tmp_path)
    with h5py.File(tmp_path / "a.nir", "r+") as file:
        file["node/nodes/cuba/tau_mem"][:] = 0
        file["node/nodes/cuba/r"][:] = 0.5
        for name in ("v_leak", "v_reset"):
            file[f"node/nodes/cuba/{name}"][:] = 0
    text = said(ModelError, lambda: snnstack.load(tmp_path / "a.nir"))
    assert "cuba: tau_mem[0] is 0 (3 of 3 are wrong) (seconds, above 0)" in text


def test_a_number_beyond_single_precision_is_refused() -> None:
    graph = small()
    name = next(n for n, node in graph.nodes.items() if isinstance(node, LIF))
    node = graph.nodes[name]
    huge = replace(node, r=np.full(np.shape(node.r), 1e300))
    text = said(
        ModelError, lambda: snnstack.load(replace(graph, nodes={**graph.nodes, name: huge}))
    )
    count = np.size(node.r)
    what = f"r has {count} of {count} values beyond 3.4e+38, which single precision ends with"
    assert f"{name}: {what}, first 1e+300 at [0]" in text
    kept = replace(node, r=np.full(np.shape(node.r), 1e38))
    snnstack.load(replace(graph, nodes={**graph.nodes, name: kept}))


def step_file(folder: Path, **shapes: list[int]) -> Path:
    """Our own export, with constants (by name) that say other shapes."""
    import onnx

    model = snnstack.to_onnx(small())
    for tensor in model.graph.initializer:
        if tensor.name in shapes:
            values = np.array(shapes[tensor.name], np.int64)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    (folder / "a.onnx").write_bytes(model.SerializeToString())
    return folder / "a.onnx"


def shape_constant() -> str:
    """The constant that says the shape of a Reshape in our own export."""
    model = snnstack.to_onnx(small())
    return next(str(n.input[1]) for n in model.graph.node if n.op_type == "Reshape")


def test_a_step_that_onnxruntime_cannot_run_is_said(tmp_path: Path) -> None:
    file = step_file(tmp_path, **{shape_constant(): [2**40, -1]})
    text = said(ModelError, lambda: snnstack.load(file))
    assert "onnxruntime cannot run it" in text


def test_a_tensor_of_a_step_that_nothing_can_hold_is_refused(tmp_path: Path) -> None:
    file = step_file(tmp_path, **{shape_constant(): [1, 2**56]})
    text = said(ModelError, lambda: snnstack.load(file))
    assert f"has {2**56} elements, at most {2**26}" in text or "cannot run it" in text


def test_a_nan_of_unusual_bits_warns_nobody(tmp_path: Path) -> None:
    import onnx

    sources.onnx_ann(tmp_path)
    model = onnx.load(tmp_path / "a.onnx")
    bias = next(t for t in model.graph.initializer if len(t.dims) == 1)
    bits = np.full(tuple(bias.dims), 0x7F800001, np.uint32)  # a signalling NaN
    bias.raw_data = bits.tobytes()
    del bias.float_data[:]
    onnx.save(model, tmp_path / "a.onnx")
    x = np.random.default_rng(0).random((4, 3)).astype(np.float32)
    text = said(ModelError, lambda: snnstack.load(tmp_path / "a.onnx", calibrate={"x": x}))
    assert "not finite" in text or "NaN or infinite" in text


def test_a_class_of_a_gesture_is_a_number_that_can_be_one(tmp_path: Path) -> None:
    sources.aedat3(tmp_path)
    (tmp_path / "a_labels.csv").write_text(f"class,start,end\n{10**30},0,900\n")
    text = said(DataError, lambda: open_data(f"{tmp_path / 'a.aedat'}?bin=1ms", PORT))
    assert f"gesture 0 is of class {10**30 - 1}, at most {2**31 - 1} are told apart" in text


@pytest.mark.parametrize(
    "text",
    (LONG, f"{LONG}?bin=1ms", f"tonic:NMNIST?path={LONG}", f"events:{LONG}", "a\0b", "events:a\0b"),
)
def test_a_name_that_no_disk_can_hold_is_refused(text: str) -> None:
    assert "DATA: is " in said(DataError, lambda: open_data(text, PORT))


def test_classes_can_be_a_long_list(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    sources.nmnist(tmp_path / "x")
    port = StepInput("in", (2, 34, 34), "count")
    names = ",".join(["x", *(f"{LONG}{k}" for k in range(3))])
    assert open_data(f"events:{tmp_path}?bin=1ms&classes={names}", port).samples == 1


def test_a_sweep_names_what_is_no_file(tmp_path: Path) -> None:
    sources.sweep(tmp_path)
    file = tmp_path / "s.toml"
    file.write_text(file.read_text().replace('"a.nir"', f'"{LONG}.nir"'))
    spec = at_folder(read_spec(file), tmp_path)
    assert spec.fixed["model"] == f"{LONG}.nir"


def test_a_clip_of_any_size_keeps_all_events(tmp_path: Path) -> None:
    sources.nmnist(tmp_path)
    port = StepInput("in", (2, 34, 34), "count")
    read = lambda options: open_data(f"{tmp_path / 'a.bin'}?bin=1ms{options}", port)  # noqa: E731
    assert [
        sum(part.spikes.total for part in read(text).batches(1)) for text in (f"&clip={10**30}", "")
    ] == [20, 20]


@pytest.mark.parametrize("dt", (10**400, float("nan"), float("inf"), True, "1"))
def test_a_time_step_is_a_finite_number(dt: Any) -> None:
    options = snnstack.Options(dt=dt)
    assert "options.dt: is " in said(TargetError, lambda: snnstack.load(small(), options))


def test_a_whole_time_step_is_one_as_well() -> None:
    graph = snnstack.load(small(), snnstack.Options(dt=10**40, integrator="exponential"))
    assert (type(graph.dt), graph.dt) == (float, 1e40)


def test_a_time_constant_of_almost_nothing_forgets_at_once() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        alpha, gain = _factors(np.array([5e-324, 1.0]), 1.0, "exponential")
    assert alpha.tolist() == [0.0, np.exp(-1.0)]
    assert gain.tolist() == [1.0, -np.expm1(-1.0)]


def test_windows_over_two_axes_are_said_for_both() -> None:
    graph = sources.conv()
    conv = replace(graph.nodes["conv"], stride=1, padding=(0, 0, 0), dilation=(1, 1))
    text = said(
        ModelError, lambda: snnstack.load(replace(graph, nodes={**graph.nodes, "conv": conv}))
    )
    assert "conv: stride 1 needs two numbers, (y, x)" in text
    assert "conv: padding [0, 0, 0] needs two numbers, (y, x)" in text
    assert "dilation" not in text


def test_an_infinite_shape_is_no_shape(tmp_path: Path) -> None:
    sources.nir_small(tmp_path)
    with h5py.File(tmp_path / "a.nir", "r+") as file:
        names: list[str] = []
        file.visit(names.append)
        name = next(n for n in names if n.endswith("in/shape") or n.endswith("input_type/input"))
        del file[name]
        file[name] = [np.inf]
    text = said(ModelError, lambda: snnstack.load(tmp_path / "a.nir"))
    assert "is [inf], not whole numbers" in text


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize(("tau", "dt"), ((0.0, None), (5e-324, None), (1e-2, 1e308)))
def test_what_a_tool_means_warns_nobody(
    tmp_path: Path, writer: str, tau: float, dt: float | None
) -> None:
    sources.nir_conv(tmp_path)
    with h5py.File(tmp_path / "a.nir", "r+") as file:
        file["node/nodes/cuba/tau_mem"][:] = tau
    options = snnstack.Options(written_by=writer, dt=dt)
    with warnings.catch_warnings(), contextlib.suppress(ModelError):
        warnings.simplefilter("error")
        snnstack.load(tmp_path / "a.nir", options)


def test_a_reshape_of_nothing_but_the_batch_is_not_understood() -> None:
    node = OnnxNode("Reshape", "flat", ("x", "to"), ("y",), {})
    to = {"to": np.array([1, -1])}
    walk = walked(OnnxGraph("net", (node,), to, ("x",), ("y",), {"x": ()}), "x")
    assert list(walk.unknown.values()) == ["Reshape"]


@pytest.mark.parametrize("value", (1e38, np.inf, np.nan))
def test_weights_of_an_ann_that_are_not_finite_warn_nobody(tmp_path: Path, value: float) -> None:
    from tests.onnx.ann_models import mlp

    huge = [(np.full((3, 5), value), np.ones(5)), (np.full((5, 4), value), np.zeros(4))]
    mlp(tmp_path / "a.onnx", huge)
    x = np.random.default_rng(0).random((4, 3)).astype(np.float32)
    with warnings.catch_warnings(), contextlib.suppress(ModelError):
        warnings.simplefilter("error")
        snnstack.load(tmp_path / "a.onnx", calibrate={"x": x})


def test_a_share_of_a_row_lies_between_0_and_1(tmp_path: Path) -> None:
    sources.rows(tmp_path)
    (row,) = json.loads((tmp_path / "rows.json").read_text())
    for wrong in (2.5, -1):
        (tmp_path / "rows.json").write_text(json.dumps([{**row, "accuracy": wrong}]))
        assert "accuracy" in said(DataError, lambda: read_rows(tmp_path / "rows.json"))
    assert "a share of 2.5" in said(DataError, lambda: share_interval(2.5, 10))


def test_a_netx_layer_is_not_larger_than_it_can_be(tmp_path: Path) -> None:
    sources.netx(tmp_path)
    with h5py.File(tmp_path / "a.net", "r+") as file:
        del file["layer/1/shape"]
        file["layer/1/shape"] = [2**31]
    text = said(ModelError, lambda: snnstack.load(tmp_path / "a.net"))
    assert f"its shape is [{2**31}]" in text


def test_a_name_in_onnx_is_text(tmp_path: Path) -> None:
    sources.onnx_step(tmp_path)
    content = (tmp_path / "a.onnx").read_bytes()
    (tmp_path / "a.onnx").write_bytes(content.replace(b"in.flat", b"in.\xff\xffat"))
    text = said(ModelError, lambda: snnstack.load(tmp_path / "a.onnx"))
    assert "which is no text (the file is damaged)" in text


def test_the_end_of_a_gesture_is_a_time_that_can_be(tmp_path: Path) -> None:
    sources.aedat3(tmp_path)
    (tmp_path / "a_labels.csv").write_text(f"class,start,end\n1,{10**30},{10**31}\n")
    stream = open_data(f"{tmp_path / 'a.aedat'}?bin=1ms&steps=2", PORT)
    assert "no event" in said(DataError, lambda: list(stream.batches(1)))


def test_a_worker_that_says_much_is_not_stopped_by_it() -> None:
    """More than a pipe holds once looked like a hang."""
    line = '{"seed": 0, "outcome": "accepted"}'
    loud = f"import sys; print('x' * 2**20, file=sys.stderr); print('{line}')"
    assert list(lines([sys.executable, "-c", loud], 0, 1)) == [{"seed": 0, "outcome": "accepted"}]
    (died,) = lines([sys.executable, "-c", "import sys; sys.exit('gone')"], 5, 6)
    assert died == {"seed": 5, "outcome": "foreign", "what": "the process died: gone"}
