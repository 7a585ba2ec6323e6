"""How lists show an instant and a state."""

from __future__ import annotations

from datetime import datetime

from aforo.kernel.clock import now

# A state's colour says whether somebody has to act.
COLOURS = {
    **dict.fromkeys(
        ("ACTIVE", "PUBLISHED", "PAID", "COMPLETED", "ISSUED", "APPLIED", "REPLAYED", "RESOLVED"), "success"
    ),
    **dict.fromkeys(("TRIALING", "OPEN", "RUNNING", "TEST", "DRAFTED", "HELD", "READING"), "info"),
    **dict.fromkeys(
        ("DRAFT", "CREATED", "PENDING", "PAUSED", "EXPIRING_SOON", "NEW", "WAITING", "PLANNED"), "warning"
    ),
    **dict.fromkeys(
        ("REVOKED", "FAILED", "OVERDUE", "UNCOLLECTIBLE", "PAST_DUE", "SUSPENDED", "EXPIRED"), "danger"
    ),
}

_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60))


def ago(instant: datetime | None) -> str:
    """How long ago, in the largest unit that fills: 2m ago, 3d ago; "never" for None."""
    if instant is None:
        return "never"
    seconds = int((now() - instant).total_seconds())
    for unit, length in _UNITS:
        if seconds >= length:
            return f"{seconds // length}{unit} ago"
    return "just now"
