"""The doors to the catalog; each asks for the tenant, and names rows by the tenant's own codes."""

from __future__ import annotations

from django.db.models import QuerySet

from aforo.kernel.errors import Problem
from aforo.tenancy.models import Tenant
from aforo.tenancy.selectors.rows import found, given

from ..models import Charge, Offering, Product, RatePlan, RatePlanVersion


def products_for(tenant: Tenant) -> QuerySet[Product]:
    return Product.objects.of(tenant)


def product_for(tenant: Tenant, code: str) -> Product:
    """Raises Problem not_found."""
    return found(products_for(tenant), code=code)


def rate_plans_for(tenant: Tenant) -> QuerySet[RatePlan]:
    return RatePlan.objects.of(tenant)


def rate_plans_listed(tenant: Tenant, *, product: str | None = None) -> QuerySet[RatePlan]:
    """product: its code. With product, versions, charges, meters and tiers: five queries for any number of plans."""
    return (
        rate_plans_for(tenant)
        .filter(**given(product__code=product))
        .select_related("product")
        .prefetch_related("versions__charges__meter", "versions__charges__tiers")
    )


def rate_plan_for(tenant: Tenant, code: str) -> RatePlan:
    """Without its versions. Raises Problem not_found."""
    return found(rate_plans_for(tenant).select_related("product"), code=code)


def rate_plan_in_full(tenant: Tenant, code: str) -> RatePlan:
    """With product, versions, charges, meters and tiers. Raises Problem not_found."""
    return found(rate_plans_listed(tenant), code=code)


def versions_for(tenant: Tenant, plan: str) -> QuerySet[RatePlanVersion]:
    """A plan's versions, newest first. Raises Problem not_found for the plan."""
    return (
        rate_plan_for(tenant, plan)
        .versions.select_related("plan__product")
        .prefetch_related("charges__meter", "charges__tiers")
    )


def version_for(tenant: Tenant, plan: str, number: int) -> RatePlanVersion:
    """Raises Problem not_found."""
    return found(versions_for(tenant, plan), number=number)


def version_before(version: RatePlanVersion) -> RatePlanVersion | None:
    """The plan's version before it; None for the first."""
    return versions_for(version.tenant, version.plan.code).filter(number__lt=version.number).first()


def version_on_sale(tenant: Tenant, plan: str) -> RatePlanVersion:
    """The plan's newest published version: what a new subscription gets.

    Raises Problem not_found for the plan, state_conflict where none of its versions is published.
    """
    version = versions_for(tenant, plan).filter(status=RatePlanVersion.Status.PUBLISHED).first()
    if version is None:
        raise Problem("state_conflict", f"The rate plan {plan!r} has no published version.")
    return version


def charge_for(version: RatePlanVersion, code: str) -> Charge:
    """Raises Problem not_found."""
    return found(version.charges.all(), code=code)


def offerings_for(tenant: Tenant) -> QuerySet[Offering]:
    return Offering.objects.of(tenant).prefetch_related("plans__plan")


def offering_for(tenant: Tenant, code: str) -> Offering:
    """Raises Problem not_found."""
    return found(offerings_for(tenant), code=code)
