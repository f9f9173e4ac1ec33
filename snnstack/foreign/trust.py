"""Whether the user vouches for the files that are read: `--trust`, `trust=`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, TypeVar, cast

_Function = TypeVar("_Function", bound=Callable[..., Any])

_TRUSTED: ContextVar[bool] = ContextVar("trusted", default=False)


def trusted() -> bool:
    """Whether files are read in this process, without limits. A new thread begins with no."""
    return _TRUSTED.get()


@contextmanager
def trusting(yes: bool = True) -> Iterator[None]:
    """Inside, files are trusted if `yes`, or if they were already.

    >>> with trusting():
    ...     trusted()
    True
    """
    token = _TRUSTED.set(yes or trusted())
    try:
        yield
    finally:
        _TRUSTED.reset(token)


def vouching(function: _Function) -> _Function:
    """A function whose keyword `trust` holds for whatever it reads while it runs."""

    @wraps(function)
    def vouched(*arguments: Any, **options: Any) -> Any:
        with trusting(bool(options.get("trust", False))):
            return function(*arguments, **options)

    return cast(_Function, vouched)
