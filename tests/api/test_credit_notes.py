"""Credit notes over HTTP: drafted, issued, applied, listed, refused."""

from __future__ import annotations

from decimal import Decimal

import pytest

from billing.models import TaxRate
from tests.billing.builders import a_fee, a_subscription, issued

pytestmark = pytest.mark.django_db


@pytest.fixture
def invoice(acme):
    """100.00 and 19 % tax."""
    TaxRate.objects.create(
        tenant=acme.tenant, jurisdiction="DE", name="VAT", percent=Decimal(19), starts_on="2026-01-01"
    )
    acme.customer.tax_jurisdiction = "DE"
    acme.customer.save()
    return issued(a_subscription(acme.customer, a_fee()))


def test_from_draft_to_applied(api, invoice):
    body = {"invoice": "INV-000001", "reason": "An outage.", "lines": [{"position": 1, "amount": "40.00"}]}
    first = api.post("/v1/credit-notes", body, Idempotency_Key="credit-1")
    again = api.post("/v1/credit-notes", body, Idempotency_Key="credit-1")
    assert (first.status_code, again.json()["id"]) == (201, first.json()["id"])
    draft = first.json()
    assert (draft["status"], draft["number"], draft["total"]) == ("DRAFT", None, "47.60")

    note = api.post(f"/v1/credit-notes/{draft['id']}/issue").json()
    assert (note["status"], note["number"], note["due_amount"]) == ("APPLIED", "CN-000001", "47.60")
    assert [(each["code"], each["amount"]) for each in note["lines"]] == [("base", "40.00")]
    assert note["taxes"] == [{"jurisdiction": "DE", "name": "VAT", "amount": "7.60"}]
    # All of it is off the invoice's due amount: there is nothing to apply.
    assert api.post(f"/v1/credit-notes/{draft['id']}/apply").json() == note

    (listed,) = api.get("/v1/credit-notes", invoice="INV-000001", status="APPLIED").json()["data"]
    assert listed == note
    assert api.get("/v1/credit-notes", customer="cust_other").json()["data"] == []


def test_a_draft_can_be_dropped_and_an_issued_one_not(api, invoice):
    draft = api.post("/v1/credit-notes", {"invoice": "INV-000001", "reason": "All of it."}).json()
    assert (
        api._send("delete", f"/v1/credit-notes/{draft['id']}", None, "application/json", {}).status_code
        == 204
    )
    note = api.post("/v1/credit-notes", {"invoice": "INV-000001", "reason": "All of it."}).json()
    api.post(f"/v1/credit-notes/{note['id']}/issue")
    refused = api._send("delete", f"/v1/credit-notes/{note['id']}", None, "application/json", {})
    assert (refused.status_code, refused.json()["code"]) == (409, "state_conflict")


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"invoice": "INV-000009", "reason": "x"}, 404, "No invoice 'INV-000009'."),
        ({"invoice": "INV-000001"}, 422, "reason"),
        ({"invoice": "INV-000001", "reason": "x", "lines": []}, 422, "lines"),
        ({"invoice": "INV-000001", "reason": "x", "lines": [{"position": 1}]}, 422, "amount"),
        (
            {"invoice": "INV-000001", "reason": "x", "lines": [{"position": 1, "amount": "100.01"}]},
            422,
            "lines[1] is 100.01; up to 100 can be given back of it.",
        ),
        ({"invoice": "INV-000001", "reason": "x", "amount": "5"}, 422, "not known here"),
    ],
)
def test_what_cannot_be_given_back_says_why(api, invoice, body, status, said):
    answer = api.post("/v1/credit-notes", body)
    assert answer.status_code == status, answer.content
    assert said in answer.content.decode()


def test_nothing_is_applied_of_a_draft(api, invoice):
    draft = api.post("/v1/credit-notes", {"invoice": "INV-000001", "reason": "x"}).json()
    refused = api.post(f"/v1/credit-notes/{draft['id']}/apply")
    assert (refused.status_code, refused.json()["detail"]) == (
        409,
        "A draft is issued first; until then it gives nothing back.",
    )
