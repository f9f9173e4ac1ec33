"""What is wrong with an input, said once: where, what, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from snnstack.foreign_text import lines, visible


@dataclass(frozen=True)
class Problem:
    """One thing wrong: `where: what (hint)`, in the user's own names.

    `where` names the object (a node, a file, an option), `what` states the fact with the
    actual value and the limit, `hint` says what to do.
    """

    where: str
    what: str
    hint: str = ""

    def __str__(self) -> str:
        found = f"{visible(self.where)}: {lines(self.what)}"
        return found + (f" ({lines(self.hint)})" if self.hint else "")


class SnnstackError(Exception):
    """All problems found, never only the first. `str()` is one line per problem."""

    def __init__(self, problems: Problem | Iterable[Problem]) -> None:
        found = (problems,) if isinstance(problems, Problem) else tuple(problems)
        self.problems: tuple[Problem, ...] = found
        super().__init__("\n".join(str(problem) for problem in found))


class ModelError(SnnstackError):
    """The network, or the file that holds it, is malformed or not supported."""


class DataError(SnnstackError):
    """Input spikes or labels do not fit the network."""


class CapacityError(SnnstackError):
    """The network does not fit the board."""


class TargetError(SnnstackError):
    """A board, a target or an option that does not exist or does not go together."""


class ToolError(SnnstackError):
    """An outside program is missing, failed or ran too long."""


def fail(kind: type[SnnstackError], where: str, what: str, hint: str = "") -> SnnstackError:
    """One problem as an error of `kind`, ready to raise."""
    return kind(Problem(where, what, hint))


def raise_if_any(kind: type[SnnstackError], problems: Iterable[Problem]) -> None:
    """Raise one `kind` with all `problems`, or do nothing when there are none."""
    found = tuple(problems)
    if found:
        raise kind(found)
