"""Events over HTTP, from the call to the stored row."""

import pytest

CALL = {"event": "api.call", "endpoint": "/v1/search", "customer_id": "cust_abc"}


@pytest.mark.promise("P10")
def test_the_quick_start_as_it_is_printed(api, acme, stored):
    answer = api.post(
        "/v1/events",
        b'{"event":"api.call","endpoint":"/v1/search","customer_id":"cust_abc"}',
        # What `curl -d` sends.
        content_type="application/x-www-form-urlencoded",
        X_Tenant_Id="acme_corp",
    )

    assert answer.status_code == 202
    assert answer["Aforo-Durability"] == "log"
    (row,) = answer.json()["events"]
    assert answer.json() == {"accepted": 1, "duplicates": 0, "rejected": 0, "failed": 0, "events": [row]}
    assert row["status"] == "accepted"

    assert api.get(f"/v1/events/{row['idempotency_key']}").status_code == 404
    stored()
    state = api.get(f"/v1/events/{row['idempotency_key']}").json()
    assert state["status"] == "stored"
    assert state["event"]["metric"] == "api.call"
    assert state["event"]["customer_id"] == "cust_abc"
    assert state["event"]["quantity"] == "1"
    assert state["event"]["properties"] == {"endpoint": "/v1/search"}
    assert state["event"]["source"] == "rest"
    assert state["event"]["timestamp"] == state["event"]["received_at"]
    assert [step["step"] for step in state["steps"]] == [
        "validate",
        "deduplicate",
        "enrich",
        "route",
        "aggregate",
    ]
    assert state["steps"][3] == {"step": "route", "outcome": "routed", "detail": "api.call"}
