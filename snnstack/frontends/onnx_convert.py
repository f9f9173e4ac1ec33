"""ANN to SNN from an ONNX file: measure activations, convert, and compare over the steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack.errors import DataError, ModelError, fail
from snnstack.frontends.array_like import as_array
from snnstack.frontends.arrays import Arrays, of_arrays, open_arrays
from snnstack.frontends.encode import Encoding
from snnstack.frontends.in_memory import given
from snnstack.frontends.onnx_ann import converted, relu_tensors
from snnstack.frontends.onnx_file import OnnxGraph, read_model
from snnstack.frontends.onnx_session import Session
from snnstack.frontends.onnx_tensors import InputRange
from snnstack.frontends.open_data import ENCODE_OPTIONS, encoded_stream, encoding_of
from snnstack.frontends.sigma_delta import SigmaDelta
from snnstack.frontends.spec import known_options, parse, whole
from snnstack.frontends.stream import Stream
from snnstack.ir.graph import Graph
from snnstack.ir.nodes import Shape
from snnstack.ir.step import StepInput, size

PERCENTILE = 99.9
"""Of a layer's activations: the one that becomes its threshold; larger ones saturate."""
MOST_SAMPLES = 512
"""Samples that thresholds are balanced on."""
ENCODING = "encoding"
"""Metadata of a converted graph: how the samples it was balanced on became spikes."""
KINDS = {"tensor(double)": np.float64, "tensor(float16)": np.float16}
"""Numbers that a model takes, where they are not in single precision."""
BATCH = 64
STEPS = 32
"""Of an inference, where nothing says otherwise."""


@dataclass(frozen=True, eq=False)
class Ann:
    """An ONNX network of one input: what is needed to run and to convert it."""

    model: Any
    graph: OnnxGraph
    shape: Shape

    @property
    def name(self) -> str:
        """The file's name."""
        return self.graph.name


def read_ann(path: Path) -> Ann:
    """The network in `path`; ModelError for a spiking one, or one with several inputs."""
    return as_ann(*read_model(path), str(path))


def as_ann(model: Any, graph: OnnxGraph, where: str) -> Ann:
    """`read_ann` of a file that has been read."""
    if len(graph.inputs) != 1:
        what = f"has the inputs {', '.join(graph.inputs) or 'none'}"
        raise fail(ModelError, where, what, "an ANN to be converted has one input")
    shape = graph.shapes.get(graph.inputs[0])
    if not shape:
        what = f"input {graph.inputs[0]!r} has no fixed shape behind the batch"
        raise fail(ModelError, where, what, "export with a sample; only the batch may vary")
    return Ann(model, graph, shape)


@dataclass(frozen=True, eq=False)
class AnnData:
    """Real samples: as the ANN takes them, and how they become spikes.

    Integers stand for 0..1 (of the range that `encoding` says, else of their type); real
    numbers are what the ANN takes, and `encoding` says their range. `said`: somebody chose it.
    """

    arrays: Arrays
    encoding: Encoding
    said: bool = False

    @property
    def given(self) -> InputRange:
        """What a spike means to the ANN."""
        levels = self.encoding.levels if self.encoding.kind == "repeat" else 1
        if self.arrays.dtype.kind in "ui":
            return InputRange(0.0, 1.0, levels)
        return InputRange(self.encoding.low, self.encoding.high, levels)

    def with_steps(self, steps: int) -> AnnData:
        """The same samples over another number of steps."""
        return replace(self, encoding=replace(self.encoding, steps=steps))

    def in_levels(self) -> AnnData:
        """The same samples as whole numbers 0..255 in every step: of one, if none was said.

        DataError for an encoding in spikes that somebody asked for.
        """
        if self.encoding.kind == "repeat":
            return self
        if self.said:
            what = f"asks for encode={self.encoding.kind}, layers that send changes take levels"
            raise fail(DataError, self.arrays.name, what, "encode=repeat&levels=255, or none")
        return replace(self, encoding=replace(self.encoding, kind="repeat", steps=1, levels=255))

    def first(self, samples: int | None) -> AnnData:
        """The first `samples` samples (all for None)."""
        if samples is None or samples >= self.arrays.shape[0]:
            return self
        return replace(self, arrays=self.arrays.first(samples))

    def inputs(self, ann: Ann, x: NDArray[Any]) -> NDArray[np.float32]:
        """[sample, *the ANN's shape]."""
        if int(np.prod(x.shape[1:])) != int(np.prod(ann.shape)):
            whole_ = list(self.arrays.shape)
            what = f"x has the shape {whole_}, {ann.name} takes {list(ann.shape)} a sample"
            hint = "give the real samples that the ANN takes, not spikes"
            raise fail(DataError, self.arrays.name, what, hint)
        values = x.astype(np.float32)
        if x.dtype.kind in "ui":
            low, high = self.encoding.low, self.encoding.high
            values = (values - np.float32(low)) / np.float32(high - low)
        return values.reshape(len(x), *ann.shape)

    def stream(self, port: StepInput) -> Stream:
        """The samples as spikes."""
        return encoded_stream(self.arrays, self.encoding, port, self.arrays.name)


def ann_data(data: Any) -> AnnData:
    """Real samples from a `DATA` text or path, or from arrays {"x": ..., "y": ...}.

    Without `encode=` they become evenly spread spikes over 32 steps.
    """
    if isinstance(data, AnnData):
        return data
    data = given(data)
    if isinstance(data, Mapping):
        if data.get("x") is None:
            raise fail(DataError, "data", "holds no x", "x [sample, *shape] and y [sample]")
        y = data.get("y")
        arrays = of_arrays(as_array(data["x"]), None if y is None else as_array(y, "y"), "data")
        return AnnData(arrays, _ranged(Encoding("even", STEPS), arrays))
    if not isinstance(data, str | Path):
        what = f"are {type(data).__name__}"
        raise fail(DataError, "samples", what, "real samples of the ANN are needed, not spikes")
    spec = parse(str(data))
    known_options(spec, ENCODE_OPTIONS)
    if spec.kind or spec.path.is_dir():
        raise fail(DataError, spec.text, "holds events", "an ANN takes real samples")
    arrays = open_arrays(spec.path)
    if "encode" not in spec.options:
        steps = whole(spec, "steps", STEPS, least=1) or STEPS
        return AnnData(arrays, _ranged(Encoding("even", steps), arrays))
    encoding = encoding_of(spec, arrays)
    stated = {"min", "max"} & set(spec.options)
    return AnnData(arrays, encoding if stated else _ranged(encoding, arrays), said=True)


def _ranged(encoding: Encoding, arrays: Arrays) -> Encoding:
    """The range of integers is that of their type; of real numbers, that of the data."""
    if arrays.dtype.kind in "ui":
        return replace(encoding, low=0.0, high=float(np.iinfo(arrays.dtype).max))
    if arrays.dtype.kind not in "bf" or 0 in arrays.shape or not arrays.shape:
        what = f"x is {arrays.dtype} of shape {list(arrays.shape)}"
        raise fail(DataError, arrays.name, what, "give real samples [sample, ...]")
    least, most = 0.0, 0.0
    for part in arrays.rows(BATCH):
        least, most = min(least, float(part.min())), max(most, float(part.max()))
    if not most > least:
        raise fail(DataError, arrays.name, "x holds nothing but zeros", "give real samples")
    return replace(encoding, low=least, high=most)


def thresholds_of(ann: Ann, data: AnnData, percentile: float = PERCENTILE) -> dict[str, float]:
    """{ReLU node: threshold}: the percentile of its activations above 0 on up to 512 samples."""
    tensors = relu_tensors(ann.graph)
    if not tensors:
        return {}
    running = Session(ann.model, list(tensors.values()))
    found: dict[str, list[NDArray[Any]]] = {name: [] for name in tensors}
    seen = 0
    for part in data.arrays.rows(BATCH):
        feeds = {ann.graph.inputs[0]: data.inputs(ann, part)}
        for name, values in zip(tensors, _run(running, list(tensors.values()), feeds), strict=True):
            found[name].append(values[values > 0])
        seen += len(part)
        if seen >= MOST_SAMPLES:
            break
    return {
        name: _balanced(name, np.concatenate(parts), percentile) for name, parts in found.items()
    }


def _balanced(name: str, active: NDArray[Any], percentile: float) -> float:
    if not np.isfinite(active).all():
        what = "is not finite on the calibration data"
        raise fail(ModelError, name, what, "weights of the file are too large, or NaN")
    if not len(active):
        return 1.0  # never active: whatever the threshold, it stays silent
    return float(np.percentile(active.astype(np.float64), percentile))


def _run(running: Any, names: list[str], feeds: dict[str, Any]) -> list[NDArray[Any]]:
    """A batch at once, or sample by sample where the model was exported for one."""
    ((key, x),) = feeds.items()
    given = running.get_inputs()[0]
    x, fixed = x.astype(KINDS.get(given.type, np.float32)), given.shape[0]
    size = fixed if isinstance(fixed, int) else len(x)
    parts = []
    for start in range(0, len(x), size):
        part = x[start : start + size]
        filled = np.concatenate([part, np.zeros((size - len(part), *x.shape[1:]), x.dtype)])
        results = running.run(names, {key: filled})
        parts.append([np.asarray(r)[: len(part)] for r in results])
    return [np.concatenate(columns) for columns in zip(*parts, strict=True)]


def convert(
    ann: Ann, data: AnnData, percentile: float = PERCENTILE, delta: SigmaDelta | None = None
) -> Graph:
    """The spiking graph for inferences as long as those of `data`, balanced on it.

    `delta`: of layers that send changes; its input are whole numbers 0..255, real samples of one
    step each unless `data` says more.
    """
    data.inputs(ann, next(data.arrays.rows(1)))
    data = data if delta is None else data.in_levels()
    thresholds = thresholds_of(ann, data, percentile)
    graph = converted(ann.graph, ann.shape, thresholds, data.given, data.encoding.steps, delta)
    return graph.with_(metadata={**graph.metadata, ENCODING: asdict(data.encoding)})


def spiking(graph: Graph, data: Any, port: StepInput) -> Any:
    """Real samples of a converted graph, as the spikes it was converted for; others as they are.

    A `DATA` with `encode=` says itself what spikes it wants.
    """
    stored = graph.metadata.get(ENCODING)
    if stored is None:
        return data
    data = given(data)
    if isinstance(data, Mapping) and data.get("x") is not None:
        if as_array(data["x"]).ndim > len(port.shape) + 1 and not _is_real(data["x"], port):
            return data
    elif not isinstance(data, str | Path) or "encode" in parse(str(data)).options:
        return data
    real = ann_data(data)
    steps = parse(str(data)).options.get("steps") if isinstance(data, str) else None
    encoding = Encoding(**stored)
    if steps is not None:
        encoding = replace(encoding, steps=real.encoding.steps)
    if real.arrays.dtype.kind in "ui":
        encoding = replace(encoding, low=real.encoding.low, high=real.encoding.high)
    if int(np.prod(real.arrays.shape[1:])) != size(port.shape):
        return data
    return replace(real, encoding=encoding).stream(port)


def _is_real(x: Any, port: StepInput) -> bool:
    """Whether arrays [sample, ...] have no axis for the steps."""
    return int(np.prod(np.asarray(x).shape[1:])) == size(port.shape)


def classes_of_ann(ann: Ann, data: AnnData) -> NDArray[np.int64]:
    """[sample]: the largest value of the ANN's first output, by onnxruntime."""
    running = Session(ann.model)
    name = ann.graph.outputs[0]
    found = []
    for part in data.arrays.rows(BATCH):
        feeds = {ann.graph.inputs[0]: data.inputs(ann, part)}
        values = _run(running, [name], feeds)[0].reshape(len(part), -1)
        found.append(values.argmax(axis=1) if values.shape[1] > 1 else values[:, 0])
    return np.asarray(np.concatenate(found), dtype=np.int64)
