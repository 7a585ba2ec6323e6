"""Aggregation: hourly partials become one exact quantity per charge.

After quota, whose caps it applies; before allowance, which subtracts from whole quantities only.
"""

from __future__ import annotations

from dataclasses import replace

from aforo.kernel.decimals import trimmed

from ..metered import is_billed_by, is_held, level_of, metered, usage_of
from ..state import ZERO, BillingState, Charge, Issue, Quantity
from ..trace import explained, texts

READS = frozenset({"charges", "usage", "period", "caps"})
WRITES = frozenset({"quantities"})


def run(state: BillingState) -> BillingState:
    """Hours of 400, 500 and 103 calls under a cap of 1,000: 1,000 units."""
    caps = {cap.charge: cap.units for cap in state.caps}
    charges = [charge for charge in state.charges if charge.kind == "USAGE"]
    quantities, issues, why = [], [], []
    for charge in charges:
        hours = usage_of(charge, state.usage)
        whole = metered(charge, hours, state.period, level_of(charge, state.usage))
        units = min(whole.units, caps.get(charge.code, whole.units))
        if units < ZERO:
            issues.append(
                Issue(
                    severity="warning",
                    code="quantity_below_zero",
                    sentence=f"{charge.name}: {trimmed(units)} units; nothing is billed.",
                    subject=charge.code,
                    facts=texts(units=units),
                )
            )
            units = ZERO
        if charge.terms.model == "DYNAMIC" and whole.value_count < whole.event_count:
            missing = whole.event_count - whole.value_count
            issues.append(
                Issue(
                    severity="warning",
                    code="price_missing",
                    sentence=f"{charge.name}: {missing} of {whole.event_count} events carry no price; they are not billed.",
                    subject=charge.code,
                    facts=texts(events=missing),
                )
            )
        quantities.append(Quantity(charge=charge.code, units=units, event_count=whole.event_count))
        why.append(
            explained(
                "aggregation",
                "finished",
                charge.code,
                aggregation=charge.aggregation.value,
                events=whole.event_count,
                aggregated=whole.aggregated,
                units=units,
            )
        )
    return replace(
        state,
        quantities=tuple(quantities),
        issues=(*state.issues, *issues, *_unpriced(state, charges)),
        trace=(*state.trace, *why),
    )


def _unpriced(state: BillingState, charges: list[Charge]) -> list[Issue]:
    """A warning for each meter whose usage no charge's filters let in: it would go unbilled unseen.

    While no charge of the meter is held, in a trial or a pause, its usage is free on purpose.
    """
    issues = []
    for usage in state.usage:
        billing = [charge for charge in charges if charge.meter == usage.meter]
        left = [
            hour
            for hour in usage.hours
            if (not billing or any(is_held(charge, hour.hour) for charge in billing))
            and not any(is_billed_by(charge, hour) for charge in billing)
        ]
        events = sum(hour.partial.count for hour in left)
        if events:
            kinds = sorted({" ".join(f"{name}={value}" for name, value in hour.dimensions) for hour in left})
            issues.append(
                Issue(
                    severity="warning",
                    code="usage_unpriced",
                    sentence=f"{usage.meter}: {events} events that no charge prices ({', '.join(kinds)}).",
                    subject=usage.meter,
                    facts=texts(events=events),
                )
            )
    return issues
