"""Every kind of input by group; a group is one module of tests, so that they run side by side."""

from __future__ import annotations

from collections.abc import Mapping

from tests.fuzz import of_calls, of_data, of_models, of_objects, of_programs, of_settings
from tests.fuzz.kind import Kind, generator, make

KINDS: Mapping[str, Kind] = {
    **of_models.KINDS,
    **of_objects.KINDS,
    **of_programs.KINDS,
    **of_settings.KINDS,
    **of_calls.KINDS,
    **of_data.KINDS,
}
__all__ = ["KINDS", "Kind", "generator", "make"]
