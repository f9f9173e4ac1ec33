"""What a memory device is, as data: one strict TOML file in `devices/`, conductances in uS.

Python code outside of these files uses siemens, volts and seconds.
"""

from __future__ import annotations

import itertools
import math
from typing import Annotated, Literal

import msgspec

from snnstack.board import Status, worst

_Text = Annotated[str, msgspec.Meta(min_length=1)]
_NotNegative = Annotated[float, msgspec.Meta(ge=0)]
_Positive = Annotated[float, msgspec.Meta(gt=0)]
_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"{name} = {value}, expected a finite number")


class _Sourced(_Strict, frozen=True, forbid_unknown_fields=True, kw_only=True):
    status: Status
    source: _Text


class _Fitted(_Sourced, frozen=True, forbid_unknown_fields=True, kw_only=True):
    fit: _Text
    uncertainty: _Text


class Range(_Sourced, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Conductances from `low` to `high` uS that can be asked for; `levels` 0: any of them."""

    low: _NotNegative
    high: _Positive
    levels: Annotated[int, msgspec.Meta(ge=0, le=65536)]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.low < self.high:
            raise ValueError(f"low = {self.low:g}, high = {self.high:g}, expected low < high")
        if self.levels == 1:
            raise ValueError("levels = 1, expected 0 (any conductance) or at least 2")


class Polynomial(_Fitted, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind",
                 tag="polynomial"):  # fmt: skip
    """Spread max(c0 + c1 x + c2 x^2 + ..., 0) uS about the target g, with x = g / scale."""

    scale: _Positive
    coefficients: Annotated[tuple[float, ...], msgspec.Meta(min_length=1, max_length=16)]


class Forming(_Fitted, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind",
              tag="forming"):  # fmt: skip
    """Not programmed: formed with P = Phi((V - v_mean)/v_std), then N(formed_mean, formed_std) uS.

    `volt` is the forming voltage used unless another is asked for; else a cell has `unformed`.
    """

    v_mean: _Positive
    v_std: _Positive
    volt: _Positive
    formed_mean: _Positive
    formed_std: _NotNegative
    unformed: _NotNegative


class Cost(_Strict, frozen=True, forbid_unknown_fields=True):
    """A band low <= typical <= high."""

    low: _NotNegative
    typical: _NotNegative
    high: _NotNegative

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.low <= self.typical <= self.high:
            text = f"low = {self.low:g}, typical = {self.typical:g}, high = {self.high:g}"
            raise ValueError(f"{text}, expected low <= typical <= high")


class Write(_Sourced, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Cost of one write-verify of a cell: pulses, energy of a pulse and of the read after it."""

    pulses: Cost
    pulse_pj: Cost
    verify_pj: Cost


class ClippedLine(_Strict, frozen=True, forbid_unknown_fields=True):
    """clip(slope ln x + offset, low, high)."""

    slope: float
    offset: float
    low: float
    high: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.low <= self.high:
            raise ValueError(f"low = {self.low:g}, high = {self.high:g}, expected low <= high")


class NoDrift(_Fitted, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind",
              tag="none"):  # fmt: skip
    """Conductances stay as they are."""


class PowerDrift(_Fitted, frozen=True, forbid_unknown_fields=True, kw_only=True,
                 tag_field="kind", tag="power"):  # fmt: skip
    """g (t/t0)^-nu from t0 on; nu normal, mean and spread by x = g / high of the range."""

    t0_s: _Positive
    nu_mean: ClippedLine
    nu_std: ClippedLine


class LogDrift(_Fitted, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind",
               tag="log"):  # fmt: skip
    """g + mean_slope ln(t/s) + z (std_slope ln(t/s) + std_offset) uS from t0 on, z normal."""

    t0_s: _Positive
    mean_slope: float
    std_slope: _NotNegative
    std_offset: _NotNegative


class Moment(_Strict, frozen=True, forbid_unknown_fields=True):
    """The spread about the target at time `t_s`, a polynomial as in `Polynomial`."""

    t_s: _Positive
    coefficients: Annotated[tuple[float, ...], msgspec.Meta(min_length=1, max_length=16)]


class Relaxation(_Fitted, frozen=True, forbid_unknown_fields=True, kw_only=True,
                 tag_field="kind", tag="relaxation"):  # fmt: skip
    """The spread grows from that of programming, at `t0_s`, to that of each moment in turn.

    In between it is linear in ln t, after the last moment it stays; x = g / scale.
    """

    t0_s: _Positive
    scale: _Positive
    moments: Annotated[tuple[Moment, ...], msgspec.Meta(min_length=1, max_length=64)]

    def __post_init__(self) -> None:
        super().__post_init__()
        times = [self.t0_s, *(moment.t_s for moment in self.moments)]
        if any(late <= early for early, late in itertools.pairwise(times)):
            raise ValueError(f"times {times}, expected one after the other")


class NoReadNoise(_Fitted, frozen=True, forbid_unknown_fields=True, kw_only=True,
                  tag_field="kind", tag="none"):  # fmt: skip
    """Reads are exact."""


class OneOverF(_Fitted, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind",
               tag="one_over_f"):  # fmt: skip
    """sigma = g Q sqrt(ln((t + tr)/(2 tr))), Q = min(factor (g/scale)^exponent, limit)."""

    t_read_s: _Positive
    scale: _Positive
    factor: _NotNegative
    exponent: float
    limit: _NotNegative


class LogRead(_Fitted, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind",
              tag="log"):  # fmt: skip
    """sigma = factor ln(g/uS) sqrt(ln((t + tr)/(2 tr))) uS, zero below 1 uS."""

    t_read_s: _Positive
    factor: _NotNegative


class Stuck(_Sourced, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Shares of cells stuck at the low and at the high end of the range."""

    low: _Share
    high: _Share

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.low + self.high > 1:
            raise ValueError(f"low + high = {self.low + self.high:g}, expected at most 1")


class Nonlinearity(_Sourced, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """I = G (V + a2 V^2 + a3 V^3)."""

    a2_per_v: float
    a3_per_v2: float


class Device(_Strict, frozen=True, forbid_unknown_fields=True):
    """One kind of memory cell. `status` is that of the range and of the programming fit.

    Everything is at the temperature of the measurements: no dependence on temperature is
    modelled, and `temperature` says so.
    """

    name: _Text
    title: _Text
    status: Status
    temperature: Literal["left out"]
    range: Range
    programming: Polynomial | Forming
    write: Write
    drift: NoDrift | PowerDrift | LogDrift | Relaxation
    read: NoReadNoise | OneOverF | LogRead
    stuck: Stuck
    nonlinearity: Nonlinearity

    def __post_init__(self) -> None:
        expected = worst((self.range.status, self.programming.status))
        if self.status != expected:
            what = "the worse one of [range] and [programming]"
            raise ValueError(f"status = {self.status!r}, but {what} is {expected!r}")

    @property
    def low(self) -> float:
        """The lowest conductance that can be asked for, in siemens."""
        return self.range.low * 1e-6

    @property
    def high(self) -> float:
        """The highest conductance that can be asked for, in siemens."""
        return self.range.high * 1e-6
