"""The event log over HTTP."""

from __future__ import annotations

import pytest

from metering.services.profiles import metering_profile_set
from tests.metering.rows import call

from .conftest import Api


@pytest.fixture
def log(api, acme, stored):
    """Two events, one refused and one held."""
    metering_profile_set(tenant=acme.tenant, holds_unknown_metrics=True)
    events = [call("k1"), call("k2"), call("k3", customer_id="nobody"), call("k4", metric="nothing")]
    api.post("/v1/events", events, X_Aforo_Source="kong-test")
    stored()
    return api


def test_the_log_is_searched_page_by_page(log):
    first = log.get("/v1/event-log", limit=3, source="kong-test").json()
    assert len(first["data"]) == 3
    second = log.get(first["next"]).json()

    rows = [*first["data"], *second["data"]]
    assert second["next"] is None
    assert {row["idempotency_key"]: (row["status"], row["quantity"], row["code"]) for row in rows} == {
        "k1": ("accepted", "1", ""),
        "k2": ("accepted", "1", ""),
        "k3": ("refused", None, "customer_unknown"),
        "k4": ("held", None, "metric_unknown"),
    }


def test_the_log_is_followed(log, stored):
    looked = log.get("/v1/event-log/tail").json()
    assert len(looked["data"]) == 4
    log.post("/v1/events", call("k5"))
    stored()

    looked = log.get("/v1/event-log/tail", cursor=looked["cursor"]).json()
    assert [row["idempotency_key"] for row in looked["data"]] == ["k5"]
    assert log.get("/v1/event-log/tail", cursor=looked["cursor"], status="accepted").json()["data"] == []


def test_stored_events_are_listed_by_source_and_lateness(log):
    assert len(log.get("/v1/events", source="kong-test").json()["data"]) == 2
    assert log.get("/v1/events", source="kong").json()["data"] == []
    assert len(log.get("/v1/events", status="accepted").json()["data"]) == 2
    assert log.get("/v1/events", status="late").json()["data"] == []


@pytest.mark.parametrize(
    ("address", "asked"),
    [
        ("/v1/event-log", {"status": "lost"}),
        ("/v1/event-log", {"cursor": "x"}),
        ("/v1/event-log", {"limit": 1000}),
        ("/v1/event-log", {"start": "yesterday"}),
        ("/v1/event-log/tail", {"cursor": "x"}),
        ("/v1/event-log/tail", {"cursor": "x" * 5_000}),
        ("/v1/event-log/tail", {"status": "lost"}),
        ("/v1/events", {"status": "held"}),
    ],
)
def test_a_mistake_is_told(api, address, asked):
    answer = api.get(address, **asked)
    assert (answer.status_code, answer.json()["code"]) == (422, "input_invalid")


def test_another_tenant_sees_nothing(log, other):
    stranger = Api(other.key)
    assert stranger.get("/v1/event-log").json()["data"] == []
    assert stranger.get("/v1/event-log/tail").json()["data"] == []
