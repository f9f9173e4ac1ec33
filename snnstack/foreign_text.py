"""Text of users on its way into another language: what may pass is listed, all else is replaced.

Names of models, nodes and boards come from files of other people. Whatever prints one into C, a
linker script, CMake, Kconfig, Python, SPICE, Markdown, HTML, CSV or a terminal takes it from here.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from numbers import Real
from typing import Any

from snnstack.reserved_names import PREFIXES, RESERVED

COMMENT_LIMIT = 80
"""Characters of a name in a comment: what is longer is cut, for compilers limit their lines."""
IDENTIFIER_LIMIT = 48
"""Characters of an identifier; file systems take 255 bytes for a name with all its endings."""

_NOT_IN_COMMENTS = re.compile(r"[^A-Za-z0-9_ .,:+()\[\]=-]")
_NOT_IN_IDENTIFIERS = re.compile(r"[^A-Za-z0-9_]")
_PLAIN_IN_LITERALS = re.compile(r"[A-Za-z0-9_ .,:+()=-]")
_PRINTABLE = re.compile(r"[A-Za-z0-9_ \n.,:;+\-*/%()\[\]{}<>=!&|^?~]*")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Literal(str):
    """A complete literal of the language that is printed, with its quotes."""

    __slots__ = ()


def comment(text: object, limit: int = COMMENT_LIMIT) -> str:
    r"""`text` inside a comment of one line, in any language that has them.

    Without quotes, backslashes, slashes, stars, `#`, `$`, `%`, `;`, `<`, `>` and whatever is not
    ASCII, nothing can end a comment, continue its line or begin another construct.

    >>> comment("a */ b\\\n"), comment("fc.1 -> out")
    ('a __ b_', 'fc.1 -_ out')
    """
    found = _NOT_IN_COMMENTS.sub("_", " ".join(str(text).split())) or "_"
    return found if len(found) <= limit else f"{found[: limit - 3]}..."


def identifier(text: object, fallback: str = "network") -> str:
    """A name for files, functions and build targets close to `text`, always the same one.

    Lower case, at most `IDENTIFIER_LIMIT` characters, none of those that languages, libraries
    and build tools have for themselves. `identifier` of what it gave is that again.

    >>> identifier("cnn-sinabs v2"), identifier("3x3"), identifier("memory"), identifier("../x")
    ('cnn_sinabs_v2', 'net_3x3', 'net_memory', 'x')
    """
    name = re.sub("_+", "_", _NOT_IN_IDENTIFIERS.sub("_", str(text))).strip("_").lower()
    name = _short(name or fallback, str(text))
    taken = name in RESERVED or name.startswith(PREFIXES)
    return f"net_{name}" if taken or name[0].isdigit() else name


def identifiers(names: Iterable[str]) -> tuple[str, ...]:
    """Different identifier tails for `names`, close to them; each may begin with a digit.

    A tail stands between other words only (`update_<tail>`, `NET_LAYER_<TAIL>`, `NET_<TAIL>_SIZE`),
    so that no word of a language is in the way.

    >>> identifiers(["fc 1", "fc-1", "out"])
    ('fc_1', 'fc_1_2', 'out')
    """
    found: dict[str, None] = {}
    next_number: dict[str, int] = {}
    for name in names:
        tail = _NOT_IN_IDENTIFIERS.sub("_", name).lower()
        base = candidate = _short(tail or "layer", name)
        number = next_number.get(base, 1)
        while candidate in found or _twin(candidate) in found:
            number += 1
            candidate = f"{base}_{number}"
        next_number[base] = number
        found[candidate] = None
    return tuple(found)


def _twin(tail: str) -> str | None:
    """The other tail of the same macro: NET_LAYER_X_SIZE is the size of `layer_x`, and `x_size`."""
    if tail.startswith("layer_"):
        return f"{tail.removeprefix('layer_')}_size"
    return f"layer_{tail.removesuffix('_size')}" if tail.endswith("_size") else None


def _short(name: str, text: str) -> str:
    """`name`, or its beginning and a hash of the whole `text`, so that cut names stay apart."""
    if len(name) <= IDENTIFIER_LIMIT:
        return name
    mark = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{name[: IDENTIFIER_LIMIT - 9].rstrip('_')}_{mark}"


def python_literal(value: object) -> Literal:
    r"""`value` (text, a number, None, or lists, tuples and dictionaries of them) in Python.

    >>> print(python_literal('a"\n'), python_literal({"n": [1, None]}))
    "a\x22\x0a" {"n": [1, None]}
    """
    match value:
        case str():
            shown = (c if _PLAIN_IN_LITERALS.match(c) else _escape(c) for c in value)
            return Literal(f'"{"".join(shown)}"')
        case list() | tuple():
            return Literal(f"[{', '.join(map(python_literal, value))}]")
        case dict():
            pairs = (f"{python_literal(k)}: {python_literal(v)}" for k, v in value.items())
            return Literal(f"{{{', '.join(pairs)}}}")
        case None | bool() | int() | float():
            return Literal(repr(value))
    raise TypeError(f"{type(value).__name__} has no literal")


def markdown(text: object) -> str:
    """`text` in a paragraph or a table of Markdown, or between its backticks.

    >>> markdown("a|b `x` <script>")
    'a_b _x_ _script_'
    """
    return comment(text).translate(str.maketrans("[]()", "____"))


def visible(text: object, keep: str = "") -> str:
    r"""`text` for a terminal or a page: what has no glyph of its own is written as its number.

    Such are control characters (which move the cursor, change colours or the title), characters
    that turn the direction of writing, invisible ones, and halves of characters. `keep`: those
    that may stay.

    >>> visible("a\x1b[2J\u202eb\n"), visible("é\n", keep="\n")
    ('a\\x1b[2J\\u202eb\\x0a', 'é\n')
    """
    found = str(text)
    if found.isprintable():
        return found
    return "".join(c if c.isprintable() or c in keep else _escape(c) for c in found)


def lines(text: object) -> str:
    """`visible`, with the line ends that the text has."""
    return visible(text, keep="\n\t")


def cell(text: str) -> str:
    """`text` in a table for spreadsheets, which must not take it for a formula.

    >>> cell("=cmd|' /C calc'!A0"), cell("-1.5"), cell("fc")
    ("'=cmd|' /C calc'!A0", '-1.5', 'fc')
    """
    formula = len(text) > 1 and text.startswith(_FORMULA) and not _is_number(text)
    return f"'{text}" if formula else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _escape(character: str) -> str:
    number = ord(character)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def printed(value: Any) -> Any:
    """What a template of code prints: numbers, lists of them, `Literal`s, text of known characters.

    The last gate: raises ValueError for text that none of the functions above has seen.
    """
    if isinstance(value, str):
        if not (isinstance(value, Literal) or _PRINTABLE.fullmatch(value)):
            raise ValueError(f"text of a user in a template: {value[:40]!r}")
        return value
    numbers = value if isinstance(value, list | tuple) else (value,)
    if not all(isinstance(number, Real) for number in numbers):
        raise ValueError(f"a template prints a {type(value).__name__}")
    return value
