"""Addresses in a source's text become links; everything else stays text."""

from __future__ import annotations

import re
from typing import Any

from snnstack.foreign_text import visible

ARXIV = re.compile(r"\barXiv[: ]?(\d{4}\.\d{4,5})", re.IGNORECASE)
WEB = re.compile(r"\bhttps?://[^\s<>\"')]+")


def linked(text: str) -> Any:
    """Safe HTML: escaped, with links to arXiv papers and web addresses. A link loads nothing.

    >>> str(linked("see arXiv 2401.04491 <b>"))
    'see <a href="https://arxiv.org/abs/2401.04491" rel="noreferrer">arXiv 2401.04491</a> &lt;b&gt;'
    """
    from markupsafe import Markup, escape

    text = visible(text)
    found = sorted(
        [(m.start(), m.end(), f"https://arxiv.org/abs/{m[1]}") for m in ARXIV.finditer(text)]
        + [(m.start(), m.end(), m[0].rstrip(".,;")) for m in WEB.finditer(text)]
    )
    parts, last = [], 0
    for start, end, address in found:
        if start < last:
            continue
        parts.append(escape(text[last:start]))
        link = Markup('<a href="{}" rel="noreferrer">{}</a>')
        parts.append(link.format(address, text[start:end]))
        last = end
    return Markup("").join([*parts, escape(text[last:])])
