"""The clock: the only place that looks at the wall.

Code is given an instant (`as_of`) or asks `now()` here; tests and the sandbox move it with `clock_at`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

_moved: ContextVar[datetime | None] = ContextVar("clock", default=None)


def now() -> datetime:
    """The present instant in UTC, or the one that `clock_at` set."""
    return _moved.get() or datetime.now(UTC)


@contextmanager
def clock_at(instant: datetime) -> Iterator[None]:
    """Stop the clock at an aware instant for the enclosed code."""
    if instant.tzinfo is None:
        raise ValueError("the clock is set to an aware instant")
    token = _moved.set(instant.astimezone(UTC))
    try:
        yield
    finally:
        _moved.reset(token)
