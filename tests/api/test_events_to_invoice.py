"""From events in to an invoice out, over HTTP, through the log and the writer."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from aforo.kernel.clock import clock_at
from billing.models import Invoice
from billing.services.bill_runs import bill_run_work
from billing.services.verification import invoice_verify
from tests.billing.builders import APRIL_2
from tests.catalogs import BASE_FEE, CALLS, on_sale, subscribed

pytestmark = pytest.mark.django_db


def batch(first: int, count: int, at: str):
    return [
        {"event": "api.call", "customer_id": "cust_abc", "timestamp": at, "idempotency_key": f"call-{number}"}
        for number in range(first, first + count)
    ]


@pytest.mark.promise("P17", "P50")
def test_events_become_an_invoice_that_a_pencil_agrees_with(api, acme, stored):
    on_sale(acme.tenant, charges=(BASE_FEE, CALLS))
    with clock_at(datetime(2026, 3, 15, 12, tzinfo=UTC)):
        subscribed(acme.tenant, starts_on=date(2026, 3, 1))
        sent = (
            batch(0, 1_500, "2026-03-15T11:00:00Z"),
            batch(1_490, 10, "2026-03-15T11:00:00Z"),  # ten sent twice
            batch(1_500, 1_200, "2026-02-28T23:59:59Z"),  # a second before the period
            [{"event": "api.cal", "customer_id": "cust_abc"}],  # no such metric
        )
        for events in sent:
            assert api.post("/v1/events", events).status_code in {202, 422}
    with clock_at(APRIL_2):
        waiting = api.post("/v1/bill-runs", {"period": "2026-02"}).json()["events_waiting"]
        stored()
        run = api.post("/v1/bill-runs", {"period": "2026-03"}).json()
        bill_run_work(tenant=acme.tenant, run_id=run["id"])
    # Everything sent waited in the log before the writer came; nothing afterwards.
    assert (waiting, run["events_waiting"]) == (1_500 + 10 + 1_200 + 1, 0)
    # 49.09 and (1,500 - 1,000) x 0.001 = 0.50.
    invoice = api.get("/v1/invoices/INV-000001").json()
    assert [(line["code"], line["quantity"], line["amount"]) for line in invoice["lines"]] == [
        ("base", "1", "49.09"),
        ("calls", "1500", "0.50"),
    ]
    assert invoice["total"] == "49.59"
    assert invoice_verify(Invoice.objects.get(number="INV-000001")) == []


@pytest.mark.promise("P25")
def test_what_is_corrected_after_the_invoice_is_on_the_next_one(api, acme, stored):
    on_sale(acme.tenant, charges=(BASE_FEE, CALLS))

    def billed(month: str, at: datetime) -> None:
        with clock_at(at):
            run = api.post("/v1/bill-runs", {"period": month}).json()
            bill_run_work(tenant=acme.tenant, run_id=run["id"])

    with clock_at(datetime(2026, 3, 15, 12, tzinfo=UTC)):
        subscribed(acme.tenant, starts_on=date(2026, 3, 1))
        api.post("/v1/events", batch(0, 3_000, "2026-03-15T11:00:00Z"))
        stored()
    billed("2026-03", APRIL_2)
    with clock_at(datetime(2026, 4, 20, tzinfo=UTC)):
        corrections = [
            api.post(f"/v1/events/call-{number}/void", {"reason": "A load test."}).json()
            for number in range(20)
        ]
    billed("2026-04", datetime(2026, 5, 2, tzinfo=UTC))

    # (3,000 − 1,000) x 0.001 = 2.00 were invoiced; (2,980 − 1,000) x 0.001 = 1.98 are left.
    assert corrections[0]["periods"][0]["invoice"] == "INV-000001"
    line = api.get("/v1/invoices/INV-000002").json()["lines"][-1]
    assert (line["kind"], line["code"], line["quantity"], line["amount"]) == (
        "USAGE_FEE",
        "calls",
        "-20",
        "-0.02",
    )
    assert line["description"] == "Calls, 2026-03-01 to 2026-03-31 (INV-000001): 20 corrections"
    assert line["adjusts"] == "INV-000001"
    assert line["corrections"] == [correction["id"] for correction in corrections]
    assert invoice_verify(Invoice.objects.get(number="INV-000002")) == []
