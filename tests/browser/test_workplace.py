"""Around the catalog: keys, dead letters, the tenant switch, and a small screen."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from aforo.kernel.errors import Problem
from aforo.tenancy.services.api_keys import api_key_recognise
from aforo.tenancy.services.customers import customer_create
from aforo.tenancy.services.tenants import tenant_create
from metering.selectors.events import event_for
from tests.console.workplace import a_dead_letter
from tests.workspaces import meter

from .hands import add, open_row, press, save

pytestmark = pytest.mark.slow


def test_a_key_is_shown_once_rotated_and_revoked(tenant, signed_in_page: Page):
    page = signed_in_page
    add(page, "tenancy/apikey", name="gateway")
    save(page)
    first = page.locator("#api-key").inner_text()
    assert api_key_recognise(first).tenant == tenant
    page.get_by_role("link", name="I have copied it").click()
    expect(page.locator("#result_list")).to_contain_text("ACTIVE")
    assert first not in page.content()

    open_row(page)
    press(page, "Rotate")
    second = page.locator("#dialog #api-key").inner_text()
    # The old one works for another day, which is what the dialog offers first.
    assert {api_key_recognise(key).tenant for key in (first, second)} == {tenant}
    page.get_by_role("link", name="I have copied it").click()
    open_row(page, first[:12])
    expect(page.get_by_role("link", name="Rotate")).to_have_count(0)
    press(page, "Revoke")
    expect(page.get_by_text("is revoked")).to_be_visible()
    with pytest.raises(Problem, match="revoked"):
        api_key_recognise(first)


def test_a_dead_letter_is_corrected_and_sent_again(tenant, signed_in_page: Page, redis_empty):
    page = signed_in_page
    meter(tenant)
    customer_create(tenant=tenant, external_id="cust_abc")
    payload = '{"idempotency_key": "req_1", "event": "api.cal", "customer_id": "cust_abc"}'
    a_dead_letter(tenant, payload.encode(), idempotency_key="req_1", customer="cust_abc")
    page.goto("/admin/metering/deadletter/")
    open_row(page)
    expect(page.locator("#payload")).to_have_text(payload)
    # As it was received it is refused again, and stays.
    press(page, "Replay")
    expect(page.get_by_text("Refused again:")).to_be_visible()
    page.get_by_role("link", name="Replay").click()
    page.locator("#dialog [name=payload]").fill(payload.replace("api.cal", "api.call"))
    page.locator("#dialog").get_by_role("button", name="Replay").click()
    expect(page.get_by_text("The event is now accepted.")).to_be_visible()
    assert event_for(tenant, "req_1").metric == "api.call"

    page.goto("/admin/events/?key=req_1")
    expect(page.locator("#content")).to_contain_text("The first event under its key")


def test_one_works_in_one_tenant_at_a_time(tenant, signed_in_page: Page):
    page = signed_in_page
    globex = tenant_create(slug="globex", name="Globex")
    customer_create(tenant=tenant, external_id="cust_abc")
    customer_create(tenant=globex, external_id="cust_xyz")
    page.goto("/admin/tenancy/customer/")
    expect(page.locator("#result_list")).to_contain_text("cust_abc")
    page.locator("#site-name").click()
    page.get_by_role("button", name="globex (live)").click()
    # The same list, of the other tenant.
    expect(page.locator("#result_list")).to_contain_text("cust_xyz")
    expect(page.locator("#result_list")).not_to_contain_text("cust_abc")
    page.get_by_role("link", name="Products").click()
    expect(page.get_by_role("heading", name="No products yet")).to_be_visible()


def test_a_small_screen_needs_no_sideways_scrolling(tenant, signed_in_page: Page):
    page = signed_in_page
    customer_create(tenant=tenant, external_id="cust_abc")
    page.set_viewport_size({"width": 390, "height": 844})
    for path in ("", "tenancy/customer/", "billing/charge/add/", "billing/billrun/add/", "events/"):
        page.goto(f"/admin/{path}")
        width = page.evaluate("document.scrollingElement.scrollWidth")
        assert width <= 390, path
