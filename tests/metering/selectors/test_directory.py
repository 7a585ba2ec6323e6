"""The directory: what is known is answered from memory, and nothing is refused before PostgreSQL was asked."""

import time

import pytest

from metering.aggregation import Aggregation
from metering.selectors import directory
from metering.selectors.directory import directory_for
from tests.workspaces import customer, meter, workspace

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme():
    return workspace()


def test_meters_are_found_by_the_event_they_listen_to(acme):
    tokens = meter(acme.tenant, "llm.input_tokens", "SUM", event_name="llm.completion", group_by=["model"])
    meter(acme.tenant, "llm.calls", "COUNT", event_name="llm.completion")

    found = directory_for(acme.tenant.pk).meters_for("llm.completion")

    assert [(one.key, one.aggregation) for one in found] == [
        ("llm.input_tokens", Aggregation.SUM),
        ("llm.calls", Aggregation.COUNT),
    ]
    assert found[0].id == tokens.pk
    assert found[0].group_by == ("model",)
    assert directory_for(acme.tenant.pk).meters_for("llm.input_tokens") == ()


def test_what_was_made_a_moment_ago_is_known_to_the_next_submission(acme):
    before = directory_for(acme.tenant.pk)
    assert before.customer("cust_new") is None
    assert before.meters_for("new") == ()

    made = customer(acme.tenant, "cust_new")
    meter(acme.tenant, "new")
    after = directory_for(acme.tenant.pk)

    assert after.customer("cust_new").id == made.pk
    assert [one.key for one in after.meters_for("new")] == ["new"]


def test_a_changed_meter_counts_within_a_second(acme, monkeypatch):
    assert directory_for(acme.tenant.pk).meters_for("api.call")[0].filters == ()
    acme.meter.filters = [{"field": "status", "operator": "LESS_THAN", "value": 500}]
    acme.meter.save()

    later = time.monotonic() + 1
    monkeypatch.setattr(time, "monotonic", lambda: later)

    assert directory_for(acme.tenant.pk).meters_for("api.call")[0].filters[0].value == 500


def test_an_unknown_name_costs_one_query_however_often_it_comes(acme, django_assert_num_queries):
    asked = directory_for(acme.tenant.pk)
    asked.customer("cust_abc")
    asked.meters_for("api.call")

    with django_assert_num_queries(1):
        for _ in range(100):
            assert asked.customer("nobody") is None
    with django_assert_num_queries(0):
        for _ in range(100):
            asked.customer("cust_abc")
            asked.meters_for("api.call")
            assert asked.meters_for("nothing") == ()


def test_the_customers_of_a_batch_are_looked_up_at_once(acme, django_assert_num_queries):
    made = customer(acme.tenant, "cust_1")
    names = [f"cust_{number}" for number in range(100)]
    asked = directory_for(acme.tenant.pk)

    with django_assert_num_queries(1):
        asked.customers_expect(names)
        found = [asked.customer(name) for name in names]
        asked.customers_expect(names)

    assert [ref.id for ref in found if ref is not None] == [made.pk]
    assert found[1].external_id == "cust_1"


def test_tenants_do_not_see_each_other(acme):
    other = workspace("other")
    customer(other.tenant, "cust_of_other")
    meter(other.tenant, "metric.of.other")

    assert directory_for(acme.tenant.pk).customer("cust_of_other") is None
    assert directory_for(acme.tenant.pk).meters_for("metric.of.other") == ()
    assert directory_for(acme.tenant.pk).customer("cust_abc").id == acme.customer.pk
    assert directory_for(other.tenant.pk).customer("cust_abc").id == other.customer.pk


def test_memory_is_bounded(acme, monkeypatch):
    monkeypatch.setattr(directory, "CUSTOMERS_KEPT_MAX", 2)
    for number in range(5):
        made = customer(acme.tenant, f"cust_{number}")
        assert directory_for(acme.tenant.pk).customer(f"cust_{number}").id == made.pk

    assert len(directory._customers) <= 2
