"""What a subscription holds: its items are begun, changed, paused and resumed; each is a stretch of time.

A service closes one stretch and opens the next. What an issued invoice bills stays as it is: nothing changes before the end
of its period.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.db import transaction

from aforo.kernel.clock import now
from aforo.kernel.cycles import Cycle
from aforo.kernel.errors import Problem
from aforo.kernel.periods import instant_text
from aforo.tenancy.models import Tenant
from aforo.tenancy.services.rows import invalid, row_save

from ..locks import subscription_locked
from ..models import Invoice, Offering, RatePlanVersion, SetupFee, Subscription, SubscriptionItem
from ..models.subscription import SubscriptionState
from ..selectors.catalog import offering_for, version_for, version_on_sale
from ..selectors.periods import subscription_cycle
from ..selectors.subscriptions import subscription_for
from .amounts import currency_check

ONE = Decimal(1)


@transaction.atomic
def subscription_change(
    *,
    tenant: Tenant,
    code: str,
    plan: str | None = None,
    to_plan: str | None = None,
    version: int | None = None,
    quantity: Decimal | None = None,
    at: datetime | None = None,
    is_at_period_end: bool = False,
) -> Subscription:
    """Hold another plan, version or quantity from an instant on.

    plan: the one held now that changes; needed where several are. to_plan: another one of a standalone offering.
    version: a published one's number; of another plan, the newest unless given. quantity: as before unless given.
    at: now unless given; or is_at_period_end, the end of the present period.
    What was to change later of the same plan is given up: the last word counts. Saying it again changes nothing.
    Locks the subscription. Raises Problem not_found, input_invalid, or state_conflict where nothing is held then, the
    version is not on sale, or an issued invoice covers the time after.
    """
    subscription = subscription_locked(tenant, subscription_for(tenant, code).pk)
    instant = _instant(subscription, at, is_at_period_end)
    open_check(subscription, instant, "change it")
    items = list(subscription.items.select_related("offering", "plan_version__plan"))
    item = _item_held(subscription, items, instant, plan)
    target = item.plan_version
    if to_plan is not None or version is not None:
        target = _exchanged(tenant, item, to_plan or target.plan.code, version)
        others = [each for each in items if each is not item and _is_held(each, instant)]
        distinct_check([target, *(each.plan_version for each in others if not _is_rival(each, item))])
    for each in items:
        if each.starts_at > instant and _is_rival(each, item):
            each.delete()
    _hold(item, instant, target, item.quantity if quantity is None else quantity)
    return subscription


@transaction.atomic
def subscription_add(
    *,
    tenant: Tenant,
    code: str,
    offering: str,
    quantity: Decimal = ONE,
    at: datetime | None = None,
    trial_days: int | None = None,
) -> Subscription:
    """Hold an add-on beside what is held, on the same invoice, with a setup fee and a trial of its own.

    offering: an add-on's code. at: now unless given. trial_days: the add-on's unless given.
    Locks the subscription. Raises Problem not_found, input_invalid where the offering is no add-on or of another currency,
    or state_conflict where it is held already, nothing else is, or an issued invoice covers the time after.
    """
    subscription = subscription_locked(tenant, subscription_for(tenant, code).pk)
    added = offering_for(tenant, offering)
    if added.kind != Offering.Kind.ADDON:
        raise invalid("offering", f"{offering!r} is no add-on; a subscription of its own is made for it.")
    currency_check(added.currency, subscription.offering.currency, whose=f"the subscription {code!r}")
    instant = at or now()
    open_check(subscription, instant, "add to it")
    items = list(subscription.items.select_related("plan_version__plan"))
    is_over = subscription.ends_at is not None and subscription.ends_at <= instant
    held = [each for each in items if _is_held(each, instant) and not is_over]
    if not held:
        raise _nothing_held(subscription, instant)
    if any(
        each.offering_id == added.pk and (each.ends_at is None or each.ends_at > instant) for each in items
    ):
        raise Problem(
            "state_conflict", f"The subscription {code!r} holds {offering!r} already; change it instead."
        )
    versions = versions_on_sale(tenant, added)
    distinct_check([*(each.plan_version for each in held), *versions])
    offering_begin(
        subscription,
        added,
        versions,
        quantity=quantity,
        starts_at=instant,
        trial_ends_at=trial_end(instant, added, trial_days, subscription.customer.zone),
    )
    return subscription


@transaction.atomic
def subscription_remove(
    *,
    tenant: Tenant,
    code: str,
    offering: str,
    at: datetime | None = None,
    is_at_period_end: bool = False,
) -> Subscription:
    """Hold an add-on no longer; it is billed until then. Removing it again changes nothing before that.

    at: now unless given; or is_at_period_end, the end of the present period.
    Locks the subscription. Raises Problem not_found, input_invalid, or state_conflict where it is not held, or an issued
    invoice covers the time after.
    """
    subscription = subscription_locked(tenant, subscription_for(tenant, code).pk)
    removed = offering_for(tenant, offering)
    if removed.kind != Offering.Kind.ADDON:
        raise invalid("offering", f"{offering!r} is no add-on; cancel the subscription instead.")
    instant = _instant(subscription, at, is_at_period_end)
    open_check(subscription, instant, "remove from it")
    items = subscription.items.filter(offering=removed)
    held = [each for each in items if _is_held(each, instant)]
    if not held:
        raise Problem(
            "state_conflict",
            f"The subscription {code!r} does not hold {offering!r} at {instant_text(instant)}.",
        )
    items.filter(starts_at__gt=instant).delete()
    for item in held:
        item.ends_at = instant
        row_save(item)
    return subscription


def offering_begin(
    subscription: Subscription,
    offering: Offering,
    versions: Iterable[RatePlanVersion],
    *,
    quantity: Decimal,
    starts_at: datetime,
    trial_ends_at: datetime | None,
) -> None:
    """Hold what an offering is sold with, and owe its setup fee once. Raises Problem input_invalid."""
    _begin(
        subscription,
        offering,
        versions,
        quantity=quantity,
        starts_at=starts_at,
        trial_ends_at=trial_ends_at,
    )
    if offering.setup_fee:
        SetupFee.objects.get_or_create(
            subscription=subscription,
            offering=offering,
            defaults={
                "tenant": subscription.tenant,
                "amount": offering.setup_fee,
                "due_at": trial_ends_at or starts_at,
            },
        )


def _begin(
    subscription: Subscription,
    offering: Offering,
    versions: Iterable[RatePlanVersion],
    *,
    quantity: Decimal,
    starts_at: datetime,
    trial_ends_at: datetime | None,
) -> None:
    for version in versions:
        row_save(
            SubscriptionItem(
                tenant=subscription.tenant,
                subscription=subscription,
                offering=offering,
                plan_version=version,
                quantity=quantity,
                starts_at=starts_at,
                trial_ends_at=trial_ends_at,
            )
        )


def items_pause(subscription: Subscription, at: datetime) -> None:
    """Hold nothing from an instant on; what was to change later is given up. Raises Problem state_conflict."""
    open_check(subscription, at, "pause it")
    subscription.items.filter(starts_at__gt=at).delete()
    for item in subscription.items.all():
        if _is_held(item, at):
            item.ends_at = at
            row_save(item)


def items_resume(subscription: Subscription, at: datetime) -> None:
    """Hold again, from an instant on, what was held when it was paused. Raises Problem state_conflict."""
    paused = subscription.phases.filter(after=SubscriptionState.PAUSED).last()
    if paused is None:
        return
    open_check(subscription, at, "resume it")
    if at < paused.moved_at:
        raise invalid("at", f"is before the pause: {instant_text(paused.moved_at)}.")
    for item in subscription.items.filter(ends_at=paused.moved_at):
        _copy(item, at, item.plan_version, item.quantity)


def versions_on_sale(
    tenant: Tenant, offering: Offering, plan: str | None = None, version: int | None = None
) -> list[RatePlanVersion]:
    """What an offering is sold with: one plan of a standalone one, else all of them, in the order of their codes.

    Raises Problem not_found, input_invalid for a plan that it lacks or does not ask for, or state_conflict where a version
    is not on sale or two of them have a charge of the same code.
    """
    codes = sorted(row.plan.code for row in offering.plans.all())
    if offering.kind == Offering.Kind.STANDALONE:
        if plan is None and len(codes) > 1:
            raise invalid("plan", f"is missing; the offering has {', '.join(codes)}.")
        return [version_sold(tenant, offering, plan or codes[0], version)]
    for name, value in (("plan", plan), ("version", version)):
        if value is not None:
            raise invalid(name, f"is not asked for; {offering.code!r} is sold with all of its plans.")
    versions = [version_on_sale(tenant, each) for each in codes]
    distinct_check(versions)
    return versions


def version_sold(tenant: Tenant, offering: Offering, plan: str, number: int | None) -> RatePlanVersion:
    """A plan's version by its number, else its newest. Raises Problem as of `versions_on_sale`."""
    if plan not in {row.plan.code for row in offering.plans.all()}:
        raise invalid("plan", f"{plan!r} is not in the offering {offering.code!r}.")
    if number is None:
        return version_on_sale(tenant, plan)
    version = version_for(tenant, plan, number)
    if version.status != RatePlanVersion.Status.PUBLISHED:
        raise Problem("state_conflict", f"{version} is not on sale; only a published version is.")
    return version


def distinct_check(versions: Iterable[RatePlanVersion]) -> None:
    """Plans that are held together have charges of different codes, because a line is known by its code.

    Raises Problem state_conflict.
    """
    owners: dict[str, str] = {}
    for version in versions:
        for charge in version.charges.all():
            owner = owners.setdefault(charge.code, version.plan.code)
            if owner != version.plan.code:
                raise Problem(
                    "state_conflict",
                    f"The rate plans {owner!r} and {version.plan.code!r} both have a charge {charge.code!r}; plans that "
                    "are held together have charges of different codes.",
                )


def trial_end(starts_at: datetime, offering: Offering, days: int | None, zone: ZoneInfo) -> datetime | None:
    """So many local days later, at the same time of day; None without a trial. days: the offering's unless given.

    30 days from 1 March 2026 in New York, 05:00Z: 31 March, 04:00Z, because the clock was put forward.
    """
    days = offering.trial_days if days is None else days
    if not days:
        return None
    local = starts_at.astimezone(zone)
    return Cycle("week", local.date() + timedelta(days=days), zone, local.time()).boundary(0)


def open_check(subscription: Subscription, at: datetime, doing: str) -> None:
    """Refuse an instant inside what is invoiced: that stays billed. Raises Problem state_conflict."""
    billed = (
        Invoice.objects.of(subscription.tenant)
        .filter(subscription=subscription, kind=Invoice.Kind.PERIOD, period_end__gt=at)
        .exclude(status__in=(Invoice.Status.DRAFT, Invoice.Status.VOID))
        .order_by("-period_end")
        .first()
    )
    if billed is not None:
        raise Problem(
            "state_conflict",
            f"Invoice {billed.number} bills the subscription until {instant_text(billed.period_end)}; {doing} then or "
            "later.",
        )


def _instant(subscription: Subscription, at: datetime | None, is_at_period_end: bool) -> datetime:
    if at is not None and is_at_period_end:
        raise invalid("at", "and the end of the period are two ways to say when; give one.")
    if is_at_period_end:
        return subscription_cycle(subscription).period_at(now()).end
    return at or now()


def _nothing_held(subscription: Subscription, at: datetime) -> Problem:
    return Problem(
        "state_conflict", f"The subscription {subscription.code!r} holds nothing at {instant_text(at)}."
    )


def _is_held(item: SubscriptionItem, at: datetime) -> bool:
    return item.starts_at <= at and (item.ends_at is None or at < item.ends_at)


def _item_held(
    subscription: Subscription, items: Iterable[SubscriptionItem], at: datetime, plan: str | None
) -> SubscriptionItem:
    """The item of the plan at the instant; the only one where none is named."""
    is_over = subscription.ends_at is not None and subscription.ends_at <= at
    held = {each.plan_version.plan.code: each for each in items if not is_over and _is_held(each, at)}
    if not held:
        raise _nothing_held(subscription, at)
    if plan is None and len(held) > 1:
        raise invalid("plan", f"is missing; the subscription holds {', '.join(sorted(held))}.")
    if plan is not None and plan not in held:
        raise invalid("plan", f"{plan!r} is not held then; {', '.join(sorted(held))} is.")
    return held[plan] if plan is not None else next(iter(held.values()))


def _is_rival(one: SubscriptionItem, other: SubscriptionItem) -> bool:
    """Whether only one of them is held at a time: they are of one standalone offering, or of one plan."""
    if one.offering_id != other.offering_id:
        return False
    is_standalone = other.offering.kind == Offering.Kind.STANDALONE
    return is_standalone or one.plan_version.plan_id == other.plan_version.plan_id


def _exchanged(tenant: Tenant, item: SubscriptionItem, plan: str, version: int | None) -> RatePlanVersion:
    if plan != item.plan_version.plan.code and item.offering.kind != Offering.Kind.STANDALONE:
        raise invalid(
            "to_plan", f"is of standalone offerings; {item.offering.code!r} holds all of its plans."
        )
    return version_sold(tenant, item.offering, plan, version)


def _hold(item: SubscriptionItem, at: datetime, version: RatePlanVersion, quantity: Decimal) -> None:
    """Go on from the instant with a version and quantity: with a new stretch, unless it is the same or has just begun."""
    is_same = (item.plan_version_id, item.quantity) == (version.pk, quantity)
    if is_same or item.starts_at == at:
        item.plan_version, item.quantity, item.ends_at = version, quantity, None
        row_save(item)
        return
    item.ends_at = at
    row_save(item)
    _copy(item, at, version, quantity)


def _copy(item: SubscriptionItem, at: datetime, version: RatePlanVersion, quantity: Decimal) -> None:
    _begin(
        item.subscription,
        item.offering,
        [version],
        quantity=quantity,
        starts_at=at,
        trial_ends_at=item.trial_ends_at,
    )
