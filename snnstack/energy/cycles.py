"""A clocked processor: E = cycles * E_cycle + P_sleep * (T_wall - T_active).

cycles = instructions * CPI and T_active = cycles / f. A board that is priced this way has the
coefficients `cpi` [cycles/instruction], `active_pj_per_cycle` and `sleep_mw`.
"""

from __future__ import annotations

from snnstack.board import Board
from snnstack.energy.model import Band, Component, Energy, Factor, Term
from snnstack.energy.price import factor, microjoules, price

COUNTED = Factor("cpi", 1.0, 1.0, 1.0, "cycles/instruction", "measured", "cycles were counted")
"""Give this as `cpi` where `instructions` are cycles already."""


def latency(instructions: float, board: Board, cpi: Factor | None = None) -> Band:
    """Seconds that `instructions` take on `board`."""
    cpi = cpi or factor(board, "cpi")
    seconds = instructions / float(board.clock.value)
    return Band(cpi.low * seconds, cpi.typical * seconds, cpi.high * seconds)


def clocked_energy(
    instructions: float, board: Board, window_s: float | None = None, cpi: Factor | None = None
) -> Energy:
    """Energy of one inference of `instructions` that comes every `window_s` seconds.

    Between inferences the processor sleeps; without `window_s` they follow each other and
    nothing sleeps. A window that is too short for the typical case becomes a note.
    Raises `TargetError` if the board lacks a coefficient.
    """
    cpi = cpi or factor(board, "cpi")
    active = price("active", "dynamic", instructions, factor(board, "active_pj_per_cycle"), cpi)
    if window_s is None:
        return Energy((active,))
    sleep = factor(board, "sleep_mw")
    awake = instructions / float(board.clock.value)
    scale = microjoules(sleep)
    asleep = (Term(window_s * scale, (sleep,)), Term(-awake * scale, (sleep, cpi)))
    typical = latency(instructions, board, cpi).typical
    late = f"one inference takes {typical * 1e3:.4g} ms, more than its {window_s * 1e3:.4g} ms"
    notes = (late,) if typical > window_s else ()
    return Energy((active, Component("sleep", "static", asleep)), notes)
