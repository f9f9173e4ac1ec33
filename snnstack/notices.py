"""What a reader left out or took for granted, said once on standard error."""

from __future__ import annotations

import logging

LOGGER = logging.getLogger("snnstack")
"""Its warnings go to standard error as they are, unless a program sets up logging of its own."""


def say(where: str, what: str, hint: str = "") -> None:
    """`where: what (hint)`, as an error would say it, but work goes on."""
    LOGGER.warning("%s: %s%s", where, what, f" ({hint})" if hint else "")
