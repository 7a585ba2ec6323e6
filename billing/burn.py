"""Burn order: which of a wallet's grants pays first, and how far each one goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from aforo.kernel.decimals import EXACT

KINDS = ("PROMO", "BONUS", "CASH")
_NEVER = datetime.max.replace(tzinfo=UTC)
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Grant:
    """Money put into a wallet, in the wallet's currency.

    kind: PROMO, BONUS or CASH. starts_at: counts from then (inclusive). expires_at: until then (exclusive), None
    for ever. created_at: when it was put in.
    """

    id: str
    kind: str
    starts_at: datetime
    expires_at: datetime | None
    created_at: datetime

    def counts_at(self, at: datetime) -> bool:
        return self.starts_at <= at and (self.expires_at is None or at < self.expires_at)


def burn_order(grants: Sequence[Grant]) -> list[Grant]:
    """PROMO before BONUS before CASH; within a kind the soonest expiry, then the oldest, then the id.

    What would be lost or was given away goes before the customer's own money.
    """
    return sorted(
        grants,
        key=lambda grant: (KINDS.index(grant.kind), grant.expires_at or _NEVER, grant.created_at, grant.id),
    )


def burn(
    grants: Sequence[Grant], balances: dict[str, Decimal], *, amount: Decimal, at: datetime
) -> tuple[tuple[tuple[str, Decimal], ...], Decimal]:
    """Take an amount from the grants that count at an instant.

    balances: what each grant id has left, zero or more. amount: zero or more.
    Returns (grant id, taken) in burn order, and what no grant covered. Changes nothing it is given.

    20.00 from PROMO 15.00 and CASH 50.00: 15.00 + 5.00, uncovered 0.
    """
    taken: list[tuple[str, Decimal]] = []
    left = amount
    for grant in burn_order(grants):
        part = min(balances[grant.id], left)
        if part > ZERO and grant.counts_at(at):
            taken.append((grant.id, part))
            left = EXACT.subtract(left, part)
    return tuple(taken), left
