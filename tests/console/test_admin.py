"""Every page of the admin: it comes up, and it shows the tenant's rows alone."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.urls import reverse

from aforo.tenancy.admin.rows import TenantAdmin
from aforo.tenancy.models import Tenant
from tests.billing.builders import a_tenant

from .workplace import furnish, signed_in

pytestmark = pytest.mark.django_db

PAGES = [model for model, page in admin.site._registry.items() if isinstance(page, TenantAdmin)]


def address(model, page, *args):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


@pytest.fixture
def tenants() -> tuple[Tenant, Tenant]:
    ours, theirs = a_tenant("acme_corp"), a_tenant("globex")
    furnish(ours)
    furnish(theirs)
    return ours, theirs


def test_every_page_comes_up(tenants):
    client = signed_in(tenants[0])
    for model in PAGES:
        listed = client.get(address(model, "changelist"), follow=True)
        assert listed.status_code == 200, model
        row = model.objects.of(tenants[0]).first()
        shown = client.get(address(model, "change", row.pk))
        assert shown.status_code == 200, model
        assert client.get(address(model, "history", row.pk)).status_code == 200, model
        added = client.get(address(model, "add"))
        page = admin.site._registry[model]
        assert added.status_code == (
            200 if hasattr(page, "create") and model._meta.model_name != "billingprofile" else 403
        )


def test_a_row_of_another_tenant_is_404_on_every_page_and_button(tenants):
    ours, theirs = tenants
    client = signed_in(ours)
    for model in PAGES:
        row = model.objects.of(theirs).first()
        assert client.get(address(model, "change", row.pk)).status_code == 404, model
        assert client.post(address(model, "change", row.pk), {}).status_code == 404, model
        assert client.get(address(model, "history", row.pk)).status_code == 404, model
        assert client.get(address(model, "delete", row.pk)).status_code in (403, 404), model
        for button in admin.site._registry[model].actions_detail:
            assert client.get(address(model, button, row.pk)).status_code == 404, (model, button)
            assert client.post(address(model, button, row.pk), {}).status_code == 404, (model, button)


def test_lists_and_choices_hold_the_tenants_rows_alone(tenants):
    ours, theirs = tenants
    client = signed_in(ours)
    for model in PAGES:
        listed = client.get(address(model, "changelist"), follow=True).content.decode()
        for row in model.objects.of(theirs):
            assert f"/{row.pk}/change/" not in listed, model
    strange = [str(row.pk) for model in PAGES for row in model.objects.of(theirs) if len(str(row.pk)) == 36]
    assert len(strange) > 15
    for model in PAGES:
        if hasattr(admin.site._registry[model], "create"):
            page = client.get(address(model, "add")).content.decode()
            assert [pk for pk in strange if pk in page] == [], model


def test_autocomplete_finds_the_tenants_rows_alone(tenants):
    client = signed_in(tenants[0])
    for app, model, field, name in (
        ("billing", "subscription", "customer", "cust_abc"),
        ("billing", "contract", "subscription", "cust_abc"),
        ("tenancy", "customer", "parent", "cust_abc"),
    ):
        query = {"app_label": app, "model_name": model, "field_name": field, "term": name}
        found = client.get(reverse("admin:autocomplete"), query).json()["results"]
        assert len(found) == 1, (model, field)
