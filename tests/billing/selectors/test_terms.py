from decimal import Decimal

import pytest

from billing.models import Charge
from billing.pipeline.state import Rollover
from billing.pricing.terms import Terms, Tier
from billing.selectors.terms import charge_terms, charge_value
from metering.aggregation import Aggregation
from tests.billing.builders import a_subscription, a_tenant
from tests.workspaces import customer, meter

pytestmark = pytest.mark.django_db


def stored(**columns):
    tenant = a_tenant()
    columns = {"code": "calls", "model": "PER_UNIT", "unit_price": Decimal("0.01"), **columns}
    a_subscription(customer(tenant), {"meter": meter(tenant, unit="call"), **columns})
    return Charge.objects.get()


def test_a_row_becomes_terms_with_the_tiers_in_order():
    row = stored(
        model="GRADUATED",
        unit_price=None,
        tiers=[(None, Decimal("0.005")), (Decimal(1000), Decimal("0.010"))],
    )
    assert charge_terms(row) == Terms(
        model="GRADUATED",
        tiers=(
            Tier(up_to=Decimal(1000), unit_price=Decimal("0.010")),
            Tier(up_to=None, unit_price=Decimal("0.005")),
        ),
    )


def test_a_usage_charge_names_its_meter():
    value = charge_value(stored(dimension_filters={"region": "eu", "model": "gpt-4o"}))
    assert (value.meter, value.aggregation, value.unit) == ("api.call", Aggregation.COUNT, "call")
    assert value.filters == (("model", "gpt-4o"), ("region", "eu"))
    assert value.product == "api"


def test_rollover_without_a_percent_takes_all_of_it_over():
    value = charge_value(stored(rollover_periods=2, rollover_units_max=300))
    assert value.rollover == Rollover(periods=2, percent=Decimal(100), units_max=Decimal(300))


def test_no_periods_no_rollover():
    value = charge_value(stored())
    assert value.rollover is None
