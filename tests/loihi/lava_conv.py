"""Lava's own fixed-point Conv on the cases in a folder: run as `python -m tests.loihi.lava_conv`.

Reads `case<k>.npz` (weight, shape, geometry, groups, x), writes `out<k>.npy`: [step, X, Y, C].
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

from snnstack.backends.loihi.lava_worker import instance, load_lava


def main(folder: Path) -> None:
    load_lava()
    from lava.proc.conv import utils
    from lava.proc.conv.models import PyConvModelFixed
    from lava.proc.conv.process import Conv

    utils.TORCH_IS_AVAILABLE = False
    for path in sorted(folder.glob("case*.npz")):
        with np.load(path) as case:
            stride, padding, dilation = case["geometry"]
            process = Conv(
                weight=case["weight"],
                input_shape=tuple(case["shape"]),
                stride=tuple(stride),
                padding=tuple(padding),
                dilation=tuple(dilation),
                groups=int(case["groups"]),
            )
            model, found = instance(process, PyConvModelFixed, {}), []
            for step in case["x"]:
                model.s_in.value = step
                model.run_spk()
                found.append(model.a_buf.copy())
        np.save(folder / f"out{path.stem.removeprefix('case')}.npy", np.array(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    sys.stdout.flush()
    os._exit(0)
