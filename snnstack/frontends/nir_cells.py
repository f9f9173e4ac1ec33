"""`Cells` in a NIR file, which has no such node.

What stands for them there is a Threshold that nothing reaches: another tool runs a network that is
silent, and not one that is nearly right. The model, as data, and its numbers stand under
`snnstack` in the node's metadata: `model shape values options initial`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from snnstack.dynamics.library import from_saved, saved_form
from snnstack.errors import ModelError, SnnstackError, fail
from snnstack.ir.nodes import Cells, Threshold

KEYS = ("model", "shape", "values", "options", "initial")
NEVER = float(np.finfo(np.float32).max)
LONGEST = 2**22
"""Characters of a model's text."""


def stand_in(cells: Cells) -> Threshold:
    """The node of the file."""
    return Threshold(np.full(cells.shape, NEVER), metadata=cells.metadata)


def said(cells: Cells) -> dict[str, Any]:
    """What is added under `snnstack`: the options of a model of one's own are folded into it."""
    form = saved_form(cells.model, cells.options)
    known = {"shape": np.array(cells.shape, dtype=np.int64), "values": dict(cells.values)}
    known |= {"model": json.dumps(form), "initial": dict(cells.initial)}
    known |= {"options": dict(cells.options)} if isinstance(form, str) else {}
    return {key: value for key, value in known.items() if not isinstance(value, dict) or value}


def is_cells(extra: Mapping[str, Any]) -> bool:
    """Whether the metadata of a node holds some."""
    return "model" in extra


def cells(extra: dict[str, Any], name: str, metadata: Mapping[str, Any]) -> Cells:
    """The cells that the metadata of node `name` describes, which is taken out of `extra`.

    ModelError for anything else.
    """
    part = {key: extra.pop(key, {}) for key in KEYS}
    shape, text = part["shape"], part["model"]
    if not isinstance(text, str) or len(text) > LONGEST:
        raise fail(ModelError, name, "metadata 'snnstack' says a model that is no text")
    whole = isinstance(shape, np.ndarray) and shape.ndim == 1 and shape.dtype.kind in "iu"
    if not whole or not all(isinstance(part[key], Mapping) for key in KEYS[2:]):
        raise fail(ModelError, name, "metadata 'snnstack' says cells without a shape or numbers")
    try:
        model = from_saved(json.loads(text), name)
    except SnnstackError:
        raise
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        what = "metadata 'snnstack' says a model that is none"
        raise fail(ModelError, name, what, "write the model again") from error
    for key in ("values", "initial"):
        for word, value in part[key].items():
            if isinstance(value, bool | str) or np.asarray(value).dtype.kind not in "iuf":
                raise fail(ModelError, name, f"{key} says that {word} is no number")
    values, options, initial = (part[key] for key in KEYS[2:])
    return Cells(tuple(int(n) for n in shape), model, values, options, initial, metadata)
