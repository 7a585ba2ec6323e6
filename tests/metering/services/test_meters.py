import pytest

from aforo.kernel.errors import Problem
from metering.meters import Filter, Operator
from metering.models import MeterRow
from metering.services.meters import meter_create, meter_freeze, meter_update
from tests.workspaces import workspace

pytestmark = pytest.mark.django_db


@pytest.fixture
def tenant():
    return workspace().tenant


def refused(call, **terms):
    with pytest.raises(Problem) as caught:
        call(**terms)
    return caught.value


def test_a_meter_is_made_of_its_terms(tenant):
    made = meter_create(
        tenant=tenant,
        key="llm.input_tokens",
        event_name="llm.completion",
        aggregation="SUM",
        value_property="input_tokens",
        filters=[{"field": "status", "operator": "IN", "value": [200, "201"]}],
        group_by=["model"],
    )

    assert made.meter().filters == (Filter("status", Operator.IN, (200, "201")),)
    assert MeterRow.objects.get(pk=made.pk).meter() == made.meter()


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"aggregation": "MEDIAN"}, "aggregation"),
        ({"key": ""}, "key"),
        ({"key": "k" * 129}, "key"),
        ({"group_by": [f"d{number}" for number in range(9)]}, "group_by"),
        ({"group_by": ["model", "model"]}, "group_by"),
        ({"group_by": [""]}, "group_by"),
        ({"filters": "status"}, "filters"),
        ({"filters": [{"field": "status", "operator": "LIKE", "value": "x"}]}, "filters"),
        ({"filters": [{"field": "status", "operator": "IN", "value": "x"}]}, "filters"),
        ({"filters": [{"field": "status", "operator": "EQUALS", "value": 0.5}]}, "filters"),
        ({"filters": [{"field": "status", "operator": "EQUALS", "value": {"a": 1}}]}, "filters"),
        ({"filters": [{"field": "status", "operator": "EQUALS", "value": "a\0"}]}, "filters"),
        ({"filters": [{"field": "status", "operator": "EQUALS", "value": 1, "or": 2}]}, "row"),
    ],
)
def test_wrong_terms_are_named_and_nothing_is_made(tenant, terms, field):
    problem = refused(meter_create, **{"tenant": tenant, "key": "new", "aggregation": "SUM", **terms})

    assert problem.code == "input_invalid"
    assert list(problem.facts["errors"]) == [field]
    assert MeterRow.objects.count() == 1


def test_a_key_is_taken_once_a_tenant(tenant):
    assert refused(meter_create, tenant=tenant, key="api.call").code == "already_exists"
    assert meter_create(tenant=workspace("other").tenant, key="new").key == "new"


def test_a_published_charge_freezes_what_it_prices(tenant):
    meter_update(tenant=tenant, key="api.call", aggregation="SUM")
    row = MeterRow.objects.get(key="api.call")
    meter_freeze(tenant=tenant, meter_id=row.pk)

    problem = refused(meter_update, tenant=tenant, key="api.call", aggregation="MAX", value_property="bytes")
    assert problem.code == "state_conflict"
    assert problem.facts["frozen"] == ["aggregation", "value_property"]
    changed = meter_update(tenant=tenant, key="api.call", aggregation="SUM", unit="call", group_by=["region"])
    assert (changed.aggregation, changed.unit, changed.group_by) == ("SUM", "call", ["region"])


def test_freezing_again_keeps_the_first_time_and_another_tenants_meter_is_not_touched(tenant):
    row = MeterRow.objects.get(key="api.call")
    meter_freeze(tenant=workspace("other").tenant, meter_id=row.pk)
    row.refresh_from_db()
    assert row.frozen_at is None

    meter_freeze(tenant=tenant, meter_id=row.pk)
    row.refresh_from_db()
    first = row.frozen_at
    meter_freeze(tenant=tenant, meter_id=row.pk)
    row.refresh_from_db()
    assert row.frozen_at == first is not None


def test_another_tenants_meter_is_not_found(tenant):
    other = workspace("other").tenant
    meter_create(tenant=other, key="theirs")

    assert refused(meter_update, tenant=tenant, key="theirs", unit="x").code == "not_found"
