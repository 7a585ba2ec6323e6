"""Leases of a hard quota: one number that several sites share, and never more admitted than there is.

Always, of each customer, feature and window:

    billed usage + outstanding leases + unallocated = quota        outstanding = granted - returned - settled

A site admits only from granted - returned - taken of its own lease. What it admitted stays taken until it is billed usage; then
both sides move the same units from the lease to the usage (settled). All numbers are totals that only grow, so that a message
may be lost, come twice or come late. A site whose memory is gone has another epoch, and so another lease; what the old one had
outstanding is nobody's until the window ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from metering.intake.draft import AGE_MAX

# Of what is unallocated a site gets this part at once: a quarter for one that uses units up, a twentieth to begin with.
SHARE = 4
SHARE_FIRST = 20
# What a window leaves behind is kept until no event of it can come any more, and until no window of the calendar that began
# when it did can run still: a rule may have been given a longer one since.
KEPT_AFTER_END = AGE_MAX + timedelta(days=1)
KEPT_AFTER_START = timedelta(days=368)


@dataclass(frozen=True, slots=True)
class Totals:
    """A lease's totals, units of the quota."""

    granted: int = 0
    returned: int = 0
    settled: int = 0

    @property
    def outstanding(self) -> int:
        """Units that its site may have admitted, or may admit still."""
        return max(0, self.granted - self.returned - self.settled)


def unallocated(quota: int, billed: int, leases: Sequence[Totals]) -> int:
    """Units that nobody has. Below zero where usage came that nobody had reserved, or the quota was lowered.

    1,000, 550 billed, leases of 100 (20 of them settled) and 50: 1,000 - 550 - 80 - 50 = 320.
    """
    return quota - billed - sum(lease.outstanding for lease in leases)


def grant_size(free: int, *, is_first: bool) -> int:
    """How many of the unallocated units a site is given at once.

    Of 1,000 the first time 50, then a quarter of what is left; of 3 one.
    """
    if free <= 0:
        return 0
    return max(1, free // (SHARE_FIRST if is_first else SHARE))


def give_back_size(free: int) -> int:
    """How many of its free units a site gives back when they are recalled: half, so that two sites come to rest."""
    return (max(0, free) + 1) // 2
