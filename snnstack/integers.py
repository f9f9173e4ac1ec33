"""The integer network for a board: by its target's own quantiser, or by the general one."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from snnstack.board import Board
from snnstack.errors import ModelError, Problem, SnnstackError, TargetError, fail, raise_if_any
from snnstack.ir.learning import refuse_learning
from snnstack.ir.step import StepGraph
from snnstack.passes.one_input import on_one_input
from snnstack.quant.calibration import Calibration
from snnstack.quant.common_rules import only_lif
from snnstack.quant.network import QuantizedNetwork
from snnstack.quant.numerics import Numerics
from snnstack.quant.quantise import quantise
from snnstack.quant.reset_now import reset_now, subtract_now
from snnstack.quant.scales import Granularity
from snnstack.target import backend, offered

RESETS_IN_WORDS = {
    ("subtract", "next"): "subtracts its threshold in the step after a spike",
    ("subtract", "recheck"): "fires again only above twice its threshold after a subtraction",
    ("none", "now"): "is not reset by a spike",
}


def for_target(steps: StepGraph, target: str) -> StepGraph:
    """The same spikes by what the target can do: late subtractions at once where that is exact,
    several inputs as one.
    """
    refuse_learning(steps, target)
    machine = backend(target)
    if not getattr(machine, "SEVERAL_INPUTS", False):
        steps = on_one_input(steps)
    return steps if getattr(machine, "LATE_RESETS", False) else subtract_now(steps)


def quantise_for(
    steps: StepGraph,
    board: Board,
    calibration: Calibration | None,
    granularity: Granularity = "neuron",
    weight_bits: int | None = None,
    like: QuantizedNetwork | None = None,
) -> QuantizedNetwork:
    """The integer network for a board: by its target's own quantiser, or the general one.

    `like`: with the scales of this network, where the quantiser can (for training).
    """
    refuse_learning(steps, board.target)
    machine, steps = backend(board.target), reset_now(steps)
    if not getattr(machine, "LATE_RESETS", False):
        raise_if_any(ModelError, _late_resets(steps, board.target))
    raise_if_any(ModelError, _real_inputs(steps))
    own = offered(machine, "quantise")
    if own is not None and not getattr(machine, "ANY_MODEL", False):
        raise_if_any(ModelError, only_lif(steps, board.target))
    if granularity == "import" and not getattr(machine, "IMPORT_RULES", False):
        what = "has no importer of its own whose rules could be followed"
        raise fail(TargetError, board.target, what, "use --granularity neuron or population")
    if own is not None:
        more: dict[str, Any] = dict(_width_option(own, board.target, weight_bits))
        if like is not None and "like" in inspect.signature(own).parameters:
            more["like"] = like
        found = own(steps, board, calibration, granularity, **more)
        assert isinstance(found, QuantizedNetwork)
        return found
    return quantise(steps, numerics_of(board.target, weight_bits), calibration, granularity, like)


def _width_option(own: Any, target: str, weight_bits: int | None) -> dict[str, int]:
    """The keyword for a target's own quantiser; TargetError if it knows no other width."""
    known = "weight_bits" in inspect.signature(own).parameters
    if weight_bits is None or (not known and weight_bits == backend(target).NUMERICS.weight_bits):
        return {}
    if not known:
        raise _no_such_width(target, weight_bits)
    return {"weight_bits": weight_bits}


def _no_such_width(target: str, weight_bits: int) -> SnnstackError:
    what = f"weights of {weight_bits} bits, it has {backend(target).NUMERICS.weight_bits}"
    return fail(TargetError, target, what, "leave the width out")


def numerics_of(target: str, weight_bits: int | None = None) -> Numerics:
    """What the general quantiser chooses from: the target's numbers, weights of `weight_bits`.

    Raises TargetError if it has no such width.
    """
    machine = backend(target)
    choose = offered(machine, "numerics")
    if weight_bits is None or (choose is None and weight_bits == machine.NUMERICS.weight_bits):
        return machine.NUMERICS
    if choose is None:
        raise _no_such_width(target, weight_bits)
    found = choose(weight_bits)
    assert isinstance(found, Numerics)
    return found


def _real_inputs(steps: StepGraph) -> Iterator[Problem]:
    """Inputs that no target takes."""
    for port in steps.inputs:
        if port.events == "real":
            hint = "load the module with levels=..., which turns them into counts"
            yield Problem(port.name, "carries real numbers, targets take spikes or counts", hint)


def _late_resets(steps: StepGraph, target: str) -> Iterator[Problem]:
    """Populations whose reset the target cannot do: for targets that do not say LATE_RESETS."""
    for p in steps.populations:
        if p.threshold is None or (p.reset_time == "now" and p.reset != "none"):
            continue
        what = f"{RESETS_IN_WORDS[p.reset, p.reset_time]}, which {target} cannot do"
        hint = "reset='subtract' (--reset subtract) subtracts at once; compare the accuracy then"
        yield Problem(p.name, what, hint)
