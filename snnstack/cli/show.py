"""Print results: JSON for programs, tables and progress bars for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    click.echo(json.dumps(value, indent=2, default=_plain, allow_nan=False))


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value.tolist()


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on standard output; numbers to the right."""
    from rich.console import Console
    from rich.table import Table

    shown = Table(title=title, title_justify="left", header_style="bold")
    for k, name in enumerate(header):
        numeric = all(_is_number(row[k]) for row in rows)
        shown.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        shown.add_row(*row)
    width = None if sys.stdout.isatty() else 160
    Console(width=width, highlight=False, markup=False).print(shown)


def _is_number(text: str) -> bool:
    return text[:1].isdigit() or text in ("-", "") or text[:1] in "-+~" and text[1:2].isdigit()


@contextmanager
def progress(title: str) -> Iterator[Callable[[int, int], None]]:
    """`update(done, total)` draws a bar on standard error when that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def percent(share: float | None) -> str:
    """`0.9637` as `96.37 %`."""
    return "-" if share is None else f"{100 * share:.2f} %"


def band(low: float, typical: float, high: float) -> str:
    """`12.3 (10.1-15.2)`."""
    return f"{typical:.4g} ({low:.3g}-{high:.3g})"


def size(count: int) -> str:
    """Bytes as people read them."""
    return f"{count / 1024:.1f} KiB" if count < 2**20 else f"{count / 2**20:.2f} MiB"
