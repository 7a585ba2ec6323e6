"""How far the publisher is, as anybody may see it."""

from __future__ import annotations

from aforo.kernel.clock import now

from ..models import PublisherState


def publisher_state() -> PublisherState | None:
    """None before there ever was a publisher."""
    return PublisherState.objects.first()


def published_age_ms() -> int | None:
    """Milliseconds since the publisher last ended a turn; None before the first."""
    state = publisher_state()
    return None if state is None else max(0, int((now() - state.turned_at).total_seconds() * 1000))
