"""Invoices over HTTP."""

from __future__ import annotations

import pytest

from aforo.kernel.clock import clock_at
from billing.models import Invoice
from billing.schemas.invoices import (
    InvoiceLineSerializer,
    InvoiceSerializer,
    InvoiceSummarySerializer,
    InvoiceTaxSerializer,
    InvoiceTierSerializer,
    StageSerializer,
    TraceSerializer,
)
from tests.api.conftest import Api
from tests.billing.builders import APRIL_2, a_fee, a_subscription, demo_subscription, drafted, issued
from tests.workspaces import customer

pytestmark = pytest.mark.django_db

NOBODYS = "0195a3c2-7f2a-7c4b-9d1e-3b5f7a9c1d2e"


@pytest.fixture
def invoice(acme):
    return issued(demo_subscription(acme.tenant, "cust_llm"))


def test_an_invoice_is_read_by_number_or_id(api, invoice):
    body = api.get("/v1/invoices/INV-000001").json()
    assert body == api.get(f"/v1/invoices/{invoice.pk}").json()
    assert {name: body[name] for name in ("subtotal", "discount", "tax", "total", "due_amount")} == {
        "subtotal": "135.70",
        "discount": "-6.79",
        "tax": "11.44",
        "total": "140.35",
        "due_amount": "140.35",
    }
    assert (body["status"], body["customer"], body["due_on"]) == ("OPEN", "cust_llm", "2026-05-02")
    assert [(line["code"], line["quantity"], line["amount"]) for line in body["lines"]] == [
        ("base", "1", "49.09"),
        ("input", "22361870", "49.72"),
        ("output", "4088665", "35.89"),
        ("requests", "19366", "1.00"),
        ("welcome", None, "-6.79"),
    ]
    assert body["lines"][1]["tiers"][1] == {
        "tier": 2,
        "quantity": "12361870",
        "unit_price": "0.000002",
        "flat_fee": "0",
        "amount": "24.72374",
    }
    assert body["taxes"] == [
        {
            "jurisdiction": "US-NY",
            "name": "Sales tax",
            "percent": "8.875",
            "is_inclusive": False,
            "taxable_amount": "128.91",
            "amount": "11.44",
            "treatment": None,
            "note": None,
        }
    ]


def test_the_description_names_the_members_of_the_answers(api, invoice):
    body = api.get("/v1/invoices/INV-000001").json()
    assert list(body) == list(InvoiceSerializer().fields)
    assert list(body["lines"][1]) == list(InvoiceLineSerializer().fields)
    assert list(body["lines"][1]["tiers"][0]) == list(InvoiceTierSerializer().fields)
    assert list(body["taxes"][0]) == list(InvoiceTaxSerializer().fields)
    assert list(api.get("/v1/invoices").json()["data"][0]) == list(InvoiceSummarySerializer().fields)
    trace = api.get("/v1/invoices/INV-000001/trace").json()
    assert list(trace) == list(TraceSerializer().fields)
    assert list(trace["stages"][4]) == list(StageSerializer().fields)


@pytest.mark.promise("P50")
def test_the_trace_explains_every_figure(api, invoice):
    trace = api.get("/v1/invoices/INV-000001/trace").json()
    assert [stage["stage"] for stage in trace["stages"]][:3] == ["quota", "rollover", "aggregation"]
    assert len(trace["stages"]) == 10
    (tax,) = next(stage for stage in trace["stages"] if stage["stage"] == "tax")["explanations"]
    assert tax["sentence"] == "Sales tax: 8.875 % of 128.91 is 11.44."
    assert tax["facts"] == {"name": "Sales tax", "percent": "8.875", "taxable": "128.91", "amount": "11.44"}


def test_the_page_is_html_in_the_asked_locale(api, invoice):
    answer = api.get("/v1/invoices/INV-000001/html", locale="de")
    assert answer["Content-Type"].startswith("text/html")
    assert "140,35" in answer.content.decode()
    assert "140.35" in api.get("/v1/invoices/INV-000001/html", locale="nonsense").content.decode()


def test_invoices_are_listed_and_filtered(api, acme, invoice):
    drafted(a_subscription(acme.customer, a_fee(), code="sub_2"))
    everything = api.get("/v1/invoices").json()
    assert [row["customer"] for row in everything["data"]] == ["cust_abc", "cust_llm"]
    for query, expected in (
        ({"customer": "cust_llm"}, ["cust_llm"]),
        ({"customer": "cust_z"}, []),
        ({"status": "DRAFT"}, ["cust_abc"]),
        ({"period": "2026-03"}, ["cust_abc", "cust_llm"]),
        ({"period": "2026-02"}, []),
    ):
        assert [row["customer"] for row in api.get("/v1/invoices", **query).json()["data"]] == expected


def test_a_list_is_walked_by_its_cursor(api, acme):
    for number in range(3):
        drafted(a_subscription(customer(acme.tenant, f"cust_{number}"), a_fee(), code=f"sub_{number}"))
    page = api.get("/v1/invoices", limit=2).json()
    rest = api.get(page["next"]).json()
    names = [row["customer"] for row in page["data"] + rest["data"]]
    assert (sorted(names), rest["next"]) == (["cust_0", "cust_1", "cust_2"], None)


@pytest.mark.parametrize(
    "query", [{"status": "GONE"}, {"period": "March"}, {"limit": 0}, {"limit": 201}, {"colour": "red"}]
)
def test_a_wrong_filter_is_told(api, query):
    answer = api.get("/v1/invoices", **query)
    assert (answer.status_code, answer.json()["code"]) == (422, "input_invalid")


def test_a_draft_is_issued_once(api, acme):
    draft = drafted(a_subscription(acme.customer, a_fee()))
    with clock_at(APRIL_2):
        first = api.post(f"/v1/invoices/{draft.pk}/issue").json()
        again = api.post("/v1/invoices/INV-000001/issue").json()
    assert first == again
    assert (first["number"], first["status"], first["issued_at"]) == (
        "INV-000001",
        "OPEN",
        "2026-04-02T09:00:00Z",
    )


def test_a_preview_is_an_invoice_that_is_kept_nowhere(api, acme):
    demo_subscription(acme.tenant, "cust_llm")
    answer = api.post("/v1/invoices/preview", {"subscription": "sub_1", "at": "2026-03-15T00:00:00Z"})
    body = answer.json()
    assert (answer.status_code, body["status"], body["total"]) == (200, "PREVIEW", "140.35")
    assert (body["id"], body["number"]) == (None, None)
    assert not Invoice.objects.exists()


def test_a_preview_without_an_instant_is_of_the_present_period(api, acme):
    a_subscription(acme.customer, a_fee())
    with clock_at(APRIL_2):
        body = api.post("/v1/invoices/preview", {"subscription": "sub_1"}).json()
    assert body["period"] == {"start": "2026-04-01T00:00:00Z", "end": "2026-05-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 422, "input_invalid"),
        ({"subscription": "sub_9"}, 404, "not_found"),
        ({"subscription": "sub\0"}, 400, "body_unreadable"),
        ({"subscription": "sub_1", "at": "2026-03-15"}, 422, "input_invalid"),
        ({"subscription": "sub_1", "at": "2025-03-15T00:00:00Z"}, 409, "state_conflict"),
        ({"subscription": ["sub_1"]}, 422, "input_invalid"),
        (b"null", 422, "input_invalid"),
    ],
)
def test_a_preview_that_cannot_be_made_says_why(api, acme, body, status, code):
    a_subscription(acme.customer, a_fee())
    answer = api.post("/v1/invoices/preview", body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize("part", ["", "/trace", "/html"])
@pytest.mark.parametrize("name", ["INV-000009", NOBODYS, "%00"])
def test_an_unknown_invoice_is_not_found(api, acme, part, name):
    answer = api.get(f"/v1/invoices/{name}{part}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_another_tenant_sees_no_invoice(api, other, invoice):
    theirs = Api(other.key)
    for name in (invoice.number, str(invoice.pk)):
        for part in ("", "/trace", "/html"):
            assert theirs.get(f"/v1/invoices/{name}{part}").status_code == 404
        assert theirs.post(f"/v1/invoices/{name}/issue").status_code == 404
    assert theirs.get("/v1/invoices").json()["data"] == []
    assert theirs.post("/v1/invoices/preview", {"subscription": "sub_1"}).status_code == 404
