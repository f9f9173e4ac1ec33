"""Run a foreign ONNX model: onnxruntime works in the process with limits, as readers do.

A model can loop, and ask for tensors of any size, without being damaged in any way. Functions
called `..._of` run in that process; it keeps the session that it was last asked about.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snnstack.errors import ModelError, ToolError, fail
from snnstack.foreign import ForeignFile
from snnstack.foreign.limits import MEGABYTE, MEGABYTES, MEGABYTES_PER_MEGABYTE, Limits
from snnstack.foreign.worker import reason
from snnstack.frontends.onnx_file import INSTALL, onnx_module

SECONDS = 60
"""Of processor time for one batch."""
DOUBLE = "double "
_KEPT: dict[str, Any] = {}
"""{digest: session}, of one; in the process that runs it."""


@dataclass(frozen=True)
class Given:
    """An input of a model; `shape` as onnxruntime has it: names of axes that are open."""

    name: str
    type: str
    shape: Sequence[int | str | None]


class Session:
    """What `onnxruntime.InferenceSession` offers of a model that also returns `outputs`.

    `double`: run by onnx's own evaluator instead, which knows every operation in float64.
    """

    def __init__(self, model: Any, outputs: Sequence[str] = (), *, double: bool = False) -> None:
        """ModelError where onnxruntime cannot load it, ToolError where there is none."""
        self._content = content_with(model, outputs)
        kind = DOUBLE if double else "single "
        self._key = kind + hashlib.sha256(self._content).hexdigest()
        size = len(self._content) // MEGABYTE
        limits = Limits(SECONDS + size, MEGABYTES + size * MEGABYTES_PER_MEGABYTE)
        self._file = ForeignFile(Path("model"), ModelError, limits=limits, doing="running")
        found = () if double else self._asked(inputs_of)
        self._inputs = [Given(*parts) for parts in found]

    def get_inputs(self) -> list[Given]:
        """Its inputs, in their order."""
        return self._inputs

    def run(self, names: Sequence[str] | None, feeds: Mapping[str, Any]) -> list[Any]:
        """The tensors `names` (None: all outputs) for `feeds`."""
        found = self._asked(results_of, None if names is None else list(names), dict(feeds))
        return list(found)

    def _asked(self, function: Any, *arguments: Any) -> Any:
        """The model is sent only where it is not known: a process may have ended meanwhile."""
        found = self._file.read(function, self._key, None, *arguments)
        if found is None:
            found = self._file.read(function, self._key, self._content, *arguments)
        return found


def content_with(model: Any, outputs: Sequence[str]) -> bytes:
    """The bytes of `model` with more outputs."""
    onnx = onnx_module()
    wanted = onnx.ModelProto()
    wanted.CopyFrom(model)
    present = {o.name for o in wanted.graph.output}
    for name in outputs:
        if name not in present:
            wanted.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    return bytes(wanted.SerializeToString())


def inputs_of(path: str, key: str, content: bytes | None) -> list[Any] | None:
    """(name, type, shape) of every input; None where the model is not known here."""
    session = _session(key, content)
    return None if session is None else [(i.name, i.type, i.shape) for i in session.get_inputs()]


def results_of(
    path: str, key: str, content: bytes | None, names: list[str] | None, feeds: dict[str, Any]
) -> list[Any] | None:
    """What onnxruntime computes; ModelError where the model's parts do not fit together."""
    session = _session(key, content)
    if session is None:
        return None
    try:
        return list(session.run(names, feeds))
    except MemoryError:
        raise
    except Exception as error:  # onnxruntime's own have no common class
        tool = "onnx" if key.startswith(DOUBLE) else "onnxruntime"
        what = f"{tool} cannot run it: {reason(error)}"
        raise fail(ModelError, "model", what, "export it again") from error


def _session(key: str, content: bytes | None) -> Any:
    if key not in _KEPT and content is not None:
        _KEPT.clear()
        _KEPT[key] = _evaluator(content) if key.startswith(DOUBLE) else opened(content)
    return _KEPT.get(key)


def _evaluator(content: bytes) -> Any:
    from onnx.reference import ReferenceEvaluator

    return ReferenceEvaluator(onnx_module().load_model_from_string(content))


def opened(content: bytes) -> Any:
    """An onnxruntime session in this process."""
    try:
        import onnxruntime
    except ImportError as error:
        raise fail(ToolError, "onnxruntime", "is not installed", INSTALL) from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what fails is said by us
    options.intra_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except MemoryError:
        raise
    except Exception as error:  # onnxruntime's classes are not public
        what = f"cannot load the model: {reason(error)}"
        raise fail(ModelError, "onnxruntime", what) from error
