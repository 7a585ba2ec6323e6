"""The event log in a browser: searched, followed live and paused, an event down to its invoice line."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Page, expect

from aforo.kernel.clock import now
from metering.batch import store
from metering.event import Submission
from metering.services.profiles import metering_profile_set
from tests.billing.builders import demo_subscription
from tests.console.workplace import billed
from tests.workspaces import customer, meter

pytestmark = pytest.mark.slow


def received(tenant, *events, **changes) -> None:
    """Received and written now."""
    number = received.number = getattr(received, "number", 0) + 100
    fields = {"received_at": now(), "intake_id": number, "content_type": "application/json", **changes}
    body = json.dumps(list(events)).encode()
    store([Submission(tenant_id=tenant.pk, tenant_slug=tenant.slug, api_key_id=None, body=body, **fields)])


def call(key: str, **changes) -> dict:
    return {"id": key, "metric": "api.call", "customer_id": "cust_abc", **changes}


@pytest.fixture
def usage(tenant):
    customer(tenant)
    meter(tenant)
    metering_profile_set(tenant=tenant, holds_unknown_metrics=True)
    received(
        tenant,
        call("req_1", source="kong"),
        call("req_2", quantity="2.5"),
        call("req_3", customer_id="cust_nobody"),
        call("req_4", metric="api.cal"),
    )
    return tenant


def test_the_log_is_searched(usage, signed_in_page: Page):
    page = signed_in_page
    page.goto("/admin/events/")
    rows = page.locator("tr[data-event]")
    expect(rows).to_have_count(4)

    page.get_by_label("Status").select_option("held")
    page.get_by_role("button", name="Find").click()
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("metric_unknown")

    page.get_by_role("link", name="Latest events").click()
    page.get_by_label("Source").fill("kong")
    page.get_by_label("From (UTC)").fill("2020-01-01T00:00")
    page.get_by_role("button", name="Find").click()
    expect(rows).to_have_count(1)
    page.get_by_role("link", name="req_1").click()
    expect(page.locator("h1")).to_have_text("Event req_1")
    expect(page.get_by_text("It belongs to no subscription")).to_be_visible()


def test_the_log_is_followed_and_paused(usage, signed_in_page: Page):
    page = signed_in_page
    page.goto("/admin/events/")
    page.get_by_role("link", name="Live", exact=True).click()
    rows = page.locator("#live-rows tr")
    expect(rows).to_have_count(4)

    received(usage, call("req_5"))
    expect(rows).to_have_count(5)
    expect(rows.first).to_contain_text("req_5")

    page.get_by_role("button", name="Pause").click()
    received(usage, call("req_6"))
    page.wait_for_timeout(3_000)
    expect(rows).to_have_count(5)

    page.get_by_role("button", name="Resume").click()
    expect(rows.first).to_contain_text("req_6")
    # Nothing was shown twice.
    expect(rows).to_have_count(6)


def test_an_event_leads_to_its_invoice_line(tenant, signed_in_page: Page):
    subscription = demo_subscription(tenant)
    buyer = subscription.customer.external_id
    events = [
        call("req_1", customer_id=buyer, metric="llm.input_tokens", timestamp="2026-03-10T00:00:00Z"),
        call("req_2", customer_id=buyer, metric="llm.input_tokens", timestamp="2026-04-01T00:00:00Z"),
    ]
    received(tenant, *events, received_at=subscription.starts_at.replace(month=4, day=1))
    invoice = billed(tenant).items.get().invoice
    page = signed_in_page

    page.goto("/admin/events/req_2")
    expect(page.get_by_text("Not invoiced yet: the period 2026-04-01T00:00:00Z to")).to_be_visible()
    page.goto("/admin/events/req_1")
    page.get_by_role("link", name=invoice.number).click()
    expect(page.locator("#invoice")).to_be_visible()
