"""`ForeignFile`: questions about one file, answered by a process with limits."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from snnstack.errors import Problem, SnnstackError, fail
from snnstack.foreign.client import Gone, Late, ask
from snnstack.foreign.limits import MEGABYTE, Limits, limits_for
from snnstack.foreign.trust import trusted, trusting
from snnstack.foreign.worker import reason

AGAIN = "copy or download it again"
CRASHED = "the reader crashed"


@dataclass(frozen=True)
class ForeignFile:
    """A file that somebody else made; errors about it are of `kind`.

    `trust`: it is read in this process, without limits. Said once, when the file is first looked
    at, so that what is read later, in another thread perhaps, is read in the same way. `limits`:
    None for those of the file's size. `doing`: what takes too long, in messages.
    """

    path: Path
    kind: type[SnnstackError]
    trust: bool = field(default_factory=trusted)
    limits: Limits | None = None
    doing: str = "reading"

    def read(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """`function(path, *arguments)`; arguments and result are plain data.

        `function` stands in a module. Raises what it raises of ours; `kind` for everything else,
        for a reader that crashes, and for one that needs too much time or memory.
        """
        if self.trust:
            return self._here(function, arguments)
        limits = self.limits or limits_for(self.path)
        question = {
            "function": f"{function.__module__}:{function.__name__}",
            "arguments": [str(self.path), *arguments],
            "limits": [limits.seconds, limits.megabytes],
            "folder": _folder(),
        }
        answer = self._answer(question, limits)
        if "value" in answer:
            return answer["value"]
        raise self._error(answer, limits)

    def _here(self, function: Callable[..., Any], arguments: Sequence[Any]) -> Any:
        try:
            with trusting():
                return function(str(self.path), *arguments)
        except SnnstackError:
            raise
        except MemoryError as error:
            raise self._damaged(f"{self.doing} it needs more memory than there is") from error
        except Exception as error:
            raise self._broken(reason(error)) from error

    def _answer(self, question: dict[str, Any], limits: Limits) -> Any:
        try:
            return ask(question, limits.patience, limits.megabytes * MEGABYTE)
        except Gone as gone:
            late = gone.status == -signal.SIGXCPU
            raise (self._slow(limits) if late else self._damaged(CRASHED)) from None
        except Late:
            raise self._slow(limits) from None
        except (ValueError, KeyError, TypeError) as error:  # an answer that is none
            raise self._damaged(CRASHED) from error

    def _error(self, answer: dict[str, Any], limits: Limits) -> SnnstackError:
        if "memory" in answer:
            return self._damaged(f"{self.doing} it needs more than {limits.megabytes} MB")
        if "damage" in answer:
            return self._broken(str(answer["damage"]))
        kinds = {kind.__name__: kind for kind in SnnstackError.__subclasses__()}
        kind = kinds.get(answer["kind"], self.kind)
        return kind(Problem(*map(str, parts)) for parts in answer["problems"])

    def _slow(self, limits: Limits) -> SnnstackError:
        return self._damaged(f"{self.doing} it did not end in {limits.seconds} s")

    def _damaged(self, hint: str) -> SnnstackError:
        what = "is damaged" if self.doing == "reading" else "cannot be used"
        return fail(self.kind, str(self.path), what, hint)

    def _broken(self, why: str) -> SnnstackError:
        return fail(self.kind, str(self.path), f"is damaged: {why}", AGAIN)


def _folder() -> str:
    """Where this process is; a folder that is gone has no relative paths either."""
    try:
        return os.getcwd()
    except OSError:
        return os.sep
