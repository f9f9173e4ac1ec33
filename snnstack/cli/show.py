"""Print results: JSON for programs, tables and progress bars for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from snnstack.foreign_text import lines, visible
from snnstack.report.numbers import percent

if TYPE_CHECKING:
    from snnstack.report.dead import Dead

UNLIMITED = 10_000
"""Columns of a file or a pipe: nothing is folded there, so that `grep` finds whole lines."""


def say(text: object = "", *, err: bool = False) -> None:
    """One line for people: names in it can neither end the line nor steer the terminal."""
    click.echo(visible(text), err=err)


def say_lines(text: object, *, err: bool = False) -> None:
    """`say` of a text that has lines of its own; names in it went through `visible` before."""
    click.echo(lines(text), err=err)


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    click.echo(json.dumps(value, indent=2, default=_plain, allow_nan=False))


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value.tolist()


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on standard output; numbers to the right. Folds at the edge of a terminal."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    narrow = sys.stdout.isatty()
    style: Any = {"box": SIMPLE_HEAD, "header_style": "bold", "pad_edge": False}
    shown = Table(**style, show_edge=False, padding=(0, 1, 0, 0))
    for k, name in enumerate(header):
        numeric = all(_is_number(row[k]) for row in rows)
        whole = not any(" " in row[k] for row in rows)
        head = name.replace(" ", "\n") if narrow else name
        shown.add_column(head, justify="right" if numeric else "left", no_wrap=whole)
    for row in rows:
        shown.add_row(*map(visible, row))
    say(title)
    width = None if narrow else UNLIMITED
    Console(width=width, highlight=False, markup=False).print(shown)


def _is_number(text: str) -> bool:
    return text in ("-", "") or text.lstrip("-+~")[:1].isdigit()


@contextmanager
def progress(title: str) -> Iterator[Callable[[str, int, int], None]]:
    """`update(what, done, total)` draws a bar on standard error when that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda what, done, total: None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import MofNCompleteColumn, Progress

    columns = (*Progress.get_default_columns()[:-1], MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None)

        def update(what: str, done: int, total: int) -> None:
            bar.update(task, description=escape(visible(what)), completed=done, total=total)

        yield update


def size(count: int) -> str:
    """Bytes as people read them.

    >>> size(24), size(16384), size(15008), size(3 * 2**20)
    ('24 bytes', '16 KiB', '14.7 KiB', '3 MiB')
    """
    if count < 1024:
        return f"{count} bytes"
    if count < 2**20:
        return f"{count / 2**10:.1f}".removesuffix(".0") + " KiB"
    return f"{count / 2**20:.2f}".rstrip("0").rstrip(".") + " MiB"


def say_losses(settings: Mapping[str, Any], board: str = "") -> None:
    """What quantisation took that a user must know, on standard error: a line for each."""
    from snnstack.quant.losses import warnings_of

    for problem in warnings_of(settings):
        say(f"warning: {board}{': ' if board else ''}{problem}", err=True)


def say_dead(found: Sequence[Dead]) -> None:
    """Output neurons that never spike: a warning where all are silent, or some spike in float."""
    for one in found:
        serious = len(one.neurons) == one.of or bool(one.lost)
        say(f"{'warning' if serious else 'note'}: {one}", err=serious)


def losses_line(settings: Mapping[str, Any]) -> str:
    """How many weights became 0, over all populations; "" where nothing was quantised."""
    from snnstack.quant.losses import from_settings

    found = from_settings(settings)
    if not found:
        return ""
    lost, of = (sum(getattr(layer, key) for layer in found) for key in ("weights_lost", "weights"))
    apart = sum(layer.apart for layer in found)
    worst = max(layer.drive_lost for layer in found)
    line = f"weights rounded to 0: {lost:,} of {of:,}, at most {percent(worst)} of a layer's drive"
    return f"{line}; {apart:,} stored apart with more bits" if apart else line


def settings_line(settings: Mapping[str, Any]) -> str:
    """How the model was read, each choice with where it comes from."""
    origin = settings.get("origin", {})
    listed = ("dt", "integrator", "reset", "reset_time", "compare", "events")
    names = [name for name in listed if name in settings and settings[name] != "now"]
    parts = [
        f"{name} {_setting(name, settings[name])} ({origin.get(name, 'model')})" for name in names
    ]
    return ", ".join(parts)


def _setting(name: str, value: Any) -> str:
    return f"{value:g} s" if name == "dt" else str(value)
