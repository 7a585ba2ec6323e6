"""A subscription's timeline: what it holds when, and the charges of a period with the spans in which they are held."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from aforo.kernel.periods import Period

from ..models import RatePlanVersion, Subscription, SubscriptionItem
from ..pipeline import state as values
from .terms import version_charges


def held_in(
    items: Iterable[SubscriptionItem], period: Period
) -> dict[RatePlanVersion, tuple[values.Span, ...]]:
    """The versions that are billed in a period, in the order of their first span.

    Nothing of a trial is billed. Spans of one version and quantity that meet are one.

    Starter until 16 March and Pro from then on: Starter [1 March, 16 March), Pro [16 March, 1 April).
    """
    held: dict[RatePlanVersion, list[values.Span]] = {}
    for item in items:
        part = _billed_part(item, period)
        if part is None:
            continue
        spans = held.setdefault(item.plan_version, [])
        if spans and spans[-1].period.end == part.start and spans[-1].quantity == item.quantity:
            part = Period(spans.pop().period.start, part.end)
        spans.append(values.Span(period=part, quantity=item.quantity))
    return {version: tuple(spans) for version, spans in held.items()}


def _billed_part(item: SubscriptionItem, period: Period) -> Period | None:
    start = max(item.starts_at, item.trial_ends_at or item.starts_at)
    end = period.end if item.ends_at is None else item.ends_at
    return Period(start, end).overlap(period) if start < end else None


def charges_of(
    held: Mapping[RatePlanVersion, tuple[values.Span, ...]], period: Period
) -> tuple[values.Charge, ...]:
    """The charges of what is held in a period, with their spans; plan after plan.

    A charge of the only version, held once and all the time, has no spans. Where two versions have a charge of the same
    code, the one that is held last keeps it, and the other's says its version: base@starter-v1.
    """
    whole = (values.Span(period=period),)
    if len(held) == 1 and whole in held.values():
        (version,) = held
        return version_charges(version)
    found = [
        (version, replace(charge, spans=spans))
        for version, spans in held.items()
        for charge in version_charges(version)
    ]
    last = {charge.code: version for version, charge in sorted(found, key=_held_until)}
    return tuple(
        replace(charge if last[charge.code] == version else _named(charge, version), position=position)
        for position, (version, charge) in enumerate(found, start=1)
    )


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


def named_code(code: str, version: RatePlanVersion) -> str:
    """The code of a charge beside another version's of the same code: base@starter-v1."""
    return f"{code}@{version.plan.code}-v{version.number}"


def _named(charge: values.Charge, version: RatePlanVersion) -> values.Charge:
    return replace(
        charge,
        code=named_code(charge.code, version),
        name=f"{charge.name}, {version.plan.code} v{version.number}",
    )
