"""A filter that billing's lists share."""

from __future__ import annotations

from typing import Any

from unfold.contrib.filters.admin import RangeDateFilter


class LastDayFilter(RangeDateFilter):
    """By the last billed day, which puts an invoice into a month."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = "last billed day"
