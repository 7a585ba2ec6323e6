"""Every page that is read: it fits its screen, runs its scripts without an error, and without rows says what to do.

SCREENSHOTS names a folder that keeps how each of them looks.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from django.contrib import admin
from playwright.sync_api import Page, expect

from aforo.tenancy.admin.rows import TenantAdmin
from aforo.tenancy.models import ApiKey
from entitlements.edge.followers import follower_note
from tests.console.workplace import furnish
from tests.entitlements.edge.shops import published

pytestmark = pytest.mark.slow

LISTS = [
    f"{model._meta.app_label}/{model._meta.model_name}/"
    for model, page in admin.site._registry.items()
    if isinstance(page, TenantAdmin)
]
# The profile's list is its page.
WITHOUT_LIST = {"billing/billingprofile/", "entitlements/edgepolicy/", "metering/meteringprofile/"}
# Of no one row.
PAGES = [
    "",
    "events/",
    "live-events/",
    "margins/",
    "in-force/?customer=cust_abc",
    "edge-sites/",
    "edge-reconciliation/",
    "edge-reconciliation/?customer=",
]
TELEPHONE = {"width": 390, "height": 844}


def looked_at(page: Page, path: str) -> None:
    """Open a page, keep its picture, and see that nothing sticks out at the side."""
    page.goto(f"/admin/{path}")
    if folder := os.environ.get("SCREENSHOTS"):
        name = f"{page.viewport_size['width']}_{re.sub(r'[/?]+', '_', path.strip('/')) or 'home'}"
        page.screenshot(path=Path(folder) / f"{name}.png", animations="disabled")
    width = page.evaluate("document.scrollingElement.scrollWidth")
    assert width <= page.viewport_size["width"], path


def test_an_empty_list_says_what_to_do(tenant, signed_in_page: Page):
    for path in LISTS:
        if path not in WITHOUT_LIST:
            looked_at(signed_in_page, path)
            expect(signed_in_page.locator("#changelist h2")).to_contain_text("yet")


def test_every_page_fits_and_has_no_error(tenant, signed_in_page: Page):
    page = signed_in_page
    invoice = furnish(tenant)
    published()
    follower_note(tenant, str(ApiKey.objects.of(tenant).get().pk))
    rows = {}
    for path in (*PAGES, *LISTS, "tenancy/tenant/", "auth/user/"):
        looked_at(page, path)
        first = page.locator("#result_list tbody a").first
        if first.count():
            rows[path] = first.get_attribute("href").split("?")[0].removeprefix("/admin/")
            looked_at(page, rows[path])
    # A page that is only read shows what its form would ask under a condition.
    page.goto(f"/admin/{rows['billing/coupon/']}")
    expect(page.get_by_text("5 means 5 %.")).to_be_visible()
    # The pages to print stand alone.
    for name in ("printable", "trace"):
        page.goto(f"/admin/billing/invoice/{invoice.pk}/{name}/")
        expect(page.locator("main")).to_contain_text("INV-000001")
    page.set_viewport_size(TELEPHONE)
    runs = rows["metering/deadletterrun/"]
    for path in (
        "",
        "events/",
        "live-events/",
        "edge-sites/",
        "edge-reconciliation/?customer=",
        runs,
        rows["metering/upload/"],
    ):
        looked_at(page, path)
    for path in ("billing/invoice/", rows["billing/invoice/"], rows["billing/rateplanversion/"]):
        looked_at(page, path)


def test_the_bare_address_leads_home(tenant, signed_in_page: Page):
    for path in ("/", "/admin"):
        signed_in_page.goto(path)
        expect(signed_in_page).to_have_title("Home | Aforo")
