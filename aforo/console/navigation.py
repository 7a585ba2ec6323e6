"""The admin's frame: the tenant that one works in, the way to each page, and what waits for somebody."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import reverse, reverse_lazy

from aforo.tenancy.admin.workspace import tenant_of_request
from aforo.tenancy.models import Tenant
from metering.selectors.dead_letters import dead_letters_for

TENANTS_OFFERED = 20

# group -> (title, icon, model or page); a page is named by its address.
_PAGES: dict[str, tuple[tuple[str, str, str], ...]] = {
    "": (("Home", "home", "admin:index"),),
    "Usage": (
        ("Meters", "speed", "metering.meterrow"),
        ("Event log", "bolt", "console-events"),
        ("Corrections", "edit_note", "metering.correction"),
        ("Dead letters", "mark_email_unread", "metering.deadletter"),
        ("Dead letter runs", "playlist_play", "metering.deadletterrun"),
        ("Uploads", "upload_file", "metering.upload"),
    ),
    "Catalog": (
        ("Products", "inventory_2", "billing.product"),
        ("Rate plans", "sell", "billing.rateplan"),
        ("Plan versions", "history_edu", "billing.rateplanversion"),
        ("Offerings", "storefront", "billing.offering"),
        ("Coupons", "confirmation_number", "billing.coupon"),
    ),
    "Customers": (
        ("Customers", "groups", "tenancy.customer"),
        ("Subscriptions", "autorenew", "billing.subscription"),
        ("Contracts", "contract", "billing.contract"),
        ("Wallets", "account_balance_wallet", "billing.wallet"),
    ),
    "Billing": (
        ("Bill runs", "play_circle", "billing.billrun"),
        ("Invoices", "receipt_long", "billing.invoice"),
        ("Credit notes", "undo", "billing.creditnote"),
        ("Ledger", "menu_book", "billing.ledgertransaction"),
    ),
    "Entitlements": (
        ("Features", "extension", "entitlements.feature"),
        ("Entitlements", "verified", "entitlements.entitlement"),
        ("Grants", "redeem", "entitlements.grant"),
        ("What a customer may use", "person_search", "console-in-force"),
    ),
    "Edge": (
        ("Sites", "hub", "console-edge-sites"),
        ("Quotas with leases", "pie_chart", "entitlements.quotapool"),
        ("Reconciliation", "fact_check", "console-edge-reconciliation"),
    ),
    "Margins": (
        ("Margin dashboard", "monitoring", "console-margins"),
        ("Margins by customer", "balance", "entitlements.marginstate"),
        ("Margin policies", "policy", "entitlements.marginpolicy"),
        ("Margin events", "notifications", "entitlements.marginevent"),
        ("Cost rates", "toll", "entitlements.costrate"),
        ("Imported costs", "request_quote", "entitlements.importedcost"),
    ),
    "Settings": (
        ("API keys", "key", "tenancy.apikey"),
        ("Webhook sources", "webhook", "metering.webhooksource"),
        ("Tax rates", "percent", "billing.taxrate"),
        ("Tax exemptions", "verified_user", "billing.taxexemption"),
        ("Metering profile", "tune", "metering.meteringprofile"),
        ("Billing profile", "tune", "billing.billingprofile"),
        ("Edge policy", "tune", "entitlements.edgepolicy"),
        ("Tenants", "domain", "tenancy.tenant"),
        ("Users", "person", "auth.user"),
        ("Audit", "history", "audit.auditentry"),
    ),
}


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    return [
        {"title": group, "separator": False, "items": [_item(*page, request) for page in pages]}
        for group, pages in _PAGES.items()
    ]


def _item(title: str, icon: str, page: str, request: HttpRequest) -> dict[str, Any]:
    if ":" in page or "." not in page:
        return {"title": title, "icon": icon, "link": reverse_lazy(page)}
    app, model = page.split(".")
    link = reverse(f"admin:{app}_{model}_changelist")
    return {
        "title": title,
        "icon": icon,
        "link": link,
        "permission": lambda request: request.user.has_perm(f"{app}.view_{model}"),
        "active": request.path.startswith(link),
        **(_waiting(request) if page == "metering.deadletter" else {}),
    }


def _waiting(request: HttpRequest) -> dict[str, str]:
    tenant = tenant_of_request(request)
    count = dead_letters_for(tenant, status="NEW").count() if tenant else 0
    return {"badge": f"{count:,}", "badge_variant": "warning"} if count else {}


def tenant_dropdown(request: HttpRequest) -> list[dict[str, Any]]:
    """The tenants to switch to, and the way to all of them."""
    if not request.user.is_authenticated:
        return []
    chosen = tenant_of_request(request)
    offered = [
        {
            "title": str(tenant),
            "link": "#",
            "icon": "check" if tenant == chosen else "domain",
            "attrs": {"tenant": str(tenant.pk)},
        }
        for tenant in Tenant.objects.all()[:TENANTS_OFFERED]
    ]
    every = {"title": "All tenants", "link": reverse("admin:tenancy_tenant_changelist"), "icon": "list"}
    return [*offered, every]


def tenant_name(request: HttpRequest) -> str:
    tenant = tenant_of_request(request) if request.user.is_authenticated else None
    return str(tenant or "")


def environment(request: HttpRequest) -> list[str] | None:
    """A label beside every title while one works in a test environment."""
    tenant = tenant_of_request(request) if request.user.is_authenticated else None
    return ["test", "info"] if tenant is not None and tenant.environment == "test" else None
