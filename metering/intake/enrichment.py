"""Step 4, whose and what for: the customer is known, and a meter listens to the metric."""

from __future__ import annotations

from aforo.kernel.decimals import plain
from aforo.kernel.errors import Refusal

from .draft import Draft, Receipt

# Of what nobody has heard of yet: an event that is right by itself, and may be held until somebody has.
UNKNOWN = frozenset({"metric_unknown", "customer_unknown"})


def check(draft: Draft, receipt: Receipt) -> Refusal | None:
    """Refuse what nothing could be counted for; a negative quantity unless every meter allows it."""
    meters = receipt.directory.meters_for(draft.metric)
    if not meters:
        return Refusal("metric_unknown", f"No meter listens to {draft.metric!r}.", {"metric": draft.metric})
    if receipt.directory.customer(draft.customer_id) is None:
        return Refusal(
            "customer_unknown",
            f"There is no customer {draft.customer_id!r}.",
            {"customer_id": draft.customer_id},
        )
    if draft.quantity.is_signed() and not all(meter.allows_negative for meter in meters):
        forbidding = [meter.key for meter in meters if not meter.allows_negative]
        return Refusal(
            "quantity_negative",
            f"{plain(draft.quantity)} is below zero, which {', '.join(forbidding)} does not allow.",
            {"quantity": plain(draft.quantity), "meters": forbidding},
        )
    return None
