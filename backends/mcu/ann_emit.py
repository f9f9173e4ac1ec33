"""The opponent as C: stages, weights in the order of the kernel, a main that counts."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack.backends.mcu.ann_stages import Stage
from snnstack.backends.mcu.emit import emit, environment, first_line
from snnstack.backends.mcu.full import pack_blocks
from snnstack.backends.mcu.hardware import hardware
from snnstack.backends.mcu.hardware_types import McuHardware
from snnstack.backends.mcu.program import Program
from snnstack.quant.opponent_int8 import reciprocal

_FILES = {
    "ann/ann.h": "ann.h.j2",
    "ann/ann.c": "ann.c.j2",
    "ann/ann_kernels.h": "ann_kernels.h.j2",
    "ann/ann_weights.h": "ann_weights.h.j2",
    "ann/main.c": "ann_main.c.j2",
}


def kernel(board: McuHardware) -> str:
    """Which kernel: "dsp" (two 16-bit products at once), "mve" (Helium) or "plain"."""
    if any(
        "cortex-m55" in flag or "cortex-m85" in flag or "+mve" in flag for flag in board.gcc_arch
    ):
        return "mve"
    return "plain" if board.core in ("cortex-m0", "cortex-m0plus", "cortex-m3", "rv32") else "dsp"


def emit_ann(
    program: Program, chain: Sequence[Stage], inputs: NDArray[np.int8]
) -> dict[str, bytes]:
    """The program's project with the folder `ann/` added; `inputs` [n] or [sample, n]."""
    files = emit(program)
    form = kernel(hardware(program.board))
    context = _context(program, chain, inputs, form)
    context["banner_line"] = first_line(program, files)
    for path, template in _FILES.items():
        files[path] = environment().get_template(template).render(context).encode()
    return files


def _context(
    program: Program, chain: Sequence[Stage], inputs: NDArray[np.int8], form: str
) -> dict[str, Any]:
    step = 16 if form == "mve" else 4
    views = [_view(stage, k, step) for k, stage in enumerate(chain)]
    arrays = [
        array
        for k, stage in enumerate(chain)
        if stage.weight is not None
        for array in _arrays(stage, k, form, step)
    ]
    fours = max([v["fours"] for v in views], default=1)
    widest = max(max(stage.inputs, stage.outputs) for stage in chain)
    return {
        "net": program.c_name,
        "kernel": form,
        "stages": views,
        "arrays": arrays,
        "macs": sum(stage.macs for stage in chain),
        "inputs": chain[0].inputs,
        "outputs": chain[-1].outputs,
        "widest": -(-max(widest, 4 * fours) // 16) * 16,
        "patch": 4 * fours,
        "column": (2 if form == "dsp" else 1) * fours,
        "last": len(chain) % 2,
        "convolutions": any(stage.kind == "conv" for stage in chain),
        "pools": any(stage.kind == "pool" for stage in chain),
        "input_texts": [_text(one) for one in inputs.reshape(-1, chain[0].inputs)],
    }


def _view(stage: Stage, number: int, step: int) -> dict[str, Any]:
    reads = 0 if stage.weight is None else int(np.prod(stage.weight.shape[1:]))
    fours = -(-reads // step) * step // 4
    view: dict[str, Any] = {
        "kind": stage.kind, "id": number, "source": number % 2, "inputs": stage.inputs,
        "outputs": stage.outputs, "fours": fours, "shift": stage.shift, "least": stage.least,
    }  # fmt: skip
    if stage.table is not None:
        t = stage.table
        sizes = [*t.in_shape, *t.out_shape, *t.weight.shape[1:3], *t.stride, *t.padding,
                 *t.dilation, t.groups, fours, stage.shift, stage.least]  # fmt: skip
        view["shape"] = ", ".join(map(str, sizes))
    if stage.pool is not None:
        p = stage.pool
        sizes = [*p.in_shape, *p.out_shape[1:], *p.kernel, *p.stride, *p.padding,
                 reciprocal(p.kernel[0] * p.kernel[1])]  # fmt: skip
        view["shape"] = ", ".join(map(str, sizes))
    return view


def _arrays(stage: Stage, number: int, form: str, step: int) -> list[dict[str, Any]]:
    weight = stage.weight
    assert weight is not None
    groups = 1 if stage.table is None else stage.table.groups
    rows = weight.reshape(groups, len(weight) // groups, -1)
    packed = pack_blocks(rows, form, step)
    bias = np.zeros((groups, -(-rows.shape[1] // 4) * 4), dtype=np.int32)
    if stage.bias is not None:
        bias[:, : rows.shape[1]] = stage.bias.reshape(groups, -1)
    found = ((f"ann_w{number}", "int8_t", packed), (f"ann_b{number}", "int32_t", bias.ravel()))
    return [
        {"name": name, "ctype": ctype, "length": len(values), "text": _text(values)}
        for name, ctype, values in found
    ]


def _text(values: NDArray[np.integer[Any]]) -> str:
    return "\n".join(textwrap.wrap(", ".join(map(str, values.tolist())), 98))
