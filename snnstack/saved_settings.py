"""Settings of a saved program: what is read of them must be what a compiler writes there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, TypedDict

import msgspec

from snnstack.errors import Problem
from snnstack.quant.losses import LayerLosses
from snnstack.saved_tables import AGAIN

Text = dict[str, Any]
Rate = Annotated[float, msgspec.Meta(ge=0, le=1e9)]


class Settings(TypedDict, total=False):
    """The settings that anything reads; others may hold anything.

    `relays`: names of populations that only delay, or how many neurons each of them has.
    """

    name: str
    dt: float | None
    integrator: str | None
    reset: str
    reset_time: str
    compare: str
    events: str
    readout: str
    origin: Text
    losses: tuple[LayerLosses, ...]
    registers: dict[str, Text]
    rates: dict[str, Rate]
    relays: tuple[str, ...] | dict[str, int]
    stored_apart: dict[str, int]
    netx: Text


def setting_problems(settings: Mapping[str, Any]) -> Iterator[Problem]:
    """The first setting that is not what is read there."""
    try:
        msgspec.convert(dict(settings), Settings)
    except msgspec.ValidationError as error:
        yield Problem("settings", str(error), AGAIN)
