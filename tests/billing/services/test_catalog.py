"""The catalog's services: what is published never changes, and what no model can price is never saved."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction

from aforo.kernel.errors import Problem
from billing.models import Charge, RatePlanVersion, Tier
from billing.selectors.catalog import version_for, version_on_sale
from billing.selectors.terms import version_charges
from billing.services.catalog import (
    charge_add,
    charge_remove,
    offering_create,
    product_create,
    rate_plan_create,
    version_archive,
    version_draft,
    version_publish,
    version_replace,
)
from metering.services.meters import meter_update
from tests import workspaces

pytestmark = pytest.mark.django_db

TIERS = (
    {"up_to": "1000", "unit_price": "0.010"},
    {"up_to": "10000", "unit_price": "0.008"},
    {"up_to": None, "unit_price": "0.005"},
)


@pytest.fixture
def shop() -> workspaces.Workspace:
    """A workspace with the plan `calls` of the product `api`, and its first version as a draft."""
    made = workspaces.workspace()
    product_create(tenant=made.tenant, code="api", name="API")
    rate_plan_create(tenant=made.tenant, product="api", code="calls", name="Calls")
    version_draft(tenant=made.tenant, plan="calls")
    return made


def graduated(shop, tiers=TIERS, **changes) -> Charge:
    columns = {
        "code": "calls",
        "name": "Calls",
        "model": "GRADUATED",
        "meter": "api.call",
        "tiers": tiers,
        **changes,
    }
    return charge_add(tenant=shop.tenant, plan="calls", version=1, **columns)


def refused(call, *args, **kwargs) -> Problem:
    with pytest.raises(Problem) as caught:
        call(*args, **kwargs)
    return caught.value


@pytest.mark.promise("P54")
def test_a_plan_is_drafted_published_and_archived_and_a_change_is_a_new_version(shop):
    graduated(shop)
    first = version_publish(tenant=shop.tenant, plan="calls", version=1)
    assert (first.status, first.published_at is not None) == ("PUBLISHED", True)

    second = version_draft(tenant=shop.tenant, plan="calls")
    assert (second.number, second.status) == (2, "DRAFT")
    copied = second.charges.get()
    assert [(tier.up_to, tier.unit_price) for tier in copied.tiers.all()] == [
        (Decimal(1000), Decimal("0.010")),
        (Decimal(10000), Decimal("0.008")),
        (None, Decimal("0.005")),
    ]
    assert version_on_sale(shop.tenant, "calls").number == 1

    version_publish(tenant=shop.tenant, plan="calls", version=2)
    assert version_on_sale(shop.tenant, "calls").number == 2
    version_archive(tenant=shop.tenant, plan="calls", version=2)
    assert version_archive(tenant=shop.tenant, plan="calls", version=2).status == "ARCHIVED"
    assert version_on_sale(shop.tenant, "calls").number == 1


def test_the_copy_is_equal_in_every_column_and_has_rows_of_its_own(shop):
    graduated(shop, included_units="100", quota_units="5000", over_quota="BLOCK", minimum_amount="5")
    charge_add(
        tenant=shop.tenant,
        plan="calls",
        version=1,
        code="base",
        name="Base",
        kind="FEE",
        model="FLAT_RATE",
        amount="49.09",
    )
    version_publish(tenant=shop.tenant, plan="calls", version=1)
    version_draft(tenant=shop.tenant, plan="calls")

    own = {"id", "version_id"}
    first, second = (
        [
            {name: value for name, value in row.items() if name not in own}
            for row in Charge.objects.filter(version__number=number).values()
        ]
        for number in (1, 2)
    )
    assert first == second
    assert len(first) == 2


def test_a_copied_tier_keeps_its_percentage_and_its_cap(shop):
    shares = (
        {"up_to": "1000", "percent": "3", "flat_fee": "5", "cap": "20"},
        {"up_to": None, "percent": "2"},
    )
    graduated(shop, model="GRADUATED_PERCENTAGE", tiers=shares)
    version_publish(tenant=shop.tenant, plan="calls", version=1)
    version_draft(tenant=shop.tenant, plan="calls")

    tiers = Tier.objects.filter(charge__version__number=2)
    assert [(tier.percent, tier.flat_fee, tier.cap) for tier in tiers] == [
        (Decimal(3), Decimal(5), Decimal(20)),
        (Decimal(2), Decimal(0), None),
    ]


def test_a_plan_has_one_draft_at_a_time(shop):
    problem = refused(version_draft, tenant=shop.tenant, plan="calls")
    assert (problem.code, "Version 1 is still a draft" in problem.detail) == ("state_conflict", True)


@pytest.mark.promise("P54")
def test_a_published_version_refuses_every_service(shop):
    graduated(shop)
    version_publish(tenant=shop.tenant, plan="calls", version=1)

    for call in (
        lambda: graduated(shop, code="more"),
        lambda: charge_remove(tenant=shop.tenant, plan="calls", version=1, code="calls"),
        lambda: version_replace(tenant=shop.tenant, plan="calls", version=1, charges=[]),
        lambda: version_publish(tenant=shop.tenant, plan="calls", version=1),
    ):
        assert refused(call).code == "state_conflict"


@pytest.mark.promise("P54")
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE billing_tier SET unit_price = 9 WHERE up_to IS NULL",
        "DELETE FROM billing_tier",
        "UPDATE billing_charge SET name = 'other'",
        "DELETE FROM billing_charge",
        "UPDATE billing_rateplanversion SET status = 'DRAFT'",
        "UPDATE billing_rateplanversion SET number = 7",
        "DELETE FROM billing_rateplanversion",
        "INSERT INTO billing_tier SELECT gen_random_uuid(), 2000, unit_price, flat_fee, charge_id, tenant_id"
        " FROM billing_tier WHERE up_to IS NULL",
        "UPDATE metering_meter SET aggregation = 'SUM'",
        "UPDATE metering_meter SET value_property = 'bytes'",
    ],
)
def test_the_database_refuses_what_no_service_would_do(shop, statement):
    graduated(shop)
    version_publish(tenant=shop.tenant, plan="calls", version=1)

    with (
        pytest.raises(IntegrityError, match="published"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)


def test_what_does_not_price_stays_editable_after_publication(shop):
    graduated(shop)
    version_publish(tenant=shop.tenant, plan="calls", version=1)
    shop.meter.refresh_from_db()
    assert shop.meter.frozen_at is not None

    shop.meter.name = "Calls to the API"
    shop.meter.save()
    shop.meter.refresh_from_db()
    assert shop.meter.name == "Calls to the API"


@pytest.mark.parametrize(
    ("tiers", "field"),
    [
        # Units above 10,000 would have no price.
        (TIERS[:2], "tiers[1].up_to"),
        # Unordered: sorted by the database it would look fine.
        ((TIERS[1], TIERS[0], TIERS[2]), "tiers[1].up_to"),
        # The same bound twice: the second tier is empty.
        ((TIERS[0], TIERS[0], TIERS[2]), "tiers[1].up_to"),
        # Open before the end: the tiers overlap.
        ((TIERS[2], TIERS[0]), "tiers[0].up_to"),
        (({"up_to": "0", "unit_price": "1"}, TIERS[2]), "tiers[0].up_to"),
        (({"up_to": None, "unit_price": "-0.01"},), "tiers[0].unit_price"),
        (({"up_to": None, "unit_price": "0.0000000000001"},), "tiers[0].unit_price"),
        ((), "tiers"),
    ],
)
def test_tiers_that_leave_a_unit_without_one_price_are_never_saved(shop, tiers, field):
    problem = refused(graduated, shop, tiers=tiers)

    assert problem.code == "input_invalid"
    assert list(problem.facts["errors"]) == [field]
    assert not Charge.objects.exists()
    assert not Tier.objects.exists()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"unit_price": "1"}, "unit_price"),
        ({"included_units": "-1"}, "included_units"),
        ({"model": "PER_UNIT", "tiers": ()}, "unit_price"),
        ({"model": "CHEAP"}, "model"),
        ({"model": "INCLUDED_QUOTA", "tiers": (), "unit_price": "1", "block_size": "0"}, "block_size"),
        ({"model": "DYNAMIC", "tiers": ()}, "meter"),  # api.call counts
        ({"model": "STAIRSTEP"}, "tiers[0].unit_price"),
        ({"model": "PACKAGE", "tiers": (), "package_price": "1"}, "package_size"),
        ({"rollover_percent": "50"}, "rollover_periods"),
        ({"rollover_periods": 1}, "rollover_periods"),
        ({"included_units": "10", "rollover_periods": 1, "rollover_percent": "101"}, "rollover_percent"),
        ({"quota_units": "-1"}, "quota_units"),
        ({"dimension_filters": {"model": "gpt-4o"}}, "dimension_filters"),
        ({"minimum_amount": "2", "maximum_amount": "1"}, "minimum_amount"),
        ({"minimum_amount": "-1"}, "minimum_amount"),
        ({"minimum_amount": "0.005"}, "minimum_amount"),
        ({"meter": None}, "row"),
        ({"kind": "FEE"}, "row"),
        ({"name": ""}, "name"),
        ({"code": "two words"}, "code"),
    ],
)
def test_columns_that_the_charge_cannot_have_are_refused_by_name(shop, changes, field):
    problem = refused(graduated, shop, **changes)

    assert (problem.code, list(problem.facts["errors"])) == ("input_invalid", [field])
    assert not Charge.objects.exists()


def test_an_unknown_meter_and_another_tenants_are_alike(shop):
    other = workspaces.workspace("other")
    workspaces.meter(other.tenant, "theirs")

    assert refused(graduated, shop, meter="theirs").code == "not_found"
    assert refused(graduated, shop, meter="nobody.knows").code == "not_found"


def test_a_price_per_dimension_names_a_dimension_of_the_meter(shop):
    workspaces.meter(shop.tenant, "tokens", "SUM", group_by=["model"])

    charge = graduated(shop, meter="tokens", dimension_filters={"model": "gpt-4o"})

    assert charge.dimension_filters == {"model": "gpt-4o"}


def test_two_prices_of_the_same_usage_are_not_published(shop):
    workspaces.meter(shop.tenant, "tokens", "SUM", group_by=["model", "region"])
    of = {"tenant": shop.tenant, "plan": "calls", "version": 1}
    price = {"name": "Tokens", "model": "PER_UNIT", "meter": "tokens", "unit_price": "1"}
    charge_add(**of, code="large", dimension_filters={"model": "large"}, **price)
    charge_add(**of, code="eu", dimension_filters={"region": "eu"}, **price)
    assert refused(version_publish, **of).detail == (
        "dimension_filters: 'large' and 'eu' would both price usage of 'tokens' with model 'large', region 'eu'; add a "
        "charge for that, or give one of them a filter more."
    )
    charge_add(**of, code="large-eu", dimension_filters={"model": "large", "region": "eu"}, **price)
    version = version_publish(**of)
    large = next(each for each in version_charges(version) if each.code == "large")
    assert large.excludes == ((("model", "large"), ("region", "eu")),)


def test_an_empty_version_is_not_published(shop):
    assert refused(version_publish, tenant=shop.tenant, plan="calls", version=1).code == "input_invalid"


def test_a_charge_edited_past_the_services_is_checked_at_publication(shop):
    charge = graduated(shop)
    charge.tiers.filter(up_to=None).delete()

    problem = refused(version_publish, tenant=shop.tenant, plan="calls", version=1)

    assert list(problem.facts["errors"]) == ["tiers[1].up_to"]
    assert RatePlanVersion.objects.get().status == "DRAFT"


def test_replacing_a_drafts_charges_leaves_no_others(shop):
    graduated(shop)
    version_replace(
        tenant=shop.tenant,
        plan="calls",
        version=1,
        proration="second",
        charges=[{"code": "base", "name": "Base", "kind": "FEE", "model": "FLAT_RATE", "amount": "499"}],
    )

    version = version_for(shop.tenant, "calls", 1)
    assert [charge.code for charge in version.charges.all()] == ["base"]
    assert version.proration == "second"


def test_codes_are_the_tenants_own(shop):
    other = workspaces.workspace("other")

    product_create(tenant=other.tenant, code="api", name="Theirs")

    assert refused(product_create, tenant=shop.tenant, code="api", name="Again").code == "already_exists"


def test_an_offering_holds_plans_of_one_currency(shop):
    rate_plan_create(tenant=shop.tenant, product="api", code="euros", name="Euros", currency="EUR")

    problem = refused(
        offering_create, tenant=shop.tenant, code="mixed", name="Mixed", plans=["calls", "euros"]
    )
    assert (problem.code, list(problem.facts["errors"])) == ("input_invalid", ["currency"])

    offering = offering_create(tenant=shop.tenant, code="eu", name="Europe", plans=["euros"])
    assert offering.currency == "EUR"


def test_publishing_freezes_the_meters_that_the_charges_price(shop):
    graduated(shop)
    assert shop.meter.frozen_at is None

    version_publish(tenant=shop.tenant, plan="calls", version=1)

    assert (
        refused(meter_update, tenant=shop.tenant, key="api.call", aggregation="MAX").code == "state_conflict"
    )
