"""Templates of code: strict, and closed to text that `foreign_text` has not seen."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from snnstack import foreign_text

if TYPE_CHECKING:
    from jinja2 import Environment

FILTERS = {
    "comment": foreign_text.comment,
    "markdown": foreign_text.markdown,
    "python": foreign_text.python_literal,
}
"""What a template does with text of users, by language."""


@functools.cache
def environment(package: str) -> Environment:
    """The templates in `package`/templates; a name that is not given is an error."""
    import jinja2

    def gate(value: Any) -> Any:
        # `x if condition` without an else prints nothing; a name not given fails by itself.
        return value if isinstance(value, jinja2.Undefined) else foreign_text.printed(value)

    made = jinja2.Environment(
        loader=jinja2.PackageLoader(package, "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
        finalize=gate,
    )
    made.filters |= FILTERS
    return made
