"""The catalog: products, rate plans, their versions with charges and tiers, and the offerings that customers buy.

Rows are named by the tenant's own codes, a version by its plan's code and its number. What is named and does not
exist, or belongs to another tenant, is a Problem not_found.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import transaction
from django.db.models import Max

from aforo.kernel.clock import now
from aforo.kernel.errors import Problem
from aforo.tenancy.models import Tenant
from aforo.tenancy.services.rows import invalid, placed, row_check, row_save
from metering.selectors.meters import meter_for
from metering.services.meters import meter_freeze

from ..locks import rate_plan_locked
from ..models import Charge, Offering, OfferingPlan, Product, RatePlan, RatePlanVersion, Tier
from ..pricing.tiers import TERMS as TIER_TERMS
from ..selectors.catalog import charge_for, offering_for, product_for, rate_plan_for, version_for
from ..selectors.terms import charge_check, charges_check
from .amounts import amount_check, currency_check

Status = RatePlanVersion.Status
_SET_BY_US = frozenset({"id", "tenant", "version", "meter"})
_COPIED = tuple(field.name for field in Charge._meta.concrete_fields if field.name not in _SET_BY_US)


@transaction.atomic
def product_create(*, tenant: Tenant, code: str, name: str, **fields: Any) -> Product:
    """fields: description, tax_category. Raises Problem input_invalid or already_exists."""
    product = Product(tenant=tenant, code=code, name=name, **fields)
    row_save(product)
    return product


@transaction.atomic
def product_update(*, tenant: Tenant, code: str, **changes: Any) -> Product:
    """Change name, description or tax_category. Raises Problem not_found or input_invalid."""
    product = product_for(tenant, code)
    for field, value in changes.items():
        setattr(product, field, value)
    row_save(product)
    return product


@transaction.atomic
def rate_plan_create(
    *, tenant: Tenant, product: str, code: str, name: str, currency: str | None = None
) -> RatePlan:
    """A price list of a product, as yet without a version.

    currency: the tenant's unless given; every price on the plan is in it.
    Raises Problem input_invalid, already_exists, or not_found for the product.
    """
    plan = RatePlan(
        tenant=tenant,
        product=product_for(tenant, product),
        code=code,
        name=name,
        currency=currency or tenant.currency,
    )
    row_save(plan)
    return plan


@transaction.atomic
def rate_plan_draft(
    *,
    tenant: Tenant,
    product: str,
    code: str,
    name: str,
    currency: str | None = None,
    proration: str | None = None,
    charges: Iterable[Mapping[str, Any]] = (),
) -> RatePlanVersion:
    """A rate plan with its version 1, a draft with these charges; see `rate_plan_create` and `version_draft`."""
    rate_plan_create(tenant=tenant, product=product, code=code, name=name, currency=currency)
    return version_draft(tenant=tenant, plan=code, proration=proration, charges=charges)


@transaction.atomic
def version_draft(
    *,
    tenant: Tenant,
    plan: str,
    proration: str | None = None,
    charges: Iterable[Mapping[str, Any]] | None = None,
) -> RatePlanVersion:
    """The plan's next version, a draft: a copy of the newest published one, or empty where there is none.

    proration: "day" or "second", how a cut period counts; that of the published version, or day.
    charges: these instead of copies; as of `version_replace`.
    Locks the plan. Raises Problem not_found, input_invalid, or state_conflict where the plan has a draft.
    """
    plan_row = rate_plan_locked(tenant, plan)
    draft = plan_row.versions.filter(status=Status.DRAFT).first()
    if draft is not None:
        raise Problem("state_conflict", f"Version {draft.number} is still a draft; change or publish it.")
    copied = plan_row.versions.filter(status=Status.PUBLISHED).first()
    last = plan_row.versions.aggregate(last=Max("number"))["last"] or 0
    version = RatePlanVersion(
        tenant=tenant,
        plan=plan_row,
        number=last + 1,
        proration=proration or (copied.proration if copied else RatePlanVersion.Proration.DAY),
    )
    row_save(version)
    if charges is not None:
        _charges_add(version, charges)
        return version
    for charge in copied.charges.prefetch_related("tiers") if copied else ():
        copy = Charge(
            tenant=tenant,
            version=version,
            meter_id=charge.meter_id,
            **{name: getattr(charge, name) for name in _COPIED},
        )
        _charge_save(
            copy,
            [
                Tier(**{name: getattr(tier, name) for name in ("up_to", *TIER_TERMS)})
                for tier in charge.tiers.all()
            ],
        )
    return version


@transaction.atomic
def version_replace(
    *,
    tenant: Tenant,
    plan: str,
    version: int,
    charges: Iterable[Mapping[str, Any]],
    proration: str | None = None,
) -> RatePlanVersion:
    """Give a draft these charges instead of those it has.

    charges: what `charge_add` takes, one mapping a charge, in the order of the invoice.
    Locks the plan. Raises Problem not_found, input_invalid, or state_conflict where the version is no draft.
    """
    row = _draft(tenant, plan, version)
    row.charges.all().delete()
    if proration is not None:
        row.proration = proration
        row_save(row)
    _charges_add(row, charges)
    return version_for(tenant, plan, version)


@transaction.atomic
def charge_add(*, tenant: Tenant, plan: str, version: int, **charge: Any) -> Charge:
    """Add a priced meter or a fee to a draft.

    charge: code, name, kind ("USAGE" or "FEE"), model, meter (its key), position, tiers (mappings of up_to
    and what the model's tiers have, ascending, the last one open), and the columns of `billing.models.Charge` that the model knows.
    Locks the plan. Raises Problem not_found, already_exists, state_conflict where the version is no draft, or
    input_invalid where the model lacks a column, misses one, or cannot price the tiers.

    charge_add(tenant=t, plan="llm-payg", version=1, code="output", name="Output tokens", model="PER_UNIT",
               meter="llm.output_tokens", unit_price="0.00001", included_units="500000")
    """
    return _charge_add(_draft(tenant, plan, version), **charge)


@transaction.atomic
def charge_update(*, tenant: Tenant, plan: str, version: int, code: str, **changes: Any) -> Charge:
    """Change what is given of a draft's charge; tiers, where given, take the place of those it has.

    changes: as of `charge_add`, save the code. Locks the plan. Raises Problem as `charge_add` does.
    """
    charge = charge_for(_draft(tenant, plan, version), code)
    tiers = changes.pop("tiers", None)
    if "meter" in changes:
        meter = changes.pop("meter")
        charge.meter = meter_for(tenant, meter) if meter else None
    for column, value in changes.items():
        setattr(charge, column, value)
    if tiers is None:
        row_save(charge)
        charge_check(charge)
    else:
        charge.tiers.all().delete()
        _charge_save(charge, [Tier(**tier) for tier in tiers])
    return charge


@transaction.atomic
def charge_remove(*, tenant: Tenant, plan: str, version: int, code: str) -> None:
    """Locks the plan. Raises Problem not_found, or state_conflict where the version is no draft."""
    charge_for(_draft(tenant, plan, version), code).delete()


@transaction.atomic
def version_publish(*, tenant: Tenant, plan: str, version: int) -> RatePlanVersion:
    """Let the version be sold; from now on neither it nor its charges change, and their meters keep their aggregation.

    Locks the plan. Raises Problem not_found, state_conflict where it is no draft, or input_invalid where it has no
    charge, one that its model cannot price, or two that price the same usage.
    """
    row = _draft(tenant, plan, version)
    charges = list(row.charges.select_related("version__plan__product", "meter").prefetch_related("tiers"))
    if not charges:
        raise invalid("charges", "is empty; a published version has at least one.")
    for charge in charges:
        charge_check(charge, charge.tiers.all())
    charges_check(charges)
    for charge in charges:
        if charge.meter_id is not None:
            meter_freeze(tenant=tenant, meter_id=charge.meter_id)
    row.status = Status.PUBLISHED
    row.published_at = now()
    row_save(row)
    return row


@transaction.atomic
def version_archive(*, tenant: Tenant, plan: str, version: int) -> RatePlanVersion:
    """Sell a published version no more; its subscriptions keep it. Archiving twice is archiving once.

    Locks the plan. Raises Problem not_found, or state_conflict where the version is a draft.
    """
    rate_plan_locked(tenant, plan)
    row = version_for(tenant, plan, version)
    if row.status == Status.DRAFT:
        raise Problem("state_conflict", f"Version {version} is a draft; only a published one is archived.")
    row.status = Status.ARCHIVED
    row_save(row)
    return row


@transaction.atomic
def offering_create(
    *,
    tenant: Tenant,
    code: str,
    name: str,
    plans: Sequence[str],
    currency: str | None = None,
    **terms: Any,
) -> Offering:
    """What customers buy: rate plans of one currency, with a billing mode.

    plans: codes, at least one. currency: the plans' own unless given. terms: kind, billing_mode, payment_terms_days,
    interval, alignment, trial_days, setup_fee, as of `billing.models.Offering`.
    Raises Problem input_invalid, already_exists, or not_found for a plan.
    """
    if not plans:
        raise invalid("plans", "is empty; an offering has at least one rate plan.")
    rows = [rate_plan_for(tenant, plan) for plan in dict.fromkeys(plans)]
    offering = Offering(
        tenant=tenant,
        code=code,
        name=name,
        currency=currency or rows[0].currency,
        **terms,
    )
    row_save(offering)
    amount_check(offering.setup_fee, offering.currency, field="setup_fee")
    for row in rows:
        currency_check(offering.currency, row.currency, whose=f"the rate plan {row.code!r}")
        row_save(OfferingPlan(tenant=tenant, offering=offering, plan=row))
    return offering_for(tenant, code)


def _draft(tenant: Tenant, plan: str, number: int) -> RatePlanVersion:
    """The version, to be changed: under the plan's lock, so that nobody publishes it meanwhile."""
    rate_plan_locked(tenant, plan)
    version = version_for(tenant, plan, number)
    if version.status != Status.DRAFT:
        raise Problem(
            "state_conflict",
            f"Version {number} of {plan!r} is {version.status.lower()} and never changes; make a new version.",
        )
    return version


def _charges_add(version: RatePlanVersion, charges: Iterable[Mapping[str, Any]]) -> None:
    for index, charge in enumerate(charges):
        with placed(f"charges[{index}]"):
            _charge_add(version, **{"position": index + 1, **charge})


def _charge_add(
    version: RatePlanVersion,
    *,
    meter: str | None = None,
    tiers: Iterable[Mapping[str, Any]] = (),
    **columns: Any,
) -> Charge:
    charge = Charge(
        tenant=version.tenant,
        version=version,
        meter=meter_for(version.tenant, meter) if meter else None,
        **{"position": version.charges.count() + 1, **columns},
    )
    _charge_save(charge, [Tier(**tier) for tier in tiers])
    return charge


def _charge_save(charge: Charge, tiers: Sequence[Tier]) -> None:
    """Save a charge with its tiers, checked in the order given: sorted, an unordered bound would go unnoticed."""
    row_save(charge)
    for index, tier in enumerate(tiers):
        tier.tenant, tier.charge = charge.tenant, charge
        row_check(tier, exclude=["tenant", "charge"], place=f"tiers[{index}].")
    charge_check(charge, tiers)
    for tier in tiers:
        row_save(tier)
