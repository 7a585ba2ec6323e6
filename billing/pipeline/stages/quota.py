"""Quota: the period's total against the plan's quota, written as a cap per charge.

First, because everything after it is about what may be billed. It only measures and caps; aggregation applies the cap.
"""

from __future__ import annotations

from dataclasses import replace

from aforo.kernel.decimals import EXACT, trimmed

from ..metered import exceeded_in, level_of, metered, usage_of
from ..state import BillingState, Issue, QuotaCap
from ..trace import explained, texts

READS = frozenset({"charges", "usage", "period"})
WRITES = frozenset({"caps"})


def run(state: BillingState) -> BillingState:
    """BLOCK and IGNORE cap at the quota, CHARGE lets the overage through; BLOCK and CHARGE say so.

    Quota 1,000 BLOCK, used 1,003: cap 1,000 and the issue over_admitted, 3.
    """
    caps, issues, why = [], [], []
    for charge in state.charges:
        if charge.quota_units is None:
            continue
        hours = usage_of(charge, state.usage)
        level = level_of(charge, state.usage)
        used = metered(charge, hours, state.period, level).units
        why.append(
            explained(
                "quota",
                "measured",
                charge.code,
                quota=charge.quota_units,
                used=used,
                over_quota=charge.over_quota,
            )
        )
        if charge.over_quota != "CHARGE":
            caps.append(QuotaCap(charge=charge.code, units=charge.quota_units))
        if used <= charge.quota_units:
            continue
        over = EXACT.subtract(used, charge.quota_units)
        since = exceeded_in(charge, hours, state.period, charge.quota_units, level)
        if since is not None:
            why.append(explained("quota", "exceeded", charge.code, units=over, since=since))
        if charge.over_quota != "IGNORE":
            code = "over_admitted" if charge.over_quota == "BLOCK" else "quota_exceeded"
            effect = "not billed" if charge.over_quota == "BLOCK" else "charged"
            issues.append(
                Issue(
                    severity="warning",
                    code=code,
                    sentence=f"{charge.name}: {trimmed(over)} units above the quota of "
                    f"{trimmed(charge.quota_units)}, {effect}.",
                    subject=charge.code,
                    facts=texts(units=over, quota=charge.quota_units, used=used),
                )
            )
    return replace(state, caps=tuple(caps), issues=(*state.issues, *issues), trace=(*state.trace, *why))
