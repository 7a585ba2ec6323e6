"""A subscription's timeline: what it holds when, and the charges of a period with the spans in which they are held."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from uuid import UUID

from aforo.kernel.periods import Period, local_midnight

from ..models import Charge, RatePlanVersion, Subscription, SubscriptionItem
from ..pipeline import state as values
from .terms import version_charges


def held_in(subscription: Subscription, period: Period) -> dict[RatePlanVersion, tuple[values.Span, ...]]:
    """The versions that are billed in a period, in the order of their first span.

    Nothing of a trial is billed, be it the item's or a contract's. Spans of one version and quantity that meet are one.

    Starter until 16 March and Pro from then on: Starter [1 March, 16 March), Pro [16 March, 1 April).
    """
    held: dict[RatePlanVersion, list[values.Span]] = {}
    trials = _contract_trials(subscription)
    for item in subscription.items.all():
        for part in _billed_parts(item, period, trials.get(item.plan_version.plan.product_id, ())):
            spans = held.setdefault(item.plan_version, [])
            start = part.start
            if spans and spans[-1].period.end == start and spans[-1].quantity == item.quantity:
                start = spans.pop().period.start
            spans.append(values.Span(period=Period(start, part.end), quantity=item.quantity))
    return {version: tuple(spans) for version, spans in held.items()}


def _billed_parts(item: SubscriptionItem, period: Period, trials: Iterable[Period]) -> list[Period]:
    start = max(item.starts_at, item.trial_ends_at or item.starts_at)
    end = period.end if item.ends_at is None else item.ends_at
    parts = [part] if start < end and (part := Period(start, end).overlap(period)) else []
    for trial in trials:
        parts = [
            Period(*left)
            for part in parts
            for left in ((part.start, min(part.end, trial.start)), (max(part.start, trial.end), part.end))
            if left[0] < left[1]
        ]
    return parts


def _contract_trials(subscription: Subscription) -> dict[UUID, list[Period]]:
    """When a contract lets a product be free, by the product's row: so many days from the contract's start."""
    zone = subscription.customer.zone
    found: dict[UUID, list[Period]] = {}
    for contract in subscription.contracts.all():
        for trial in contract.trials.all():
            ends_on = min(contract.starts_on + timedelta(days=trial.days), contract.ends_on or date.max)
            free = Period(local_midnight(contract.starts_on, zone), local_midnight(ends_on, zone))
            found.setdefault(trial.product_id, []).append(free)
    return found


Held = Mapping[RatePlanVersion, tuple[values.Span, ...]]


def charges_of(held: Held, period: Period, ahead: Held | None = None) -> tuple[values.Charge, ...]:
    """The charges of what is held in a period, with their spans; plan after plan.

    ahead: what is held in a later cycle; fees in advance are billed for it, too.
    A charge of the only version, held once and all the time, has no spans. Where two versions have a charge of the same
    code, the one that is held last keeps it, and the other's says its version: base@starter-v1.
    """
    ahead = ahead or {}
    whole = (values.Span(period=period),)
    is_plain = len(held) == 1 and whole in held.values() and ahead.keys() <= held.keys()
    found = []
    for version in dict.fromkeys([*held, *ahead]):
        for charge in version_charges(version):
            spans = held.get(version, ())
            if charge.timing == Charge.Timing.ADVANCE:
                spans += ahead.get(version, ())
                found.append((version, replace(charge, spans=spans, plan=plan_text(version))))
            elif spans:
                found.append((version, charge if is_plain else replace(charge, spans=spans)))
    if is_plain:
        return tuple(charge for _, charge in found)
    last = {charge.code: version for version, charge in sorted(found, key=_held_until)}
    return tuple(
        replace(charge if last[charge.code] == version else _named(charge, version), position=position)
        for position, (version, charge) in enumerate(found, start=1)
    )


def ahead_in(subscription: Subscription, cycle: Period, period: Period) -> Held:
    """What is billed in advance of a part of a cycle."""
    held = held_in(subscription, period)
    return {
        version: tuple(replace(span, of=cycle) for span in spans)
        for version, spans in held.items()
        if has_advance(version)
    }


def has_advance(version: RatePlanVersion) -> bool:
    return any(charge.timing == Charge.Timing.ADVANCE for charge in version.charges.all())


def plan_text(version: RatePlanVersion) -> str:
    return f"{version.plan.code} v{version.number}"


def versions_held(subscription: Subscription) -> list[RatePlanVersion]:
    """Every version that it ever holds, each once, first held first."""
    return list(dict.fromkeys(item.plan_version for item in subscription.items.all()))


def _held_until(each: tuple[RatePlanVersion, values.Charge]) -> datetime:
    return each[1].spans[-1].period.end


def tax_categories(versions: Sequence[RatePlanVersion], charges: Iterable[values.Charge]) -> dict[str, str]:
    """The tax category of each code that a line can have: of the charges billed, and of those of earlier periods."""
    products = {version.plan.product.code: version.plan.product.tax_category for version in versions}
    earlier = {
        code: version.plan.product.tax_category
        for version in versions
        for charge in version.charges.all()
        for code in ((charge.code, named_code(charge.code, version)) if versions[1:] else (charge.code,))
    }
    return earlier | {charge.code: products[charge.product] for charge in charges}


def begun_at(subscription: Subscription) -> datetime | None:
    """The first billed instant; None where nothing is ever billed."""
    starts = [
        start
        for item in subscription.items.all()
        for start in [max(item.starts_at, item.trial_ends_at or item.starts_at)]
        if item.ends_at is None or start < item.ends_at
    ]
    begins_at = min(starts, default=None)
    ends_at = subscription.ends_at
    is_over = begins_at is not None and ends_at is not None and ends_at <= begins_at
    return None if is_over else begins_at


def plain_code(code: str) -> str:
    """The charge's own code: base of base@starter-v1."""
    return code.partition("@")[0]


def named_code(code: str, version: RatePlanVersion) -> str:
    """The code of a charge beside another version's of the same code: base@starter-v1."""
    return f"{code}@{version.plan.code}-v{version.number}"


def _named(charge: values.Charge, version: RatePlanVersion) -> values.Charge:
    return replace(
        charge,
        code=named_code(charge.code, version),
        name=f"{charge.name}, {version.plan.code} v{version.number}",
    )
